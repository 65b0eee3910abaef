-- expand ocata -> pike: adds what version pike needs, and keeps both shapes in step. Version ocata does not notice.
--
--   from      ocata
--   to        pike
--   access    shared: both versions use the tables
--   revisions pike_expand01 to pike_expand01
--
-- Run it with:  sqlite3 -bail app.db < expand.sql
-- Before it:    the database is at version ocata, and no other upgrade is half done
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
  select raise(rollback, 'pike is contracted already: there is nothing to expand')
  from crossfade_latest where release = 'pike' and phase = 'contract';
  select raise(rollback, 'expand of pike is done, and nothing was changed now: run migrate.sql next, or abort.sql to go back')
  from crossfade_latest where release = 'pike' and phase = 'expand';
  select raise(rollback, 'expand of pike is done and so is its migrate, and nothing was changed now: run contract.sql next, or abort.sql to go back')
  from crossfade_latest where release = 'pike' and phase = 'migrate';
  select raise(rollback, 'pike is long done: see crossfade_version')
  from crossfade_latest
  where release <> 'pike' and exists (select 1 from crossfade_revision where release = 'pike' and phase <> 'aborted');
  select raise(rollback, 'the upgrade before this one is not finished: run its contract.sql first, or its abort.sql to go back')
  from crossfade_latest
  where release <> 'pike' and phase <> 'contract'
    and not (old_version is null and phase in ('expand', 'migrate'));  -- a first installation is all in expand
  select raise(rollback, 'this script starts from version ocata, and the database is at another one: see crossfade_version')
  from crossfade_latest where release <> 'pike' and new_version <> 'ocata';
  select raise(rollback, 'there is no table users: is this the right database?')
  where not exists (select 1 from sqlite_schema where type = 'table' and name = 'users' collate nocase);
  select raise(rollback, 'table users is WITHOUT ROWID: its triggers could not name a row')
  where exists (select 1 from pragma_table_list where schema = 'main' and name = 'users' collate nocase and wr);
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;
insert into crossfade_revision (release, old_version, new_version, changes, phase)
select 'ocata', null, 'ocata', 0, 'contract'
where not exists (select 1 from crossfade_revision);
delete from crossfade_revision where release = 'pike' and phase = 'aborted';  -- another upgrade may have come between
insert into crossfade_revision (release, old_version, new_version, changes, phase)
values ('pike', 'ocata', 'pike', 1, 'begun');


-- ====================================================================================================
-- pike_expand01: table users
-- ====================================================================================================

-- What the new version has besides: first_name, last_name.
-- Instant.
alter table users add column first_name text;
alter table users add column last_name text;

-- From its commit on no write is one-sided: whichever version writes, the other one's columns follow in the same row.
-- Instant.
-- the old version inserted
create trigger zz_crossfade_sync_users_insert_1_old after insert on users
when new.first_name is null and new.last_name is null
  and (new.first_name is not cast((substr(new.full_name, 1, instr(new.full_name || ' ', ' ') - 1)) as text) or new.last_name is not cast((substr(new.full_name, nullif(instr(new.full_name, ' '), 0) + 1)) as text))
begin
  update users set first_name = (substr(new.full_name, 1, instr(new.full_name || ' ', ' ') - 1)), last_name = (substr(new.full_name, nullif(instr(new.full_name, ' '), 0) + 1)) where _rowid_ = new._rowid_;
end;
-- the new version wrote first_name, last_name
create trigger zz_crossfade_sync_users_insert_1_new after insert on users
when (new.first_name is not null or new.last_name is not null)
  and (new.first_name is not cast((substr(new.full_name, 1, instr(new.full_name || ' ', ' ') - 1)) as text) or new.last_name is not cast((substr(new.full_name, nullif(instr(new.full_name, ' '), 0) + 1)) as text))
  and new.full_name is not cast((coalesce(new.first_name || ' ' || new.last_name, new.first_name, new.last_name)) as text)
begin
  update users set full_name = (coalesce(new.first_name || ' ' || new.last_name, new.first_name, new.last_name)) where _rowid_ = new._rowid_;
end;
-- the new version wrote a part of first_name, last_name in a row that is not filled yet: the rest comes from the old shape
create trigger zz_crossfade_sync_users_update_1_rest after update on users
when old.first_name is null
  and old.last_name is null
  and old.full_name is not cast((coalesce(old.first_name || ' ' || old.last_name, old.first_name, old.last_name)) as text)
  and (new.first_name is not null or new.last_name is not null)
  and ((new.first_name is null and (substr(old.full_name, 1, instr(old.full_name || ' ', ' ') - 1)) is not null) or (new.last_name is null and (substr(old.full_name, nullif(instr(old.full_name, ' '), 0) + 1)) is not null))
begin
  update users set first_name = coalesce(new.first_name, (substr(old.full_name, 1, instr(old.full_name || ' ', ' ') - 1))), last_name = coalesce(new.last_name, (substr(old.full_name, nullif(instr(old.full_name, ' '), 0) + 1))) where _rowid_ = new._rowid_;
end;
-- the new version wrote first_name, last_name
create trigger zz_crossfade_sync_users_update_1_new after update on users
when (new.first_name is not old.first_name or new.last_name is not old.last_name)
  and (new.first_name is not cast((substr(new.full_name, 1, instr(new.full_name || ' ', ' ') - 1)) as text) or new.last_name is not cast((substr(new.full_name, nullif(instr(new.full_name, ' '), 0) + 1)) as text))
  and new.full_name is not cast((coalesce(new.first_name || ' ' || new.last_name, new.first_name, new.last_name)) as text)
  and not (old.first_name is null and old.last_name is null and old.full_name is not cast((coalesce(old.first_name || ' ' || old.last_name, old.first_name, old.last_name)) as text) and (new.first_name is not null or new.last_name is not null) and ((new.first_name is null and (substr(old.full_name, 1, instr(old.full_name || ' ', ' ') - 1)) is not null) or (new.last_name is null and (substr(old.full_name, nullif(instr(old.full_name, ' '), 0) + 1)) is not null)))
begin
  update users set full_name = (coalesce(new.first_name || ' ' || new.last_name, new.first_name, new.last_name)) where _rowid_ = new._rowid_;
end;
-- the old version changed full_name
create trigger zz_crossfade_sync_users_update_1_old after update on users
when new.full_name is not old.full_name
  and not (new.first_name is not old.first_name or new.last_name is not old.last_name)
  and (new.first_name is not cast((substr(new.full_name, 1, instr(new.full_name || ' ', ' ') - 1)) as text) or new.last_name is not cast((substr(new.full_name, nullif(instr(new.full_name, ' '), 0) + 1)) as text))
  and new.full_name is not cast((coalesce(new.first_name || ' ' || new.last_name, new.first_name, new.last_name)) as text)
begin
  update users set first_name = (substr(new.full_name, 1, instr(new.full_name || ' ', ' ') - 1)), last_name = (substr(new.full_name, nullif(instr(new.full_name, ' '), 0) + 1)) where _rowid_ = new._rowid_;
end;

update crossfade_revision set expand = 'pike_expand01' where release = 'pike';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade_revision set phase = 'expand' where release = 'pike';
drop view temp.crossfade_latest;
drop table temp.crossfade_gate;
commit;
