select a.pid::text, coalesce(a.usename, ''), a.application_name, coalesce(host(a.client_addr), 'local'), coalesce(a.state, ''),
       (extract(epoch from clock_timestamp() - coalesce(a.state_change, a.backend_start))::bigint)::text,
       coalesce((select substr(setting, length('search_path=') + 1)
                 from pg_db_role_setting s, unnest(s.setconfig) as setting
                 where s.setrole in (0, a.usesysid) and s.setdatabase in (0, a.datid) and setting like 'search\_path=%'
                 order by s.setrole = 0, s.setdatabase = 0
                 limit 1), '')
from pg_stat_activity a
-- Of other roles' sessions the server hides the kind from who may not read all statistics, but not that they are there.
where a.datname = current_database() and coalesce(a.backend_type, 'client backend') = 'client backend' and a.pid <> pg_backend_pid()
      and a.application_name not like 'crossfade %'
order by a.usename, a.application_name, a.pid
