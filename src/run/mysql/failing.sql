select backfill, row_key, error from crossfade_failing_row where `release` = ?1 order by backfill, row_key
