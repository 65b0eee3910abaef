select holder ->> '$.process', holder ->> '$.user', holder ->> '$.name', 'this machine', cast(strftime('%s', 'now') as integer) - (holder ->> '$.since')
from (select crossfade_lock_holder() as holder)
where holder is not null
