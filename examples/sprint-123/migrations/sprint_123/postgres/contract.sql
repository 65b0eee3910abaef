-- contract sprint_122 -> sprint_123: takes away what only version sprint_122 used. There is no way back.
--
--   from      sprint_122
--   to        sprint_123
--   access    shared: both versions use one namespace
--   revisions sprint_123_contract01 to sprint_123_contract02
--
-- Run it with:  psql -X -v ON_ERROR_STOP=1 -f contract.sql
-- Before it:    migrate.sql has finished, and no client of version sprint_122 is left
-- After it:     the database is at version sprint_123
--
-- It can be run again after a failure, a kill or a finish. No statement waits longer than the lock timeout for a lock
-- that others would queue behind; when one gives up, run the script again.

set client_min_messages = warning;
set lock_timeout = '300ms';
set statement_timeout = 0;
set row_security = off;  -- rows that a policy hides would be left out in silence: rather an error
set search_path = public;

-- An autovacuum gives way to who has waited for deadlock_timeout: where we may, we make that shorter than our patience.
do $crossfade$
begin
  perform set_config('deadlock_timeout', '150ms', false);
exception when insufficient_privilege then
  null;  -- a statement that meets an autovacuum gives up, then: run the script again behind it
end
$crossfade$;

-- ====================================================================================================
-- Gates
-- ====================================================================================================

-- The version tables: how far this database is. They stay.
create schema if not exists crossfade;
create table if not exists crossfade.revision (
  release     text primary key,
  ordinal     bigint generated always as identity,
  old_version text,
  new_version text not null,
  changes     integer not null,
  phase       text not null,    -- the last phase that is finished: begun, expand, migrate, contract; or aborted
  expand      text,             -- the last revision of each phase
  migrate     text,
  contract    text,
  begun_at    timestamptz not null default now()
);
create table if not exists crossfade.journal (
  release     text not null,
  step        text not null,
  hash        text,
  started_at  timestamptz not null default now(),
  finished_at timestamptz,
  attempts    integer not null default 1,
  error       text,
  primary key (release, step)
);
create table if not exists crossfade.checkpoint (
  release     text not null,
  backfill    text not null,
  part        integer not null default 0,
  last_key    text[],           -- the last key that is done
  top_key     text[],           -- the last key there was when the backfill began
  rows        bigint not null default 0,
  finished_at timestamptz,
  primary key (release, backfill, part)
);
create table if not exists crossfade.failing_row (
  release     text not null,
  backfill    text not null,
  row_key     text[] not null,
  error       text not null,
  primary key (release, backfill, row_key)
);
-- What an application asks to learn which versions this database serves.
create or replace view crossfade.version as
  select old_version, new_version, phase, coalesce(contract, migrate, expand, '') as revision
  from crossfade.revision
  where phase <> 'aborted'
  order by ordinal desc
  limit 1;
grant usage on schema crossfade to public;
grant select on crossfade.version to public;

-- Nothing is changed unless migrate has finished.
do $crossfade$
declare
  latest crossfade.revision;
begin
  select * into latest from crossfade.revision where phase <> 'aborted' order by ordinal desc limit 1;
  if latest.release is distinct from 'sprint_123' or latest.phase in ('begun', 'expand') then
    raise exception 'contract of % can''t run before its migrate has finished', 'sprint_123'
      using hint = case
        when latest.release is distinct from 'sprint_123' or latest.phase = 'begun' then
          'Run expand.sql first: psql -X -v ON_ERROR_STOP=1 -f expand.sql'
        else 'Run migrate.sql first: psql -X -v ON_ERROR_STOP=1 -f migrate.sql'
      end;
  end if;
  if exists (select from crossfade.failing_row where release = 'sprint_123') then
    raise exception 'contract of % can''t run while crossfade.failing_row holds rows that could not be filled', 'sprint_123';
  end if;
end
$crossfade$;

