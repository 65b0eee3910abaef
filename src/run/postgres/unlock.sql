select pg_advisory_unlock(1668444019, 1717658725)
