select c.relname as name, q.seqstart as start, q.seqincrement as increment, q.seqmin as min, q.seqmax as max,
       q.seqcache as cache, q.seqcycle as cycle, format_type(q.seqtypid, null) as type, d.description as comment,
       -- 'i' is the sequence of an identity, 'a' one that goes with its column.
       o.deptype as owned, o.refobjid::bigint as table, o.refobjsubid as column
from pg_class c
     join pg_sequence q on q.seqrelid = c.oid
     left join pg_description d on d.objoid = c.oid and d.classoid = 'pg_class'::regclass and d.objsubid = 0
     left join pg_depend o on o.classid = 'pg_class'::regclass and o.objid = c.oid and o.objsubid = 0
                              and o.refclassid = 'pg_class'::regclass and o.refobjsubid > 0 and o.deptype in ('a', 'i')
where c.relnamespace = $schema and c.relkind = 'S'
      and not exists (select from pg_depend x where x.classid = 'pg_class'::regclass and x.objid = c.oid and x.deptype = 'e')
order by c.relname collate "C"
