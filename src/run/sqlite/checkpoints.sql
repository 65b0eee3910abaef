select backfill, sum(rows), case when sum(finished_at is null) = 0 then 'true' else 'false' end, 0, 0
from crossfade_checkpoint
where release = ?1
group by backfill
order by backfill
