update crossfade_checkpoint set finished_at = current_timestamp where release = ?1 and backfill = ?2 and finished_at is null
