select step, hash, if(finished_at is null, 'false', 'true'), cast(attempts as char), error
from crossfade_journal
where `release` = ?1 and hash is not null
order by started_at, step
