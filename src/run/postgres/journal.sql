select step, hash, (finished_at is not null)::text, attempts::text, error
from crossfade.journal
where release = $1 and hash is not null
order by started_at, step
