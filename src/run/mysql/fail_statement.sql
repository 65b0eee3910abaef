update crossfade_journal set error = ?3 where `release` = ?1 and step = ?2
