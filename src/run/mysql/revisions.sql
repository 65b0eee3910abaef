select `release`, old_version, new_version, phase, `expand`, migrate, contract
from crossfade_revision
order by ordinal
