-- expand ocata: a first installation. Makes all that version ocata needs.
--
--   from      nothing: a first installation
--   to        ocata
--   access    shared: both versions use one namespace
--   revisions ocata_expand01 to ocata_expand01
--
-- Run it with:  psql -X -v ON_ERROR_STOP=1 -f expand.sql
-- Before it:    the database is at no version
-- After it:     run migrate.sql; abort.sql takes it back
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

-- Nothing is changed unless the database is where this script starts from.
do $crossfade$
declare
  latest crossfade.revision;
begin
  if current_setting('server_version_num')::integer < 150000 then
    raise exception 'crossfade needs PostgreSQL 15 or later, and this is %', current_setting('server_version');
  end if;
  select * into latest from crossfade.revision where phase <> 'aborted' order by ordinal desc limit 1;
  if latest.release = 'ocata' and latest.phase = 'contract' then
    raise exception '% is contracted already: there is nothing to expand', 'ocata';
  end if;
  if latest.release <> 'ocata' and exists (select from crossfade.revision where release = 'ocata' and phase <> 'aborted') then
    raise exception '% is long done: this database is at version %', 'ocata', latest.new_version;
  end if;
  if latest.release <> 'ocata' and latest.phase <> 'contract'
    and not (latest.old_version is null and latest.phase in ('expand', 'migrate')) then  -- a first installation is all in expand
    raise exception 'the upgrade to % is not finished', latest.new_version
      using hint = format('Run contract.sql of %s first (or abort.sql, to go back).', latest.new_version);
  end if;
  if latest.release <> 'ocata' then
    raise exception 'this script is a first installation, and the database is at version %', latest.new_version;
  end if;
  insert into crossfade.revision (release, old_version, new_version, changes, phase)
  values ('ocata', null, 'ocata', 1, 'begun')
  on conflict (release) do update  -- it was aborted once, and another upgrade may have come between
  set ordinal = default, old_version = excluded.old_version, new_version = excluded.new_version, changes = excluded.changes,
      phase = 'begun', begun_at = excluded.begun_at
  where revision.phase = 'aborted';
end
$crossfade$;


-- ====================================================================================================
-- ocata_expand01: table users
-- ====================================================================================================

begin;

-- Only the new version knows table users: all its rules bind at once.
-- Locks nothing that clients use; instant.
create table if not exists public.users (
  id bigint generated always as identity,
  full_name text,
  email varchar(320) not null,
  constraint users_pkey primary key (id),
  constraint users_email_key unique (email)
);

commit;

update crossfade.revision set expand = 'ocata_expand01' where release = 'ocata' and expand is distinct from 'ocata_expand01';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade.revision set phase = 'expand' where release = 'ocata' and phase = 'begun';
