-- abort v1: takes a half-done first installation back, and all rows with it.
--
--   from      nothing: a first installation
--   to        v1
--   access    shared: both versions use one namespace
--   revisions v1_migrate01, v1_expand01
--
-- Run it with:  psql -X -v ON_ERROR_STOP=1 -f abort.sql
-- Before it:    contract.sql has not begun, and no client of version v1 is left
-- After it:     the database is at no version; expand.sql works again
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

-- Nothing is changed once contract has begun: from there on there is only forward.
do $crossfade$
declare
  latest crossfade.revision;
begin
  select * into latest from crossfade.revision where phase <> 'aborted' order by ordinal desc limit 1;
  if exists (select from crossfade.revision where release = 'v1' and (contract is not null or phase = 'contract'))
    or exists (select from crossfade.journal where release = 'v1' and step like 'contract%') then
    raise exception '% can''t be aborted any more: its contract has begun', 'v1'
      using hint = 'Run contract.sql to its end.';
  end if;
  if not exists (select from crossfade.revision where release = 'v1') then
    raise exception 'there is nothing to abort: expand of % has never run here', 'v1';
  end if;
  if latest.release <> 'v1' and latest.ordinal > (select ordinal from crossfade.revision where release = 'v1') then
    raise exception '% is long past: this database is at version %', 'v1', latest.new_version;
  end if;
  -- From here on nothing counts as done any more: a phase that is run after half an abort does all of it again.
  delete from crossfade.checkpoint where release = 'v1';
  update crossfade.journal set finished_at = null where release = 'v1' and hash is not null;
  update crossfade.revision set phase = 'begun', expand = null, migrate = null where release = 'v1' and phase <> 'aborted';
end
$crossfade$;


-- ====================================================================================================
-- v1_migrate01, v1_expand01: table users
-- ====================================================================================================

-- Takes back: create table users
drop table if exists public.users;


-- ====================================================================================================
-- Done
-- ====================================================================================================
begin;
delete from crossfade.failing_row where release = 'v1';
delete from crossfade.checkpoint where release = 'v1';
delete from crossfade.journal where release = 'v1';
update crossfade.revision set phase = 'aborted', expand = null, migrate = null where release = 'v1';
commit;
