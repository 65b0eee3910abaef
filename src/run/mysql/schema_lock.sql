select `release` from crossfade_revision order by ordinal for update nowait
