select cast(part as char), last_key, top_key, cast(`rows` as char), if(finished_at is null, 'false', 'true')
from crossfade_checkpoint
where `release` = ?1 and backfill = ?2
order by part
