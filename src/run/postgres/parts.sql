select part::text, array_to_json(last_key)::text, array_to_json(top_key)::text, rows::text, (finished_at is not null)::text
from crossfade.checkpoint
where release = $1 and backfill = $2
order by part
