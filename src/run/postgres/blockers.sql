select distinct on (a.pid) a.pid::text, coalesce(a.usename, a.backend_type), coalesce(a.application_name, ''), coalesce(a.state, ''),
       (extract(epoch from clock_timestamp() - coalesce(a.xact_start, a.query_start, a.backend_start))::bigint)::text,
       left(regexp_replace(coalesce(a.query, ''), '\s+', ' ', 'g'), 80)
from pg_stat_activity waiting
cross join lateral unnest(case when waiting.wait_event_type = 'Lock' then pg_blocking_pids(waiting.pid) else '{}' end) as blocking (pid)
join pg_stat_activity a on a.pid = blocking.pid
where waiting.pid = $1::integer
