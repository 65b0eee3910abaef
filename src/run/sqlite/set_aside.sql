insert into crossfade_failing_row (release, backfill, row_key, error) values (?1, ?2, ?3, ?4)
on conflict (release, backfill, row_key) do update set error = excluded.error
