update crossfade_checkpoint
set finished_at = current_timestamp,
    `rows` = `rows` + (select added from (select coalesce(sum(part.`rows`), 0) as added from crossfade_checkpoint as part
                                          where part.`release` = ?1 and part.backfill = ?2 and part.part > 0) as sections)
where `release` = ?1 and backfill = ?2 and part = 0 and finished_at is null
