-- abort ocata: takes a half-done first installation back, and all rows with it.
--
--   from      nothing: a first installation
--   to        ocata
--   access    shared: both versions use the tables
--   revisions ocata_migrate01, ocata_expand01
--
-- Run it with:  sqlite3 -bail app.db < abort.sql
-- Before it:    contract.sql has not begun, and no client of version ocata is left
-- After it:     the database is at no version; expand.sql works again
--
-- It is one transaction: all of it happens or nothing. After a failure or a kill run it again; a second run refuses, says
-- what comes next, and changes nothing. Writers wait for its end; readers do not where the file has a write-ahead log.
-- A driver runs it as it is, on a connection of its own: after a failure roll back, and close the connection in any case.

pragma foreign_keys = off;  -- while tables are made anew nothing may cascade; it has no effect inside of a transaction
begin immediate;

-- ====================================================================================================
-- Gates
-- ====================================================================================================

-- The version tables: how far this database is. They stay.
create table if not exists crossfade_revision (
  ordinal     integer primary key autoincrement,
  release     text not null unique,
  old_version text,
  new_version text not null,
  changes     integer not null,
  phase       text not null,    -- the last phase that is finished: begun, expand, migrate, contract; or aborted
  expand      text,             -- the last revision of each phase
  migrate     text,
  contract    text,
  begun_at    text not null default current_timestamp
);
create table if not exists crossfade_journal (
  release     text not null,
  step        text not null,
  hash        text,
  started_at  text not null default current_timestamp,
  finished_at text,
  attempts    integer not null default 1,
  error       text,
  primary key (release, step)
);
create table if not exists crossfade_checkpoint (
  release     text not null,
  backfill    text not null,
  part        integer not null default 0,
  last_key    text,             -- the last key that is done, as a JSON array
  top_key     text,             -- the last key there was when the backfill began
  rows        integer not null default 0,
  finished_at text,
  primary key (release, backfill, part)
);
create table if not exists crossfade_failing_row (
  release     text not null,
  backfill    text not null,
  row_key     text not null,
  error       text not null,
  primary key (release, backfill, row_key)
);
-- What an application asks to learn which versions this database serves.
create view if not exists crossfade_version as
  select old_version, new_version, phase, coalesce(contract, migrate, expand, '') as revision
  from crossfade_revision
  where phase <> 'aborted'
  order by ordinal desc
  limit 1;
-- An insert into this table runs what stands in the way; it is gone with the connection.
create temp table crossfade_gate (asked integer);
create temp view crossfade_latest as
  select * from crossfade_revision where phase <> 'aborted' order by ordinal desc limit 1;

-- Nothing is changed once contract has run: from there on there is only forward.
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'these scripts need SQLite 3.40 or later')
  where cast(sqlite_version() as integer) < 3
    or (cast(sqlite_version() as integer) = 3 and cast(substr(sqlite_version(), instr(sqlite_version(), '.') + 1) as integer) < 40);
  select raise(rollback, 'ocata can''t be aborted any more: its contract is done')
  from crossfade_revision where release = 'ocata' and phase = 'contract';
  select raise(rollback, 'abort of ocata is done, and nothing was changed now: expand.sql begins it anew')
  from crossfade_revision where release = 'ocata' and phase = 'aborted';
  select raise(rollback, 'there is nothing to abort: expand of ocata has never run here')
  where not exists (select 1 from crossfade_revision where release = 'ocata');
  select raise(rollback, 'ocata is long past: see crossfade_version')
  from crossfade_latest where release <> 'ocata';
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;


-- ====================================================================================================
-- ocata_migrate01, ocata_expand01: table users
-- ====================================================================================================

-- Takes back: create table users
drop table users;


-- ====================================================================================================
-- Done
-- ====================================================================================================
delete from crossfade_failing_row where release = 'ocata';
delete from crossfade_checkpoint where release = 'ocata';
delete from crossfade_journal where release = 'ocata';
update crossfade_revision set phase = 'aborted', expand = null, migrate = null where release = 'ocata';
drop view temp.crossfade_latest;
drop table temp.crossfade_gate;
commit;
