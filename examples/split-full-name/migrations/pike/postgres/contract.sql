-- contract ocata -> pike: takes away what only version ocata used. There is no way back.
--
--   from      ocata
--   to        pike
--   access    shared: both versions use one namespace
--   revisions pike_contract01 to pike_contract01
--
-- Run it with:  psql -X -v ON_ERROR_STOP=1 -f contract.sql
-- Before it:    migrate.sql has finished, and no client of version ocata is left
-- After it:     the database is at version pike
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
  if latest.release is distinct from 'pike' or latest.phase in ('begun', 'expand') then
    raise exception 'contract of % can''t run before its migrate has finished', 'pike'
      using hint = case
        when latest.release is distinct from 'pike' or latest.phase = 'begun' then
          'Run expand.sql first: psql -X -v ON_ERROR_STOP=1 -f expand.sql'
        else 'Run migrate.sql first: psql -X -v ON_ERROR_STOP=1 -f migrate.sql'
      end;
  end if;
  if exists (select from crossfade.failing_row where release = 'pike') then
    raise exception 'contract of % can''t run while crossfade.failing_row holds rows that could not be filled', 'pike';
  end if;
end
$crossfade$;

-- Both shapes must say the same of every row.
-- Locks users ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
<<crossfade_job>>
declare
  found bigint;
  sample text;
  line record;
  problem text;
begin
  if not ((select count(*) from pg_attribute where attrelid = to_regclass('public.users') and attname in ('full_name', 'first_name', 'last_name') and not attisdropped) = 3) then
    return;
  end if;
  begin
    select count(*) into found from public.users where case when not (full_name is distinct from (case when first_name is null and last_name is null then null else concat_ws(' ', first_name, last_name) end)::text) then false else first_name is distinct from (split_part(full_name, ' ', 1))::text or last_name is distinct from (substr(full_name, nullif(strpos(full_name, ' '), 0) + 1))::text end;
  exception
    when others then
      -- An expression has no answer to some row. Which one is told by looking at each alone.
      found := 0;
      for line in select ctid, concat_ws(', ', users.id) as key from public.users loop
        problem := null;
        begin
          continue when not exists (select from public.users where ctid = crossfade_job.line.ctid and (full_name is distinct from (case when first_name is null and last_name is null then null else concat_ws(' ', first_name, last_name) end)::text));
        exception
          when others then
            problem := sqlerrm;
        end;
        begin
          continue when not exists (select from public.users where ctid = crossfade_job.line.ctid and (first_name is distinct from (split_part(full_name, ' ', 1))::text or last_name is distinct from (substr(full_name, nullif(strpos(full_name, ' '), 0) + 1))::text));
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
      from (select concat_ws(', ', users.id) as key from public.users where case when not (full_name is distinct from (case when first_name is null and last_name is null then null else concat_ws(' ', first_name, last_name) end)::text) then false else first_name is distinct from (split_part(full_name, ' ', 1))::text or last_name is distinct from (substr(full_name, nullif(strpos(full_name, ' '), 0) + 1))::text end limit 5) as samples;
    end if;
    raise exception 'users: full_name and first_name, last_name disagree: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;


-- ====================================================================================================
-- pike_contract01: table users
-- ====================================================================================================

-- The namespace of version ocata, if its clients came through one: nobody uses it any more.
-- Locks nothing that clients use; instant.
do $crossfade$
begin
  if to_regnamespace('public_ocata') is not null then
    drop view if exists public_ocata.users;
    drop schema public_ocata;
  end if;
end
$crossfade$;

-- All of this in one transaction, and once: the journal knows when it is done.
do $crossfade$
declare
  granted record;
begin
  if exists (select from crossfade.journal where release = 'pike' and step = 'contract01.swap.users' and finished_at is not null) then
    return;
  end if;

  -- In the same transaction as the columns: no write is ever without the one and with the other.
  -- Locks users ACCESS EXCLUSIVE; instant.
  drop trigger if exists zz_crossfade_sync_users_insert on public.users;
  drop trigger if exists zz_crossfade_sync_users_update on public.users;
  drop function if exists crossfade.sync_users();

  -- The old shape goes: only names in the catalog, the rows are not touched.
  -- Locks users ACCESS EXCLUSIVE; instant.
  alter table public.users
    drop column full_name;

  insert into crossfade.journal (release, step, finished_at) values ('pike', 'contract01.swap.users', now());
end
$crossfade$;

update crossfade.revision set contract = 'pike_contract01' where release = 'pike' and contract is distinct from 'pike_contract01';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade.revision set phase = 'contract' where release = 'pike' and phase = 'migrate';
