-- A role that may not use a schema, and belongs to none that may, finds no table of it by name, whatever its path.
with used as (select distinct c.relnamespace
              from json_array_elements_text($1::json) as name join pg_class c on c.oid = to_regclass(name.value))
select a.pid::text
from pg_stat_activity a
where a.datname = current_database() and exists (select from used)
      and not exists (select from used u join pg_roles r on pg_has_role(a.usesysid, r.oid, 'MEMBER')
                      where has_schema_privilege(r.oid, u.relnamespace, 'USAGE'))
