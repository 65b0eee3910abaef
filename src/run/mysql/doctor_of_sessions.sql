select 'warning', 'long-transaction', concat('session ', p.id, ' (user ', p.user, ')'),
       concat('its transaction is ', timestampdiff(second, x.trx_started, now()), ' s old: every ALTER TABLE of what it has used waits for it')
from information_schema.innodb_trx x
join information_schema.processlist p on p.id = x.trx_mysql_thread_id
where p.id <> connection_id() and timestampdiff(second, x.trx_started, now()) >= ?1
order by 1, 2, 3
