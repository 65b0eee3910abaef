update crossfade_journal set finished_at = current_timestamp, error = null where `release` = ?1 and step = ?2
