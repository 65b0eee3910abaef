select release_lock(concat('crossfade.', left(sha2(database(), 256), 40)))
