update crossfade.checkpoint set finished_at = clock_timestamp() where release = $1 and backfill = $2 and part = $3::integer
