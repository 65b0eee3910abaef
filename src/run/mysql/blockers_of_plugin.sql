select distinct cast(p.id as char), p.user, '', lower(p.command),
       cast(greatest(coalesce(timestampdiff(second, x.trx_started, now()), 0), 0) as char),
       left(regexp_replace(coalesce(p.info, ''), '[[:space:]]+', ' '), 80)
from information_schema.metadata_lock_info held
join information_schema.processlist p on p.id = held.thread_id
left join information_schema.innodb_trx x on x.trx_mysql_thread_id = p.id
where held.thread_id <> ?1 and held.thread_id <> connection_id() and held.table_schema = database() and held.table_name not like 'crossfade\_%'
      and exists (select * from information_schema.processlist me where me.id = ?1 and me.state like '%metadata lock%')
