select greatest(reltuples, 0)::bigint::text from pg_class where oid = to_regclass($1)
