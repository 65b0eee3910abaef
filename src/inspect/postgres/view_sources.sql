-- What each view of the schema reads of the same schema.
select distinct w.ev_class::bigint as view, d.refobjid::bigint as source
from pg_rewrite w
     join pg_class v on v.oid = w.ev_class
     join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass
     join pg_class r on r.oid = d.refobjid
where v.relnamespace = $schema and r.relnamespace = $schema and r.oid <> v.oid and r.relkind <> 'S'
