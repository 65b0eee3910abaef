select pg_try_advisory_lock(1668444019, 1717658725)::text
