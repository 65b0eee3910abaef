select backfill, array_to_json(row_key)::text, error from crossfade.failing_row where release = $1 order by backfill, row_key
