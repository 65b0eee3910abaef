select backfill, coalesce(max(rows) filter (where part = 0 and finished_at is not null), sum(rows))::text,
       bool_or(part = 0 and finished_at is not null)::text,
       count(*) filter (where part > 0)::text, count(*) filter (where part > 0 and finished_at is not null)::text
from crossfade.checkpoint
where release = $1
group by backfill
order by backfill
