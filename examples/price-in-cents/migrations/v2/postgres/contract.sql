-- contract v1 -> v2: takes away what only version v1 used. There is no way back.
--
--   from      v1
--   to        v2
--   access    versioned: version v2 uses namespace public_v2
--   revisions v2_contract01 to v2_contract01
--
-- Run it with:  psql -X -v ON_ERROR_STOP=1 -f contract.sql
-- Before it:    migrate.sql has finished, and no client of version v1 is left
-- After it:     the database is at version v2
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
  if latest.release is distinct from 'v2' or latest.phase in ('begun', 'expand') then
    raise exception 'contract of % can''t run before its migrate has finished', 'v2'
      using hint = case
        when latest.release is distinct from 'v2' or latest.phase = 'begun' then
          'Run expand.sql first: psql -X -v ON_ERROR_STOP=1 -f expand.sql'
        else 'Run migrate.sql first: psql -X -v ON_ERROR_STOP=1 -f migrate.sql'
      end;
  end if;
  if exists (select from crossfade.failing_row where release = 'v2') then
    raise exception 'contract of % can''t run while crossfade.failing_row holds rows that could not be filled', 'v2';
  end if;
  if exists (select from crossfade.journal where release = 'v2' and step like 'drain %') then
    raise exception 'contract of % can''t run while a version is drained: nothing was changed', 'v2'
      using hint = (select format('Run this first: crossfade drain %s --undo', substr(min(step), 7))
                    from crossfade.journal where release = 'v2' and step like 'drain %');
  end if;
end
$crossfade$;

-- Both shapes must say the same of every row.
-- Locks items ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
<<crossfade_job>>
declare
  found bigint;
  sample text;
  line record;
  problem text;
begin
  if not ((select count(*) from pg_attribute where attrelid = to_regclass('public.items') and attname in ('price', 'crossfade_new_price') and not attisdropped) = 2) then
    return;
  end if;
  begin
    select count(*) into found from public.items where case when not (price is distinct from (crossfade_new_price / 100.0)::numeric(12,2)) then false else crossfade_new_price is distinct from (round(price * 100))::bigint end;
  exception
    when others then
      -- An expression has no answer to some row. Which one is told by looking at each alone.
      found := 0;
      for line in select ctid, concat_ws(', ', items.id) as key from public.items loop
        problem := null;
        begin
          continue when not exists (select from public.items where ctid = crossfade_job.line.ctid and (price is distinct from (crossfade_new_price / 100.0)::numeric(12,2)));
        exception
          when others then
            problem := sqlerrm;
        end;
        begin
          continue when not exists (select from public.items where ctid = crossfade_job.line.ctid and (crossfade_new_price is distinct from (round(price * 100))::bigint));
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
      from (select concat_ws(', ', items.id) as key from public.items where case when not (price is distinct from (crossfade_new_price / 100.0)::numeric(12,2)) then false else crossfade_new_price is distinct from (round(price * 100))::bigint end limit 5) as samples;
    end if;
    raise exception 'items: price and crossfade_new_price disagree: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;

-- crossfade_new_price becomes NOT NULL.
-- Locks items ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
declare
  found bigint;
  sample text;
begin
  if not (exists (select from pg_attribute where attrelid = to_regclass('public.items') and attname = 'crossfade_new_price' and not attnotnull and not attisdropped)) then
    return;
  end if;
  select count(*) into found from public.items where crossfade_new_price is null;
  if found > 0 then
    select string_agg(key, '; ') into sample
    from (select concat_ws(', ', items.id) as key from public.items where crossfade_new_price is null limit 5) as samples;
    raise exception 'items: crossfade_new_price is NULL: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;


-- ====================================================================================================
-- v2_contract01: table items
-- ====================================================================================================

-- From now on NULL is refused; the rows that are there are not read yet.
-- Locks items ACCESS EXCLUSIVE; instant.
do $crossfade$
begin
  if to_regclass('public.items') is not null
    and exists (select from pg_attribute where attrelid = to_regclass('public.items') and attname = 'crossfade_new_price' and not attnotnull and not attisdropped)
    and not exists (select from pg_constraint where conrelid = to_regclass('public.items') and conname = 'crossfade_not_null_items_crossfade_new_price') then
    alter table public.items add constraint crossfade_not_null_items_crossfade_new_price check (crossfade_new_price is not null) not valid;
  end if;
end
$crossfade$;

