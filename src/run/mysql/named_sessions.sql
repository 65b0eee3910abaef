select cast(p.id as char), p.user, coalesce(a.attr_value, ''), if(p.host in ('', 'localhost'), 'local', substring_index(p.host, ':', 1)),
       lower(p.command), cast(p.time as char), coalesce(p.db, '')
from information_schema.processlist p
left join performance_schema.session_connect_attrs a on a.processlist_id = p.id and a.attr_name = 'program_name'
where p.id <> connection_id() and p.command not in ('Daemon', 'Binlog Dump', 'Binlog Dump GTID')
      and p.user not in ('system user', 'event_scheduler', 'unauthenticated user')
      -- who has chosen no database may use any
      and (p.db is null or p.db = database() or left(p.db, char_length(database()) + 1) = concat(database(), '_'))
      and not (is_used_lock(concat('crossfade.', p.id)) <=> p.id)
union all
-- Who is not told of all sessions does not pass for having seen them.
select '?', 'unknown', 'sessions of other accounts are hidden from this one, which lacks PROCESS', 'unknown', 'unknown', '0', ''
from dual
where not exists (select * from information_schema.user_privileges
                  where grantee = concat('''', substring_index(current_user(), '@', 1), '''@''', substring_index(current_user(), '@', -1), '''')
                        and privilege_type = 'PROCESS')
order by 2, 7, 1
