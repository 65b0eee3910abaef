select get_lock(concat('crossfade.', connection_id()), 0), get_lock(concat('crossfade.', connection_id(), '.', ?1), 0)
