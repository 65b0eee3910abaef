-- migrate v1: a first installation. There are no rows to fill; what is left to build is built.
--
--   from      nothing: a first installation
--   to        v1
--   access    shared: both versions use one namespace
--   revisions v1_migrate01 to v1_migrate01
--
-- Run it with:  psql -X -v ON_ERROR_STOP=1 -f migrate.sql
-- Before it:    expand.sql has finished
-- After it:     start version v1, and run contract.sql; abort.sql still takes it back, rows and all
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

-- Nothing is changed unless expand has finished.
do $crossfade$
declare
  latest crossfade.revision;
begin
  select * into latest from crossfade.revision where phase <> 'aborted' order by ordinal desc limit 1;
  if latest.release is distinct from 'v1' or latest.phase = 'begun' then
    raise exception 'migrate of % can''t run before its expand has finished', 'v1'
      using hint = 'Run expand.sql first: psql -X -v ON_ERROR_STOP=1 -f expand.sql';
  end if;
  if latest.phase = 'contract' then
    raise exception '% is contracted already: there is nothing to migrate', 'v1';
  end if;
end
$crossfade$;


-- ====================================================================================================
-- v1_migrate01: table old
-- ====================================================================================================
-- Nothing to do in this phase.

update crossfade.revision set migrate = 'v1_migrate01' where release = 'v1' and migrate is distinct from 'v1_migrate01';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade.revision set phase = 'migrate' where release = 'v1' and phase = 'expand';
