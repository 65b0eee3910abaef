select step, hash, case when finished_at is not null then 'true' else 'false' end, attempts, error
from crossfade_journal
where release = ?1 and hash is not null
order by started_at, step