-- Both shapes must say the same of every row.
-- Locks customers ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
<<crossfade_job>>
declare
  found bigint;
  sample text;
  line record;
  problem text;
begin
  if not ((select count(*) from pg_attribute where attrelid = to_regclass('public.customers') and attname in ('email_lower') and not attisdropped) = 1) then
    return;
  end if;
  begin
    select count(*) into found from public.customers where (email_lower is null and (lower(email))::text is not null);
  exception
    when others then
      -- An expression has no answer to some row. Which one is told by looking at each alone.
      found := 0;
      for line in select ctid, concat_ws(', ', customers.id) as key from public.customers loop
        problem := null;
        begin
          continue when not exists (select from public.customers where ctid = crossfade_job.line.ctid and ((email_lower is null and (lower(email))::text is not null)));
        exception
          when others then
            problem := sqlerrm;
        end;
        found := found + 1;
        if found <= 5 then
          sample := concat_ws('; ', crossfade_job.sample, crossfade_job.line.key || coalesce(': ' || problem, ''));
        end if;
      end loop;
  end;
  if found > 0 then
    if sample is null then
      select string_agg(key, '; ') into sample
      from (select concat_ws(', ', customers.id) as key from public.customers where (email_lower is null and (lower(email))::text is not null) limit 5) as samples;
    end if;
    raise exception 'customers: email_lower is not filled: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;

-- email_lower becomes NOT NULL.
-- Locks customers ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
declare
  found bigint;
  sample text;
begin
  if not (exists (select from pg_attribute where attrelid = to_regclass('public.customers') and attname = 'email_lower' and not attnotnull and not attisdropped)) then
    return;
  end if;
  select count(*) into found from public.customers where email_lower is null;
  if found > 0 then
    select string_agg(key, '; ') into sample
    from (select concat_ws(', ', customers.id) as key from public.customers where email_lower is null limit 5) as samples;
    raise exception 'customers: email_lower is NULL: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;

-- Both shapes must say the same of every row.
-- Locks orders ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
<<crossfade_job>>
declare
  found bigint;
  sample text;
  line record;
  problem text;
begin
  if not ((select count(*) from pg_attribute where attrelid = to_regclass('public.orders') and attname in ('amount_cents') and not attisdropped) = 1) then
    return;
  end if;
  begin
    select count(*) into found from public.orders where (amount_cents is null and (round(amount * 100))::bigint is not null);
  exception
    when others then
      -- An expression has no answer to some row. Which one is told by looking at each alone.
      found := 0;
      for line in select ctid, concat_ws(', ', orders.id) as key from public.orders loop
        problem := null;
        begin
          continue when not exists (select from public.orders where ctid = crossfade_job.line.ctid and ((amount_cents is null and (round(amount * 100))::bigint is not null)));
        exception
          when others then
            problem := sqlerrm;
        end;
        found := found + 1;
        if found <= 5 then
          sample := concat_ws('; ', crossfade_job.sample, crossfade_job.line.key || coalesce(': ' || problem, ''));
        end if;
      end loop;
  end;
  if found > 0 then
    if sample is null then
      select string_agg(key, '; ') into sample
      from (select concat_ws(', ', orders.id) as key from public.orders where (amount_cents is null and (round(amount * 100))::bigint is not null) limit 5) as samples;
    end if;
    raise exception 'orders: amount_cents is not filled: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;

-- Both shapes must say the same of every row.
-- Locks orders ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
<<crossfade_job>>
declare
  found bigint;
  sample text;
  line record;
  problem text;
