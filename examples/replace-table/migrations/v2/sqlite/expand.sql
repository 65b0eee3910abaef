-- expand v1 -> v2: adds what version v2 needs, and keeps both shapes in step. Version v1 does not notice.
--
--   from      v1
--   to        v2
--   access    shared: both versions use the tables
--   revisions v2_expand01 to v2_expand01
--
-- Run it with:  sqlite3 -bail app.db < expand.sql
-- Before it:    the database is at version v1, and no other upgrade is half done
-- After it:     run migrate.sql; abort.sql takes it back
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

-- Nothing is changed unless the database is where this script starts from.
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'these scripts need SQLite 3.40 or later')
  where cast(sqlite_version() as integer) < 3
    or (cast(sqlite_version() as integer) = 3 and cast(substr(sqlite_version(), instr(sqlite_version(), '.') + 1) as integer) < 40);
  select raise(rollback, 'v2 is contracted already: there is nothing to expand')
  from crossfade_latest where release = 'v2' and phase = 'contract';
  select raise(rollback, 'expand of v2 is done, and nothing was changed now: run migrate.sql next, or abort.sql to go back')
  from crossfade_latest where release = 'v2' and phase = 'expand';
  select raise(rollback, 'expand of v2 is done and so is its migrate, and nothing was changed now: run contract.sql next, or abort.sql to go back')
  from crossfade_latest where release = 'v2' and phase = 'migrate';
  select raise(rollback, 'v2 is long done: see crossfade_version')
  from crossfade_latest
  where release <> 'v2' and exists (select 1 from crossfade_revision where release = 'v2' and phase <> 'aborted');
  select raise(rollback, 'the upgrade before this one is not finished: run its contract.sql first, or its abort.sql to go back')
  from crossfade_latest
  where release <> 'v2' and phase <> 'contract'
    and not (old_version is null and phase in ('expand', 'migrate'));  -- a first installation is all in expand
  select raise(rollback, 'this script starts from version v1, and the database is at another one: see crossfade_version')
  from crossfade_latest where release <> 'v2' and new_version <> 'v1';
  select raise(rollback, 'there is no table old: is this the right database?')
  where not exists (select 1 from sqlite_schema where type = 'table' and name = 'old' collate nocase);
  select raise(rollback, 'table old is WITHOUT ROWID: its triggers could not name a row')
  where exists (select 1 from pragma_table_list where schema = 'main' and name = 'old' collate nocase and wr);
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;
insert into crossfade_revision (release, old_version, new_version, changes, phase)
select 'v1', null, 'v1', 0, 'contract'
where not exists (select 1 from crossfade_revision);
delete from crossfade_revision where release = 'v2' and phase = 'aborted';  -- another upgrade may have come between
insert into crossfade_revision (release, old_version, new_version, changes, phase)
values ('v2', 'v1', 'v2', 1, 'begun');


-- ====================================================================================================
-- v2_expand01: table new
-- ====================================================================================================

-- What the new version has besides: y. The default of crossfade_writer stands for the old version; the new one's view
-- says 2.
-- Instant.
alter table old add column y text;
alter table old add column crossfade_writer smallint default 1;

-- From its commit on no write is one-sided: whichever version writes, the other one's columns follow in the same row.
-- Instant.
-- In a statement on this table a bare new.x would be the table's own; (select new.x) is the written row's.
-- the old version inserted
create trigger zz_crossfade_sync_old_insert_1_old after insert on old
when new.crossfade_writer is not 2
  and new.y is not cast((cast(new.b as text)) as text)
begin
  update old set y = (select (cast(new.b as text))) where _rowid_ = (select new._rowid_);
end;
-- the new version wrote y
create trigger zz_crossfade_sync_old_update_1_new after update on old
when new.y is not old.y
  and new.y is not cast((cast(new.b as text)) as text)
  and new.b is not cast((case when cast(cast(new.y as integer) as text) = new.y then cast(new.y as integer) end) as numeric)
begin
  update old set b = (select (case when cast(cast(new.y as integer) as text) = new.y then cast(new.y as integer) end)) where _rowid_ = (select new._rowid_);
end;
-- the old version changed b
create trigger zz_crossfade_sync_old_update_1_old after update on old
when new.b is not old.b
  and not (new.y is not old.y)
  and new.y is not cast((cast(new.b as text)) as text)
  and new.b is not cast((case when cast(cast(new.y as integer) as text) = new.y then cast(new.y as integer) end) as numeric)
begin
  update old set y = (select (cast(new.b as text))) where _rowid_ = (select new._rowid_);
end;

-- What version v2 sees of new. The view behind it marks every row that comes through it, so that the trigger knows
-- who wrote.
-- Instant.
create view new as
  select id, a as x, y from old;
create trigger new_insert instead of insert on new
begin
  insert into old (id, a, y, b, crossfade_writer)
  select crossfade_row.id, crossfade_row.a, crossfade_row.y, (case when cast(cast(y as integer) as text) = y then cast(y as integer) end), 2
  from (select new.id as id, new.x as a, new.y as y) as crossfade_row;
end;
-- In a statement on that table a bare new.x or old.x would be the table's own; (select new.x) is the written row's.
create trigger new_update instead of update on new
begin
  update old set id = (select new.id), a = (select new.x), y = (select new.y)
  where id is (select old.id);
end;
create trigger new_delete instead of delete on new
begin
  delete from old where id is (select old.id);
end;

update crossfade_revision set expand = 'v2_expand01' where release = 'v2';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade_revision set phase = 'expand' where release = 'v2';
drop view temp.crossfade_latest;
drop table temp.crossfade_gate;
commit;