-- Proved for the rows that are there, in a transaction of its own: the table is read, and nobody waits.
-- Locks items SHARE UPDATE EXCLUSIVE; scan.
do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass('public.items') and conname = 'crossfade_not_null_items_crossfade_new_price' and not convalidated) then
    perform set_config('lock_timeout', '0', true);  -- it may wait for a vacuum: nobody queues behind it
    alter table public.items validate constraint crossfade_not_null_items_crossfade_new_price;
  end if;
end
$crossfade$;

-- The check proves it, so the table is not read again; then the check has served its purpose.
-- Locks items ACCESS EXCLUSIVE; instant.
do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass('public.items') and conname = 'crossfade_not_null_items_crossfade_new_price') then
    alter table public.items alter column crossfade_new_price set not null;
    alter table public.items drop constraint crossfade_not_null_items_crossfade_new_price;
  end if;
end
$crossfade$;

-- The namespace of version v1, if its clients came through one: nobody uses it any more.
-- Locks nothing that clients use; instant.
do $crossfade$
begin
  if to_regnamespace('public_v1') is not null then
    drop view if exists public_v1.items;
    drop schema public_v1;
  end if;
end
$crossfade$;

-- All of this in one transaction, and once: the journal knows when it is done.
do $crossfade$
declare
  granted record;
begin
  if exists (select from crossfade.journal where release = 'v2' and step = 'contract01.swap.items' and finished_at is not null) then
    return;
  end if;

  -- Nobody needs to be told apart any more: the view goes straight to the table.
  -- Locks nothing that clients use; instant.
  create or replace view public_v2.items with (security_invoker = true) as
    select id, name, crossfade_new_price as price
    from public.items;
  drop view if exists crossfade.public_v2__items;

  -- In the same transaction as the columns: no write is ever without the one and with the other.
  -- Locks items ACCESS EXCLUSIVE; instant.
  drop trigger if exists zz_crossfade_sync_items_insert on public.items;
  drop trigger if exists zz_crossfade_sync_items_update on public.items;
  drop function if exists crossfade.sync_items();

  -- Its place is taken by the one that was built for the new shape.
  -- Locks items ACCESS EXCLUSIVE; instant.
  drop index if exists public.items_price_idx;

  -- The old shape goes, and the new one takes its names.
  -- Locks items ACCESS EXCLUSIVE; instant.
  alter table public.items
    drop column price,
    drop column crossfade_writer;
  alter table public.items rename column crossfade_new_price to price;

  -- crossfade_new_items_price_idx is called items_price_idx from now on.
  -- Locks nothing that clients use; instant.
  alter index if exists public.crossfade_new_items_price_idx rename to items_price_idx;

  -- Names by convention follow: sequences of identity columns, and NOT NULL constraints where the server names them.
  -- Locks items ACCESS EXCLUSIVE; instant.
  for granted in
    with named as (
      -- As the server itself cuts names that are too long: the longer of the two parts gives way.
      select c.oid, c.relname, a.attname, a.attnum,
             format('%s_%s_seq', left(c.relname::text, greatest(58 - length(a.attname), 29)),
                    left(a.attname::text, greatest(58 - length(c.relname), 29))) as sequence,
             format('%s_%s_not_null', left(c.relname::text, greatest(53 - length(a.attname), 27)),
                    left(a.attname::text, greatest(53 - length(c.relname), 26))) as not_null
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.oid = to_regclass('public.items')
    )
    select format('alter sequence %s rename to %I', d.objid::regclass, named.sequence) as statement
    from named
    join pg_depend d on d.refobjid = named.oid and d.refobjsubid = named.attnum and d.classid = 'pg_class'::regclass and d.deptype = 'i'
    join pg_class s on s.oid = d.objid and s.relkind = 'S' and s.relname <> named.sequence
    union all
    select format('alter table %s rename constraint %I to %I', c.conrelid::regclass, c.conname, named.not_null)
    from named
    join pg_constraint c on c.conrelid = named.oid and c.contype = 'n' and c.conkey[1] = named.attnum and c.conname <> named.not_null
  loop
    execute granted.statement;
  end loop;

  -- Only the new version is left: its defaults become the table's.
  -- Locks items ACCESS EXCLUSIVE; instant.
  alter table public.items alter column price set default 0;
  alter view public_v2.items alter column price drop default;

  insert into crossfade.journal (release, step, finished_at) values ('v2', 'contract01.swap.items', now());
end
$crossfade$;

update crossfade.revision set contract = 'v2_contract01' where release = 'v2' and contract is distinct from 'v2_contract01';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade.revision set phase = 'contract' where release = 'v2' and phase = 'migrate';
