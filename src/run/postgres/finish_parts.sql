update crossfade.checkpoint
set finished_at = clock_timestamp(),
    rows = rows + (select coalesce(sum(part.rows), 0) from crossfade.checkpoint as part
                   where part.release = $1 and part.backfill = $2 and part.part > 0)
where release = $1 and backfill = $2 and part = 0 and finished_at is null
