select crossfade_unlock()
