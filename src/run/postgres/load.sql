-- Of other roles' sessions a role sees little: one whose kind is hidden may be at work, and so nothing is known.
select case when not coalesce(bool_or(backend_type is null and usesysid is not null), false)
            then (count(*) filter (where backend_type = 'client backend' and state <> 'idle' and state not like 'idle in transaction%'))::text end
from pg_stat_activity
where pid <> pg_backend_pid() and application_name not like 'crossfade %'
