select part, last_key, top_key, rows, case when finished_at is not null then 'true' else 'false' end
from crossfade_checkpoint
where release = ?1 and backfill = ?2
order by part
