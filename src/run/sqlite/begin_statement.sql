insert into crossfade_journal (release, step, hash) values (?1, ?2, ?3)
on conflict (release, step) do update
set hash = excluded.hash, started_at = current_timestamp, finished_at = null, attempts = attempts + 1, error = null
