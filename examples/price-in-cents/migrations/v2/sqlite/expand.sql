-- expand v1 -> v2: adds what version v2 needs, and keeps both shapes in step. Version v1 does not notice.
--
--   from      v1
--   to        v2
--   access    versioned: version v2 uses views called TABLE__v2
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
  select raise(rollback, 'there is no table items: is this the right database?')
  where not exists (select 1 from sqlite_schema where type = 'table' and name = 'items' collate nocase);
  select raise(rollback, 'table items is WITHOUT ROWID: its triggers could not name a row')
  where exists (select 1 from pragma_table_list where schema = 'main' and name = 'items' collate nocase and wr);
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
-- v2_expand01: table items
-- ====================================================================================================

-- What the new version has besides: crossfade_new_price. The default of crossfade_writer stands for the old version;
-- the new one's view says 2.
-- Instant.
alter table items add column crossfade_new_price bigint;
alter table items add column crossfade_writer smallint default 1;

-- From its commit on no write is one-sided: whichever version writes, the other one's columns follow in the same row.
-- Instant.
-- the old version inserted
create trigger zz_crossfade_sync_items_insert_1_old after insert on items
when new.crossfade_writer is not 2
  and new.crossfade_new_price is not cast((round(new.price * 100)) as numeric)
begin
  update items set crossfade_new_price = (round(new.price * 100)) where _rowid_ = new._rowid_;
end;
-- the new version wrote crossfade_new_price
create trigger zz_crossfade_sync_items_update_1_new after update on items
when new.crossfade_new_price is not old.crossfade_new_price
  and new.crossfade_new_price is not cast((round(new.price * 100)) as numeric)
  and new.price is not cast((new.crossfade_new_price / 100.0) as numeric)
begin
  update items set price = (new.crossfade_new_price / 100.0) where _rowid_ = new._rowid_;
end;
-- the old version changed price
create trigger zz_crossfade_sync_items_update_1_old after update on items
when new.price is not old.price
  and not (new.crossfade_new_price is not old.crossfade_new_price)
  and new.crossfade_new_price is not cast((round(new.price * 100)) as numeric)
  and new.price is not cast((new.crossfade_new_price / 100.0) as numeric)
begin
  update items set crossfade_new_price = (round(new.price * 100)) where _rowid_ = new._rowid_;
end;

-- What version v2 sees of items. The view behind it marks every row that comes through it, so that the trigger knows
-- who wrote.
-- Instant.
create view items__v2 as
  select id, name, crossfade_new_price as price from items;
create trigger items__v2_insert instead of insert on items__v2
begin
  insert into items (id, name, crossfade_new_price, price, crossfade_writer)
  select crossfade_row.id, crossfade_row.name, crossfade_row.crossfade_new_price, (crossfade_new_price / 100.0), 2
  from (select new.id as id, new.name as name, coalesce(new.price, 0) as crossfade_new_price) as crossfade_row;
end;
create trigger items__v2_update instead of update on items__v2
begin
  update items set id = new.id, name = new.name, crossfade_new_price = new.price
  where id is old.id;
end;
create trigger items__v2_delete instead of delete on items__v2
begin
  delete from items where id is old.id;
end;

update crossfade_revision set expand = 'v2_expand01' where release = 'v2';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade_revision set phase = 'expand' where release = 'v2';
drop view temp.crossfade_latest;
drop table temp.crossfade_gate;
commit;
