select if(get_lock(concat('crossfade.', left(sha2(database(), 256), 40)), 0) = 1, 'true', 'false')
