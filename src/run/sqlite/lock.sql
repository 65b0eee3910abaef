select crossfade_try_lock()
