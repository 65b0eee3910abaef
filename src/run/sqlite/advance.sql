update crossfade_checkpoint
set last_key = ?5, rows = rows + cast(?6 as integer)
where release = ?1 and backfill = ?2 and part = cast(?3 as integer) and finished_at is null and last_key is ?4
