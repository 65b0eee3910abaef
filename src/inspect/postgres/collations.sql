select l.oid::bigint, case when pg_collation_is_visible(l.oid) then '' else l.collnamespace::regnamespace::text || '.' end || l.collname as name
from pg_collation l
where exists (select from pg_index x where l.oid = any (x.indcollation::oid[]) and x.indrelid >= 16384)
