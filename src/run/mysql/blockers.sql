select cast(p.id as char), p.user, '', lower(p.command),
       cast(greatest(timestampdiff(second, x.trx_started, now()), 0) as char),
       left(regexp_replace(coalesce(p.info, x.trx_query, ''), '[[:space:]]+', ' '), 80)
from information_schema.innodb_trx x
join information_schema.processlist p on p.id = x.trx_mysql_thread_id
where p.id <> ?1 and p.id <> connection_id()
      -- who has a transaction open while this one waits
      and exists (select * from information_schema.processlist me
                  where me.id = ?1 and (me.state like '%metadata lock%'
                                        or exists (select * from information_schema.innodb_trx w
                                                   where w.trx_mysql_thread_id = me.id and w.trx_state = 'LOCK WAIT')))
order by x.trx_started
