select a.pid::text, coalesce(a.usename, ''), a.application_name, coalesce(host(a.client_addr), 'local'),
       (extract(epoch from clock_timestamp() - a.backend_start)::bigint)::text
from pg_locks l join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.classid = 1668444019 and l.objid = 1717658725 and l.objsubid = 2 and l.granted
      and l.database = (select oid from pg_database where datname = current_database())
