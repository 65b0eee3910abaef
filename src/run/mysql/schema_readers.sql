select distinct cast(p.id as char), p.user, coalesce(a.attr_value, ''), lower(p.command),
       cast(greatest(coalesce(timestampdiff(second, x.trx_started, now()), 0), 0) as char),
       left(regexp_replace(coalesce(p.info, e.sql_text, ''), '[[:space:]]+', ' '), 80)
from performance_schema.data_locks held
join performance_schema.threads t on t.thread_id = held.thread_id
join information_schema.processlist p on p.id = t.processlist_id
left join performance_schema.session_connect_attrs a on a.processlist_id = p.id and a.attr_name = 'program_name'
left join performance_schema.events_statements_current e on e.thread_id = held.thread_id and coalesce(e.nesting_event_type, '') <> 'STATEMENT'
left join information_schema.innodb_trx x on x.trx_mysql_thread_id = p.id
where held.object_schema = database() and held.object_name = 'crossfade_revision' and held.lock_type = 'RECORD'
      and held.lock_status = 'GRANTED' and p.id <> connection_id()
