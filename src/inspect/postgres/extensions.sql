select e.extname as name, n.nspname as schema, e.extnamespace in ($schema, 'pg_catalog'::regnamespace) as near
from pg_extension e
     join pg_namespace n on n.oid = e.extnamespace
where e.extname <> 'plpgsql'
order by e.extname collate "C"
