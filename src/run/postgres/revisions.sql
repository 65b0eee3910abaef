select release, old_version, new_version, phase, expand, migrate, contract
from crossfade.revision
order by ordinal
