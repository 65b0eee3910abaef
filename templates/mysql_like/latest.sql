set @crossfade_ordinal = (select max(ordinal) from crossfade_revision where phase <> 'aborted');
set @crossfade_latest = (select `release` from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_phase = (select phase from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_from = (select old_version from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_version = (select new_version from crossfade_revision where ordinal = @crossfade_ordinal);
