-- contract v1 -> v2: takes away what only version v1 used. There is no way back.
--
--   from      v1
--   to        v2
--   access    shared: both versions use the tables
--   revisions v2_contract01 to v2_contract01
--
-- Run it with:  sqlite3 -bail app.db < contract.sql
-- Before it:    migrate.sql has finished, and no client of version v1 is left
-- After it:     the database is at version v2
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

-- Nothing is changed unless migrate has finished.
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'these scripts need SQLite 3.40 or later')
  where cast(sqlite_version() as integer) < 3
    or (cast(sqlite_version() as integer) = 3 and cast(substr(sqlite_version(), instr(sqlite_version(), '.') + 1) as integer) < 40);
  select raise(rollback, 'contract of v2 can''t run before its migrate has finished: run expand.sql first, then migrate.sql')
  where not exists (select 1 from crossfade_latest where release = 'v2' and phase <> 'begun');
  select raise(rollback, 'contract of v2 can''t run before its migrate has finished: run migrate.sql first')
  from crossfade_latest where phase = 'expand';
  select raise(rollback, 'contract of v2 is done, and nothing was changed now: the upgrade is through, nothing comes next')
  from crossfade_latest where phase = 'contract';
  select raise(rollback, 'contract of v2 can''t run while crossfade_failing_row holds rows that could not be filled')
  where exists (select 1 from crossfade_failing_row where release = 'v2');
  select raise(rollback, 'table old is STRICT or WITHOUT ROWID, which writing it anew would lose')
  where exists (select 1 from pragma_table_list where schema = 'main' and name = 'old' collate nocase and (wr or strict));
  select raise(rollback, 'table old has a column that no snapshot knows, and that writing it anew would lose: put it into the snapshots')
  where exists (select 1 from pragma_table_xinfo('old') where name collate nocase not in ('a', 'b', 'crossfade_writer', 'id', 'x', 'y'));
  select raise(rollback, 'table old has an index that no snapshot knows, and that writing it anew would lose: put it into the snapshots')
  where exists (
    select 1 from sqlite_schema
    where type = 'index' and tbl_name = 'old' collate nocase and sql is not null and name collate nocase not in (''));
  select raise(rollback, 'table old has a trigger of its own, which writing it anew would lose: drop it, and make it again afterwards')
  where exists (
    select 1 from sqlite_schema
    where type = 'trigger' and tbl_name = 'old' collate nocase and name not like 'zz!_crossfade!_%' escape '!');
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;

-- How many references of the tables that are written anew lead nowhere, before and afterwards: there must not be more.
create temp table crossfade_orphans as
  select count(*) as before
  from (select name from sqlite_schema as s
        where type = 'table'
          and (name collate nocase in ('old')
               or exists (select 1 from pragma_foreign_key_list(s.name) as k where k."table" collate nocase in ('old')))) as t,
       pragma_foreign_key_check(t.name);

-- Both shapes must say the same of every row.
-- Scan.
select 'refused: old: b and y disagree: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select old.id as found from old where b is not cast((case when cast(cast(y as integer) as text) = y then cast(y as integer) end) as numeric) and y is not cast((cast(b as text)) as text) limit 5)) || '): nothing was lost and nothing was changed. Change these rows, then run this script again.'
from old
where b is not cast((case when cast(cast(y as integer) as text) = y then cast(y as integer) end) as numeric) and y is not cast((cast(b as text)) as text)
having count(*) > 0;
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'old: b and y disagree: nothing was lost and nothing was changed. Change these rows, then run this script again.')
  where exists (select 1 from old where b is not cast((case when cast(cast(y as integer) as text) = y then cast(y as integer) end) as numeric) and y is not cast((cast(b as text)) as text));
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;


-- ====================================================================================================
-- v2_contract01: table new
-- ====================================================================================================

-- The namespace of version v1, if its clients came through one: nobody uses it any more.
-- Instant.
drop view if exists old__v1;

-- The table itself is about to be called new.
-- Instant.
drop view if exists new;

-- In the same transaction as the columns: no write is ever without the one and with the other.
-- Instant.
drop trigger if exists zz_crossfade_sync_old_insert_1_old;
drop trigger if exists zz_crossfade_sync_old_update_1_new;
drop trigger if exists zz_crossfade_sync_old_update_1_old;

-- Written anew, since there is no ALTER for it: rename constraint new_pkey.
-- Rewrite.
create table crossfade_rebuild_old (
  id integer primary key autoincrement not null,
  x text not null,
  y text
);
insert into crossfade_rebuild_old (id, x, y)
select id, a, y
from old;
delete from sqlite_sequence where name = 'crossfade_rebuild_old';  -- it counts on where the old table stopped
insert into sqlite_sequence (name, seq) select 'crossfade_rebuild_old', seq from sqlite_sequence where name = 'old';
drop table old;
pragma legacy_alter_table = on;  -- who mentions the table by its name shall mention this one now, unchanged
alter table crossfade_rebuild_old rename to old;
pragma legacy_alter_table = off;

-- The table gets the name that the new version has known it by: new.
-- Instant.
pragma legacy_alter_table = off;  -- keys of other tables follow the name
alter table old rename to new;

update crossfade_revision set contract = 'v2_contract01' where release = 'v2';


-- ====================================================================================================
-- Done
-- ====================================================================================================
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'references lead nowhere that led somewhere before; nothing was changed')
  from crossfade_orphans
  where before < (
    select count(*)
    from (select name from sqlite_schema as s
          where type = 'table'
            and (name collate nocase in ('old')
                 or exists (select 1 from pragma_foreign_key_list(s.name) as k where k."table" collate nocase in ('old')))) as t,
         pragma_foreign_key_check(t.name));
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;
drop table crossfade_orphans;

update crossfade_revision set phase = 'contract' where release = 'v2';
drop view temp.crossfade_latest;
drop table temp.crossfade_gate;
commit;
