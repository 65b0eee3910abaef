-- contract newton -> ocata: takes away what only version newton used. There is no way back.
--
--   from      newton
--   to        ocata
--   access    shared: both versions use one namespace
--   revisions ocata_contract01 to ocata_contract01
--
-- Run it with:  psql -X -v ON_ERROR_STOP=1 -f contract.sql
-- Before it:    migrate.sql has finished, and no client of version newton is left
-- After it:     the database is at version ocata
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
  if latest.release is distinct from 'ocata' or latest.phase in ('begun', 'expand') then
    raise exception 'contract of % can''t run before its migrate has finished', 'ocata'
      using hint = case
        when latest.release is distinct from 'ocata' or latest.phase = 'begun' then
          'Run expand.sql first: psql -X -v ON_ERROR_STOP=1 -f expand.sql'
        else 'Run migrate.sql first: psql -X -v ON_ERROR_STOP=1 -f migrate.sql'
      end;
  end if;
  if exists (select from crossfade.failing_row where release = 'ocata') then
    raise exception 'contract of % can''t run while crossfade.failing_row holds rows that could not be filled', 'ocata';
  end if;
end
$crossfade$;

-- Both shapes must say the same of every row.
-- Locks images ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
<<crossfade_job>>
declare
  found bigint;
  sample text;
  line record;
  problem text;
begin
  if not ((select count(*) from pg_attribute where attrelid = to_regclass('public.images') and attname in ('is_public', 'visibility') and not attisdropped) = 2) then
    return;
  end if;
  begin
    select count(*) into found from public.images where case when not (is_public is distinct from (visibility = 'public')::boolean) then false when not (visibility is distinct from (case when is_public then 'public' else 'shared' end)::public.visibility) then false else visibility is distinct from (case when images.is_public then 'public'
     when exists (select 1 from public.image_members m where m.image_id = images.id and not m.deleted) then 'shared'
     else 'private' end)::public.visibility end;
  exception
    when others then
      -- An expression has no answer to some row. Which one is told by looking at each alone.
      found := 0;
      for line in select ctid, concat_ws(', ', images.id) as key from public.images loop
        problem := null;
        begin
          continue when not exists (select from public.images where ctid = crossfade_job.line.ctid and (is_public is distinct from (visibility = 'public')::boolean));
        exception
          when others then
            problem := sqlerrm;
        end;
        begin
          continue when not exists (select from public.images where ctid = crossfade_job.line.ctid and (visibility is distinct from (case when is_public then 'public' else 'shared' end)::public.visibility));
        exception
          when others then
            problem := sqlerrm;
        end;
        begin
          continue when not exists (select from public.images where ctid = crossfade_job.line.ctid and (visibility is distinct from (case when images.is_public then 'public'
     when exists (select 1 from public.image_members m where m.image_id = images.id and not m.deleted) then 'shared'
     else 'private' end)::public.visibility));
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
      from (select concat_ws(', ', images.id) as key from public.images where case when not (is_public is distinct from (visibility = 'public')::boolean) then false when not (visibility is distinct from (case when is_public then 'public' else 'shared' end)::public.visibility) then false else visibility is distinct from (case when images.is_public then 'public'
     when exists (select 1 from public.image_members m where m.image_id = images.id and not m.deleted) then 'shared'
     else 'private' end)::public.visibility end limit 5) as samples;
    end if;
    raise exception 'images: is_public and visibility disagree: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;

-- visibility becomes NOT NULL.
-- Locks images ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
declare
  found bigint;
  sample text;
begin
  if not (exists (select from pg_attribute where attrelid = to_regclass('public.images') and attname = 'visibility' and not attnotnull and not attisdropped)) then
    return;
  end if;
  select count(*) into found from public.images where visibility is null;
  if found > 0 then
    select string_agg(key, '; ') into sample
    from (select concat_ws(', ', images.id) as key from public.images where visibility is null limit 5) as samples;
    raise exception 'images: visibility is NULL: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;


-- ====================================================================================================
-- ocata_contract01: enum visibility, table images
-- ====================================================================================================

-- From now on NULL is refused; the rows that are there are not read yet.
-- Locks images ACCESS EXCLUSIVE; instant.
do $crossfade$
begin
  if to_regclass('public.images') is not null
    and exists (select from pg_attribute where attrelid = to_regclass('public.images') and attname = 'visibility' and not attnotnull and not attisdropped)
    and not exists (select from pg_constraint where conrelid = to_regclass('public.images') and conname = 'crossfade_not_null_images_visibility') then
    alter table public.images add constraint crossfade_not_null_images_visibility check (visibility is not null) not valid;
  end if;
end
$crossfade$;

-- Proved for the rows that are there, in a transaction of its own: the table is read, and nobody waits.
-- Locks images SHARE UPDATE EXCLUSIVE; scan.
do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass('public.images') and conname = 'crossfade_not_null_images_visibility' and not convalidated) then
    perform set_config('lock_timeout', '0', true);  -- it may wait for a vacuum: nobody queues behind it
    alter table public.images validate constraint crossfade_not_null_images_visibility;
  end if;
end
$crossfade$;

-- The check proves it, so the table is not read again; then the check has served its purpose.
-- Locks images ACCESS EXCLUSIVE; instant.
do $crossfade$
begin
  if exists (select from pg_constraint where conrelid = to_regclass('public.images') and conname = 'crossfade_not_null_images_visibility') then
    alter table public.images alter column visibility set not null;
    alter table public.images drop constraint crossfade_not_null_images_visibility;
  end if;
end
$crossfade$;

-- The namespace of version newton, if its clients came through one: nobody uses it any more.
-- Locks nothing that clients use; instant.
do $crossfade$
begin
  if to_regnamespace('public_newton') is not null then
    drop view if exists public_newton.image_members, public_newton.images;
    drop schema public_newton;
  end if;
end
$crossfade$;

-- Only the old version looked rows up by it.
-- Locks images SHARE UPDATE EXCLUSIVE; instant.
set lock_timeout = 0;  -- it waits for older snapshots and holds nobody up
drop index concurrently if exists public.ix_images_is_public;
set lock_timeout = '300ms';

-- All of this in one transaction, and once: the journal knows when it is done.
do $crossfade$
declare
  granted record;
begin
  if exists (select from crossfade.journal where release = 'ocata' and step = 'contract01.swap.images' and finished_at is not null) then
    return;
  end if;

  -- In the same transaction as the columns: no write is ever without the one and with the other.
  -- Locks images ACCESS EXCLUSIVE; instant.
  drop trigger if exists zz_crossfade_sync_images_insert on public.images;
  drop trigger if exists zz_crossfade_sync_images_update on public.images;
  drop function if exists crossfade.sync_images();

  -- The old shape goes: only names in the catalog, the rows are not touched.
  -- Locks images ACCESS EXCLUSIVE; instant.
  alter table public.images
    drop column is_public;

  -- Only the new version is left: its defaults become the table's.
  -- Locks images ACCESS EXCLUSIVE; instant.
  alter table public.images alter column visibility set default 'shared';

  insert into crossfade.journal (release, step, finished_at) values ('ocata', 'contract01.swap.images', now());
end
$crossfade$;

update crossfade.revision set contract = 'ocata_contract01' where release = 'ocata' and contract is distinct from 'ocata_contract01';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade.revision set phase = 'contract' where release = 'ocata' and phase = 'migrate';
