-- Of other roles' sessions a role sees little: a replica whose state is hidden is none, and so nothing is known.
select case when bool_and(behind is not null) then ceil(max(behind))::bigint::text end
from (select case when coalesce(replay_lsn, flush_lsn, write_lsn) >= pg_current_wal_lsn() then 0
                  else extract(epoch from greatest(coalesce(replay_lag, flush_lag, write_lag), clock_timestamp() - reply_time)) end as behind
      from pg_stat_replication
      where state <> 'backup') as replicas
