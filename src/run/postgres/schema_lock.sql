select release from crossfade.revision order by ordinal for update nowait
