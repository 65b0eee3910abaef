select c.oid::bigint, c.relname as name, c.relkind as kind, c.relispartition as partition, c.reloftype <> 0 as typed,
       exists (select from pg_inherits i where i.inhrelid = c.oid or i.inhparent = c.oid) as inherits,
       exists (select from pg_depend x where x.classid = 'pg_class'::regclass and x.objid = c.oid and x.deptype = 'e') as extension,
       d.description as comment,
       case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end as query
from pg_class c
     left join pg_description d on d.objoid = c.oid and d.classoid = 'pg_class'::regclass and d.objsubid = 0
where c.relnamespace = $schema and c.relkind in ('r', 'p', 'f', 'v', 'm')
order by c.relname collate "C"
