select distinct on (a.pid) a.pid::text, coalesce(a.usename, ''), coalesce(a.application_name, ''), coalesce(a.state, ''),
       (extract(epoch from clock_timestamp() - coalesce(a.xact_start, a.query_start, a.backend_start))::bigint)::text,
       left(regexp_replace(coalesce(a.query, ''), '\s+', ' ', 'g'), 80)
from pg_locks l
join pg_stat_activity a on a.pid = l.pid
-- Of locks on rows the server keeps no list, but who locks rows has this one on their table until its transaction ends.
where l.locktype = 'relation' and l.relation = to_regclass('crossfade.revision') and l.mode = 'RowShareLock' and l.granted
      and l.database = (select oid from pg_database where datname = current_database()) and l.pid <> pg_backend_pid()