begin
  if not ((select count(*) from pg_attribute where attrelid = to_regclass('public.orders') and attname in ('state', 'status') and not attisdropped) = 2) then
    return;
  end if;
  begin
    select count(*) into found from public.orders where case when not (state is distinct from (case when status is null then null when status = 'new' then 0 when status = 'paid' then 1 when status = 'shipped' then 2 else ('status has a value that the mapping does not list: ' || status::text)::integer::text::smallint end)::smallint) then false else status is distinct from (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else ('state has a value that the mapping does not list: ' || state::text)::integer::text::varchar end)::varchar end;
  exception
    when others then
      -- An expression has no answer to some row. Which one is told by looking at each alone.
      found := 0;
      for line in select ctid, concat_ws(', ', orders.id) as key from public.orders loop
        problem := null;
        begin
          continue when not exists (select from public.orders where ctid = crossfade_job.line.ctid and (state is distinct from (case when status is null then null when status = 'new' then 0 when status = 'paid' then 1 when status = 'shipped' then 2 else ('status has a value that the mapping does not list: ' || status::text)::integer::text::smallint end)::smallint));
        exception
          when others then
            problem := sqlerrm;
        end;
        begin
          continue when not exists (select from public.orders where ctid = crossfade_job.line.ctid and (status is distinct from (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else ('state has a value that the mapping does not list: ' || state::text)::integer::text::varchar end)::varchar));
        exception
          when others then
            problem := sqlerrm;
        end;
        found := found + 1;
        if found <= 5 then
          sample := concat_ws('; ', crossfade_job.sample, crossfade_job.line.key || coalesce(': ' || problem, ''));
        end if;
      end loop;
  end;
  if found > 0 then
    if sample is null then
      select string_agg(key, '; ') into sample
      from (select concat_ws(', ', orders.id) as key from public.orders where case when not (state is distinct from (case when status is null then null when status = 'new' then 0 when status = 'paid' then 1 when status = 'shipped' then 2 else ('status has a value that the mapping does not list: ' || status::text)::integer::text::smallint end)::smallint) then false else status is distinct from (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else ('state has a value that the mapping does not list: ' || state::text)::integer::text::varchar end)::varchar end limit 5) as samples;
    end if;
    raise exception 'orders: state and status disagree: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;

-- Check orders_status_check is about to bind.
-- Locks orders ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
declare
  found bigint;
  sample text;
begin
  if not (not exists (select from pg_constraint where conrelid = to_regclass('public.orders') and conname = 'orders_status_check')) then
    return;
  end if;
  select count(*) into found from public.orders where not (status in ('new', 'paid', 'shipped'));
  if found > 0 then
    select string_agg(key, '; ') into sample
    from (select concat_ws(', ', orders.id) as key from public.orders where not (status in ('new', 'paid', 'shipped')) limit 5) as samples;
    raise exception 'orders: check orders_status_check is broken: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;

-- amount_cents becomes NOT NULL.
-- Locks orders ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
declare
  found bigint;
  sample text;
begin
  if not (exists (select from pg_attribute where attrelid = to_regclass('public.orders') and attname = 'amount_cents' and not attnotnull and not attisdropped)) then
    return;
  end if;
  select count(*) into found from public.orders where amount_cents is null;
  if found > 0 then
    select string_agg(key, '; ') into sample
    from (select concat_ws(', ', orders.id) as key from public.orders where amount_cents is null limit 5) as samples;
    raise exception 'orders: amount_cents is NULL: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;

-- status becomes NOT NULL.
-- Locks orders ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
declare
  found bigint;
  sample text;
begin
  if not (exists (select from pg_attribute where attrelid = to_regclass('public.orders') and attname = 'status' and not attnotnull and not attisdropped)) then
    return;
  end if;
  select count(*) into found from public.orders where status is null;
  if found > 0 then
    select string_agg(key, '; ') into sample
    from (select concat_ws(', ', orders.id) as key from public.orders where status is null limit 5) as samples;
    raise exception 'orders: status is NULL: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;


-- ====================================================================================================
-- sprint_123_contract01: table customers
-- ====================================================================================================

