-- Who is not told of all sessions knows nothing.
select case when exists (select * from information_schema.user_privileges
                         where grantee = concat('''', substring_index(current_user(), '@', 1), '''@''', substring_index(current_user(), '@', -1), '''')
                               and privilege_type = 'PROCESS')
            then cast(count(*) as char) end
from information_schema.processlist p
where p.id <> connection_id() and p.command not in ('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID')
      and p.user not in ('system user', 'event_scheduler', 'unauthenticated user')
      and not (is_used_lock(concat('crossfade.', p.id)) <=> p.id)
