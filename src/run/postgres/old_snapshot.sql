select (exists (select from pg_stat_activity
                where pid <> pg_backend_pid() and backend_xmin is not null and xact_start < now() - interval '60 s'))::text
