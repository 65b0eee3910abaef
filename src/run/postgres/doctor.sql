with own as (
  select c.oid, c.oid::regclass::text as name, c.relkind, c.relowner, c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
         pg_has_role(c.relowner, 'usage') as is_owner
  from pg_class c
  where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
        and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
), me as (
  select rolsuper or rolbypassrls as sees_all from pg_roles where rolname = current_user
)
select 'error' as level, 'server-version' as code, 'the server' as object,
       format('it is PostgreSQL %s; the scripts need 15 or later', current_setting('server_version')) as message
where current_setting('server_version_num')::integer < 150000
union all
select 'error', 'read-only', 'the server', 'it takes no writes: it is a standby, or transactions are read-only by default'
where pg_is_in_recovery() or current_setting('transaction_read_only')::boolean
union all
select 'error', 'create-schema', format('database %I', current_database()),
       format('role %I may not create schemas in it, and the version tables have one of their own', current_user)
where to_regnamespace('crossfade') is null and not has_database_privilege(current_database(), 'create')
union all
select 'error', 'create-schema', 'schema crossfade', format('it is not owned by role %I, which has to make functions and tables there', current_user)
from pg_namespace where nspname = 'crossfade' and not pg_has_role(nspowner, 'usage')
union all
select 'error', 'create-table', format('schema %I', current_schema()), format('role %I may not create tables in it', current_user)
where not has_schema_privilege(current_schema(), 'create')
union all
select 'error', 'not-owner', 'table ' || name, format('it is owned by %I: role %I can''t change it', pg_get_userbyid(relowner), current_user)
from own where not is_owner
union all
select 'error', 'row-security', 'table ' || name,
       format('policies hide rows of it from role %I; the scripts stop rather than leave such rows out', current_user)
from own, me
where relrowsecurity and (relforcerowsecurity or not is_owner) and not sees_all
union all
select 'error', 'partitioned', 'table ' || name, 'it is partitioned, and no upgrade changes such a table'
from own where relkind = 'p'
union all
select 'warning', 'inheritance', 'table ' || name, 'other tables inherit from it: a backfill of it changes their rows as well'
from own where relkind = 'r' and exists (select from pg_inherits where inhparent = own.oid)
union all
select 'error', 'replica-identity', 'table ' || name,
       'it is published and has no replica identity: the server refuses every UPDATE of it, so that of a backfill'
from own
where exists (select from pg_publication_tables p where format('%I.%I', p.schemaname, p.tablename)::regclass = own.oid)
      and (relreplident = 'n'
           or (relreplident = 'd' and not exists (select from pg_index where indrelid = own.oid and indisprimary)))
union all
select 'warning', 'no-key', 'table ' || name,
       'it has no primary key: a backfill goes by pages, with one worker, and its rows can''t be set aside'
from own where relkind = 'r' and not exists (select from pg_index where indrelid = own.oid and indisprimary)
union all
select 'warning', 'user-trigger', format('trigger %I on %s', t.tgname, own.name), 'it fires for every row that a backfill fills'
from pg_trigger t join own on own.oid = t.tgrelid
where not t.tgisinternal and t.tgenabled <> 'D' and (t.tgtype & 16) <> 0 and t.tgname not like '%crossfade%'
union all
select 'error', 'late-trigger', format('trigger %I on %s', t.tgname, own.name),
       'it fires behind the triggers that keep both shapes in step, by its name: what it changes they don''t see'
from pg_trigger t join own on own.oid = t.tgrelid
where not t.tgisinternal and t.tgenabled <> 'D' and (t.tgtype & 3) = 3 and (t.tgtype & 20) <> 0
      and t.tgname not like '%crossfade%' and t.tgname > 'zz_crossfade'
union all
select 'error', 'rule', format('rule %I on %s', r.rulename, own.name), 'it writes something else than a statement says, before any trigger sees it'
from pg_rewrite r join own on own.oid = r.ev_class where r.rulename <> '_RETURN' and r.ev_enabled <> 'D'
union all
select 'warning', 'event-trigger', format('event trigger %I', evtname), 'it may refuse or change what the scripts do'
from pg_event_trigger where evtenabled <> 'D'
union all
select 'warning', 'subscription', format('subscription %I', subname), 'what it applies fires no triggers: such rows reach one shape only'
from pg_stat_subscription where pid is not null
union all
select 'warning', 'replica-role', 'session_replication_role',
       format('%s sets it to replica: what it writes fires no triggers and reaches one shape only',
              case when setrole = 0 then 'the database' else format('role %I', pg_get_userbyid(setrole)) end)
from pg_db_role_setting, unnest(setconfig) as setting
where setting = 'session_replication_role=replica' and setdatabase in (0, (select oid from pg_database where datname = current_database()))
union all
select 'warning', 'slot', format('replication slot %s', slot_name), 'nobody reads from it: the log that a backfill writes piles up behind it'
from pg_replication_slots where not active
union all
select 'warning', 'long-transaction', format('session %s (user %s, %s)', pid, usename, coalesce(nullif(application_name, ''), 'no name')),
       format('its transaction is %s s old: locks and index builds wait for it, and dead rows stay', extract(epoch from clock_timestamp() - xact_start)::bigint)
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
      and clock_timestamp() - xact_start > make_interval(secs => $1::double precision)
union all
select 'warning', 'prepared-transaction', format('prepared transaction %L', gid), 'it holds its locks until somebody commits it or rolls it back'
from pg_prepared_xacts where database = current_database()
union all
select 'warning', 'invalid-index', 'index ' || i.indexrelid::regclass, 'it is not valid: a build of it was interrupted'
from pg_index i join own on own.oid = i.indrelid where not i.indisvalid
union all
select 'warning', 'wraparound', format('autovacuum of session %s', pid), 'it runs against the wraparound of transaction ids, and gives way to nobody'
from pg_stat_activity where backend_type = 'autovacuum worker' and query like '%to prevent wraparound%'
order by 1, 2, 3
