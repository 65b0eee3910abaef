update crossfade.journal set finished_at = clock_timestamp(), error = null where release = $1 and step = $2