-- From now on NULL is refused; the rows that are there are not read yet.
-- Locks customers ACCESS EXCLUSIVE; instant.
do $crossfade$
begin
  if to_regclass('public.customers') is not null
    and exists (select from pg_attribute where attrelid = to_regclass('public.customers') and attname = 'email_lower' and not attnotnull and not attisdropped)
    and not exists (select from pg_constraint where conrelid = to_regclass('public.customers') and conname = 'crossfade_not_null_customers_email_lower') then
    alter table public.customers add constraint crossfade_not_null_customers_email_lower check (email_lower is not null) not valid;
  end if;
end
$crossfade$;

-- Proved for the rows that are there, in a transaction of its own: the table is read, and nobody waits.
-- Locks customers SHARE UPDATE EXCLUSIVE; scan.
do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass('public.customers') and conname = 'crossfade_not_null_customers_email_lower' and not convalidated) then
    perform set_config('lock_timeout', '0', true);  -- it may wait for a vacuum: nobody queues behind it
    alter table public.customers validate constraint crossfade_not_null_customers_email_lower;
  end if;
end
$crossfade$;

-- The check proves it, so the table is not read again; then the check has served its purpose.
-- Locks customers ACCESS EXCLUSIVE; instant.
do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass('public.customers') and conname = 'crossfade_not_null_customers_email_lower') then
    alter table public.customers alter column email_lower set not null;
    alter table public.customers drop constraint crossfade_not_null_customers_email_lower;
  end if;
end
$crossfade$;

-- The namespace of version sprint_122, if its clients came through one: nobody uses it any more.
-- Locks nothing that clients use; instant.
do $crossfade$
begin
  if to_regnamespace('public_sprint_122') is not null then
    drop view if exists public_sprint_122.customers, public_sprint_122.orders;
    drop schema public_sprint_122;
  end if;
end
$crossfade$;

-- All of this in one transaction, and once: the journal knows when it is done.
do $crossfade$
declare
  granted record;
begin
  if exists (select from crossfade.journal where release = 'sprint_123' and step = 'contract01.swap.customers' and finished_at is not null) then
    return;
  end if;

  -- In the same transaction as the columns: no write is ever without the one and with the other.
  -- Locks customers ACCESS EXCLUSIVE; instant.
  drop trigger if exists zz_crossfade_sync_customers_insert on public.customers;
  drop trigger if exists zz_crossfade_sync_customers_update on public.customers;
  drop function if exists crossfade.sync_customers();

  insert into crossfade.journal (release, step, finished_at) values ('sprint_123', 'contract01.swap.customers', now());
end
$crossfade$;

update crossfade.revision set contract = 'sprint_123_contract01' where release = 'sprint_123' and contract is distinct from 'sprint_123_contract02';


-- ====================================================================================================
-- sprint_123_contract02: table orders
-- ====================================================================================================

-- The rule binds every write from now on; the rows that are there are proved in the next step.
-- Locks orders ACCESS EXCLUSIVE; instant.
do $crossfade$
begin
  if to_regclass('public.orders') is not null
    and not exists (select from pg_constraint where conrelid = to_regclass('public.orders') and conname = 'orders_status_check') then
    alter table public.orders add constraint orders_status_check check (status in ('new', 'paid', 'shipped')) not valid;
  end if;
end
$crossfade$;

-- From now on NULL is refused; the rows that are there are not read yet.
-- Locks orders ACCESS EXCLUSIVE; instant.
do $crossfade$
begin
  if to_regclass('public.orders') is not null
    and exists (select from pg_attribute where attrelid = to_regclass('public.orders') and attname = 'amount_cents' and not attnotnull and not attisdropped)
    and not exists (select from pg_constraint where conrelid = to_regclass('public.orders') and conname = 'crossfade_not_null_orders_amount_cents') then
    alter table public.orders add constraint crossfade_not_null_orders_amount_cents check (amount_cents is not null) not valid;
  end if;
end
$crossfade$;

