select distinct cast(p.id as char), p.user, coalesce(a.attr_value, ''), lower(p.command),
       cast(greatest(coalesce(timestampdiff(second, x.trx_started, now()), 0), 0) as char),
       left(regexp_replace(coalesce(p.info, e.sql_text, ''), '[[:space:]]+', ' '), 80)
from performance_schema.metadata_locks wanted
join performance_schema.threads me on me.thread_id = wanted.owner_thread_id
join performance_schema.metadata_locks held on held.object_schema = wanted.object_schema and held.object_name = wanted.object_name
  and held.object_type = wanted.object_type and held.lock_status = 'GRANTED' and held.owner_thread_id <> wanted.owner_thread_id
join performance_schema.threads t on t.thread_id = held.owner_thread_id
join information_schema.processlist p on p.id = t.processlist_id
left join performance_schema.session_connect_attrs a on a.processlist_id = p.id and a.attr_name = 'program_name'
left join performance_schema.events_statements_current e on e.thread_id = held.owner_thread_id and coalesce(e.nesting_event_type, '') <> 'STATEMENT'
left join information_schema.innodb_trx x on x.trx_mysql_thread_id = p.id
where me.processlist_id = ?1 and wanted.lock_status = 'PENDING'
