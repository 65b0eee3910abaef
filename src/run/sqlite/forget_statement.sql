delete from crossfade_journal where release = ?1 and step = ?2 and finished_at is null
