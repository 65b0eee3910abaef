select 'error' as level, 'read-only' as code, 'the server' as object, 'it takes no writes: it is a replica, or read_only is set' as message
from dual where @@global.read_only and ?1 is not null
union all
select 'error', 'privilege', concat('account ', current_user()),
       concat('it lacks ', group_concat(needed.name order by needed.name separator ', '), ' on database ', database(), ', which the scripts need',
              if(coalesce(current_role(), 'NONE') in ('NONE', ''), '', ' (what a role gives is not looked at)'))
from (select 'SELECT' as name union all select 'INSERT' union all select 'UPDATE' union all select 'DELETE' union all select 'CREATE'
      union all select 'DROP' union all select 'ALTER' union all select 'INDEX' union all select 'REFERENCES' union all select 'TRIGGER'
      union all select 'CREATE VIEW' union all select 'CREATE ROUTINE' union all select 'ALTER ROUTINE' union all select 'EXECUTE'
      union all select 'CREATE TEMPORARY TABLES') as needed
where not exists (select * from information_schema.user_privileges
                  where grantee = concat('''', substring_index(current_user(), '@', 1), '''@''', substring_index(current_user(), '@', -1), '''')
                        and privilege_type = needed.name)
      and not exists (select * from information_schema.schema_privileges
                      where grantee = concat('''', substring_index(current_user(), '@', 1), '''@''', substring_index(current_user(), '@', -1), '''')
                            and table_schema in (database(), replace(database(), '_', '\\_'), '%') and privilege_type = needed.name)
having count(*) > 0
union all
select 'warning', 'process-privilege', concat('account ', current_user()),
       'without PROCESS it sees its own sessions only: contract can''t tell who else is connected, and who holds a lock is not named'
from dual
where not exists (select * from information_schema.user_privileges
                  where grantee = concat('''', substring_index(current_user(), '@', 1), '''@''', substring_index(current_user(), '@', -1), '''')
                        and privilege_type = 'PROCESS')
union all
select 'error', 'binary-log', 'log_bin_trust_function_creators',
       'with the binary log on and this off, an account without SUPER can make no trigger (error 1419): set it, or let one that has SUPER run expand'
from dual
where @@global.log_bin and not @@global.log_bin_trust_function_creators
      and not exists (select * from information_schema.user_privileges
                      where grantee = concat('''', substring_index(current_user(), '@', 1), '''@''', substring_index(current_user(), '@', -1), '''')
                            and privilege_type = 'SUPER')
union all
select 'warning', 'binlog-format', 'binlog_format', concat('it is ', @@global.binlog_format, ': what triggers write is safe on a replica with ROW only')
from dual where @@global.log_bin and @@global.binlog_format <> 'ROW'
union all
select 'warning', 'sql-mode', 'sql_mode', 'clients are not strict by default: what does not fit a column is cut or set to zero in silence, in both shapes'
from dual where @@global.sql_mode not like '%STRICT_%'
union all
select 'error', 'engine', concat('table ', t.table_name), concat('its engine is ', t.engine, ', which has no transactions: only InnoDB keeps both shapes in step')
from information_schema.tables t
where t.table_schema = database() and t.table_type = 'BASE TABLE' and t.engine <> 'InnoDB'
union all
select 'warning', 'no-key', concat('table ', t.table_name), 'it has no primary key and no unique key without NULL: no backfill can walk it'
from information_schema.tables t
where t.table_schema = database() and t.table_type = 'BASE TABLE' and t.table_name not like 'crossfade\_%'
      and not exists (select * from information_schema.statistics s where s.table_schema = t.table_schema and s.table_name = t.table_name
                      and s.non_unique = 0
                      and not exists (select * from information_schema.statistics n where n.table_schema = s.table_schema and n.table_name = s.table_name
                                      and n.index_name = s.index_name and n.nullable = 'YES'))
union all
select 'warning', 'user-trigger', concat('trigger ', g.trigger_name, ' on ', g.event_object_table), 'it fires for every row that a backfill fills'
from information_schema.triggers g
where g.trigger_schema = database() and g.event_manipulation = 'UPDATE' and g.trigger_name not like '%crossfade%'
union all
select 'error', 'late-trigger', concat('trigger ', g.trigger_name, ' on ', g.event_object_table),
       'it fires behind the triggers that keep both shapes in step: what it changes they don''t see'
from information_schema.triggers g
join information_schema.triggers ours on ours.trigger_schema = g.trigger_schema and ours.event_object_table = g.event_object_table
  and ours.event_manipulation = g.event_manipulation and ours.action_timing = g.action_timing and ours.trigger_name like '%crossfade_sync%'
where g.trigger_schema = database() and g.action_timing = 'BEFORE' and g.trigger_name not like '%crossfade%'
      and g.action_order > ours.action_order
union all
select 'warning', 'cascade', concat('foreign key ', c.constraint_name, ' of ', c.table_name),
       concat('on ', if(c.delete_rule = 'SET NULL', 'delete set null', 'update cascade'),
              ': what the server changes in rows of this table by itself fires no trigger')
from information_schema.referential_constraints c
where c.constraint_schema = database() and (c.delete_rule = 'SET NULL' or c.update_rule in ('CASCADE', 'SET NULL'))
union all
select 'warning', 'on-update', concat('column ', c.table_name, '.', c.column_name),
       'the server sets it with every UPDATE: a backfill leaves what stands there'
from information_schema.columns c
where c.table_schema = database() and c.extra like '%on update%' and c.table_name not like 'crossfade\_%'
union all
select 'warning', 'outside-view', concat('view ', v.table_schema, '.', v.table_name),
       'it reads tables of this database: it fails once contract has taken away what it uses'
from information_schema.views v
where v.table_schema <> database() and left(v.table_schema, char_length(database()) + 1) <> concat(database(), '_')
      and v.table_schema not in ('sys', 'information_schema', 'performance_schema', 'mysql')
      and v.view_definition like concat('%`', replace(replace(database(), '\\', '\\\\'), '_', '\\_'), '`.%')
order by 1, 2, 3
