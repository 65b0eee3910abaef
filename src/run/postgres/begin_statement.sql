insert into crossfade.journal (release, step, hash) values ($1, $2, $3)
on conflict (release, step) do update
set hash = excluded.hash, started_at = clock_timestamp(), finished_at = null, attempts = journal.attempts + 1, error = null
