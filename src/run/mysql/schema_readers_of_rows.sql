select cast(p.id as char), p.user, '', lower(p.command),
       cast(greatest(timestampdiff(second, x.trx_started, now()), 0) as char),
       left(regexp_replace(coalesce(p.info, x.trx_query, ''), '[[:space:]]+', ' '), 80)
from information_schema.innodb_trx x
join information_schema.processlist p on p.id = x.trx_mysql_thread_id
-- Which rows it has locked is not told, but who has locked none is not among them.
where x.trx_rows_locked > 0 and p.id <> connection_id()
order by x.trx_started
