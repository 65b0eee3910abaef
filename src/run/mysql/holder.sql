select cast(p.id as char), p.user,
       concat('crossfade', coalesce((select concat(' ', task.name) from
         (select 'expand' as name union all select 'migrate' union all select 'contract' union all select 'abort' union all select 'sync'
          union all select 'drain') as task
         where is_used_lock(concat('crossfade.', p.id, '.', task.name)) = p.id limit 1), '')),
       if(p.host in ('', 'localhost'), 'local', substring_index(p.host, ':', 1)), cast(p.time as char)
from information_schema.processlist p
where p.id = is_used_lock(concat('crossfade.', left(sha2(database(), 256), 40)))
