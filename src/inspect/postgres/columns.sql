select a.attrelid::bigint as table, a.attnum as number, a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
       case when e.typtype = 'e' and e.typnamespace = $schema then e.typname end as enum,
       a.attndims as dimensions, a.attnotnull as not_null, a.attidentity as identity, a.attgenerated as generated,
       pg_get_expr(d.adbin, d.adrelid) as default,
       -- What the type has anyway is not said.
       case when a.attcollation <> t.typcollation
            then case when pg_collation_is_visible(l.oid) then '' else l.collnamespace::regnamespace::text || '.' end || l.collname
       end as collation,
       a.attcollation::bigint as collation_oid,
       s.description as comment
from pg_class c
     join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     join pg_type t on t.oid = a.atttypid
     left join pg_type e on e.oid = case when t.typcategory = 'A' and t.typelem <> 0 then t.typelem else t.oid end
     left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     left join pg_collation l on l.oid = a.attcollation
     left join pg_description s on s.objoid = c.oid and s.classoid = 'pg_class'::regclass and s.objsubid = a.attnum
where c.relnamespace = $schema and c.relkind = 'r'
order by a.attrelid, a.attnum