-- From now on NULL is refused; the rows that are there are not read yet.
-- Locks orders ACCESS EXCLUSIVE; instant.
do $crossfade$
begin
  if to_regclass('public.orders') is not null
    and exists (select from pg_attribute where attrelid = to_regclass('public.orders') and attname = 'status' and not attnotnull and not attisdropped)
    and not exists (select from pg_constraint where conrelid = to_regclass('public.orders') and conname = 'crossfade_not_null_orders_status') then
    alter table public.orders add constraint crossfade_not_null_orders_status check (status is not null) not valid;
  end if;
end
$crossfade$;

-- Proved for the rows that are there, in a transaction of its own: the table is read, and nobody waits.
-- Locks orders SHARE UPDATE EXCLUSIVE; scan.
do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass('public.orders') and conname = 'crossfade_not_null_orders_amount_cents' and not convalidated) then
    perform set_config('lock_timeout', '0', true);  -- it may wait for a vacuum: nobody queues behind it
    alter table public.orders validate constraint crossfade_not_null_orders_amount_cents;
  end if;
end
$crossfade$;

-- Proved for the rows that are there, in a transaction of its own: the table is read, and nobody waits.
-- Locks orders SHARE UPDATE EXCLUSIVE; scan.
do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass('public.orders') and conname = 'crossfade_not_null_orders_status' and not convalidated) then
    perform set_config('lock_timeout', '0', true);  -- it may wait for a vacuum: nobody queues behind it
    alter table public.orders validate constraint crossfade_not_null_orders_status;
  end if;
end
$crossfade$;

-- Proved for the rows that are there, in a transaction of its own: the table is read, and nobody waits.
-- Locks orders SHARE UPDATE EXCLUSIVE; scan.
do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass('public.orders') and conname = 'orders_status_check' and not convalidated) then
    perform set_config('lock_timeout', '0', true);  -- it may wait for a vacuum: nobody queues behind it
    alter table public.orders validate constraint orders_status_check;
  end if;
end
$crossfade$;

-- The check proves it, so the table is not read again; then the check has served its purpose.
-- Locks orders ACCESS EXCLUSIVE; instant.
do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass('public.orders') and conname = 'crossfade_not_null_orders_amount_cents') then
    alter table public.orders alter column amount_cents set not null;
    alter table public.orders drop constraint crossfade_not_null_orders_amount_cents;
  end if;
end
$crossfade$;

-- The check proves it, so the table is not read again; then the check has served its purpose.
-- Locks orders ACCESS EXCLUSIVE; instant.
do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass('public.orders') and conname = 'crossfade_not_null_orders_status') then
    alter table public.orders alter column status set not null;
    alter table public.orders drop constraint crossfade_not_null_orders_status;
  end if;
end
$crossfade$;

-- All of this in one transaction, and once: the journal knows when it is done.
do $crossfade$
declare
  granted record;
begin
  if exists (select from crossfade.journal where release = 'sprint_123' and step = 'contract02.swap.orders' and finished_at is not null) then
    return;
  end if;

  -- In the same transaction as the columns: no write is ever without the one and with the other.
  -- Locks orders ACCESS EXCLUSIVE; instant.
  drop trigger if exists zz_crossfade_sync_orders_insert on public.orders;
  drop trigger if exists zz_crossfade_sync_orders_update on public.orders;
  drop function if exists crossfade.sync_orders();

  -- The old shape goes: only names in the catalog, the rows are not touched.
  -- Locks orders ACCESS EXCLUSIVE; instant.
  alter table public.orders
    drop column state;

  insert into crossfade.journal (release, step, finished_at) values ('sprint_123', 'contract02.swap.orders', now());
end
$crossfade$;

update crossfade.revision set contract = 'sprint_123_contract02' where release = 'sprint_123' and contract is distinct from 'sprint_123_contract02';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade.revision set phase = 'contract' where release = 'sprint_123' and phase = 'migrate';
