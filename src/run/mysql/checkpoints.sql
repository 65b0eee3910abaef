select backfill,
       cast(coalesce(max(case when part = 0 and finished_at is not null then `rows` end), sum(`rows`)) as char),
       if(max(part = 0 and finished_at is not null), 'true', 'false'),
       cast(sum(part > 0) as char), cast(sum(part > 0 and finished_at is not null) as char)
from crossfade_checkpoint
where `release` = ?1
group by backfill
order by backfill
