delete from crossfade_failing_row where `release` = ?1 and backfill = ?2 and row_key = ?3
