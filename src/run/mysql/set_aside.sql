insert into crossfade_failing_row (`release`, backfill, row_key, error) values (?1, ?2, ?3, ?4)
on duplicate key update error = ?4
