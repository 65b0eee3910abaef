-- contract v1 -> v2: takes away what only version v1 used. There is no way back.
--
--   from      v1
--   to        v2
--   access    versioned: version v2 uses views called TABLE__v2
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
  select raise(rollback, 'table items is STRICT or WITHOUT ROWID, which writing it anew would lose')
  where exists (select 1 from pragma_table_list where schema = 'main' and name = 'items' collate nocase and (wr or strict));
  select raise(rollback, 'table items has a column that no snapshot knows, and that writing it anew would lose: put it into the snapshots')
  where exists (select 1 from pragma_table_xinfo('items') where name collate nocase not in ('crossfade_new_price', 'crossfade_writer', 'id', 'name', 'price'));
  select raise(rollback, 'table items has an index that no snapshot knows, and that writing it anew would lose: put it into the snapshots')
  where exists (
    select 1 from sqlite_schema
    where type = 'index' and tbl_name = 'items' collate nocase and sql is not null and name collate nocase not in ('crossfade_new_items_price_idx', 'items_price_idx'));
  select raise(rollback, 'table items has a trigger of its own, which writing it anew would lose: drop it, and make it again afterwards')
  where exists (
    select 1 from sqlite_schema
    where type = 'trigger' and tbl_name = 'items' collate nocase and name not like 'zz!_crossfade!_%' escape '!');
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;

-- How many references of the tables that are written anew lead nowhere, before and afterwards: there must not be more.
create temp table crossfade_orphans as
  select count(*) as before
  from (select name from sqlite_schema as s
        where type = 'table'
          and (name collate nocase in ('items')
               or exists (select 1 from pragma_foreign_key_list(s.name) as k where k."table" collate nocase in ('items')))) as t,
       pragma_foreign_key_check(t.name);

-- Both shapes must say the same of every row.
-- Scan.
select 'refused: items: price and crossfade_new_price disagree: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select items.id as found from items where price is not cast((crossfade_new_price / 100.0) as numeric) and crossfade_new_price is not cast((round(price * 100)) as numeric) limit 5)) || '): nothing was lost and nothing was changed. Change these rows, then run this script again.'
from items
where price is not cast((crossfade_new_price / 100.0) as numeric) and crossfade_new_price is not cast((round(price * 100)) as numeric)
having count(*) > 0;
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'items: price and crossfade_new_price disagree: nothing was lost and nothing was changed. Change these rows, then run this script again.')
  where exists (select 1 from items where price is not cast((crossfade_new_price / 100.0) as numeric) and crossfade_new_price is not cast((round(price * 100)) as numeric));
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;

-- crossfade_new_price becomes NOT NULL.
-- Scan.
select 'refused: items: crossfade_new_price is NULL: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select items.id as found from items where crossfade_new_price is null limit 5)) || '): nothing was lost and nothing was changed. Change these rows, then run this script again.'
from items
where crossfade_new_price is null
having count(*) > 0;
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'items: crossfade_new_price is NULL: nothing was lost and nothing was changed. Change these rows, then run this script again.')
  where exists (select 1 from items where crossfade_new_price is null);
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;


-- ====================================================================================================
-- v2_contract01: table items
-- ====================================================================================================

-- The namespace of version v1, if its clients came through one: nobody uses it any more.
-- Instant.
drop view if exists items__v1;

-- In the same transaction as the columns: no write is ever without the one and with the other.
-- Instant.
drop trigger if exists zz_crossfade_sync_items_insert_1_old;
drop trigger if exists zz_crossfade_sync_items_update_1_new;
drop trigger if exists zz_crossfade_sync_items_update_1_old;

-- A table can't change under a view that reads it: they are made anew in this transaction, and nobody sees them gone.
-- Instant.
drop view if exists items__v2;

-- Its place is taken by the one that was built for the new shape.
-- Instant.
drop index items_price_idx;

-- Written anew, since there is no ALTER for it: set not null items.crossfade_new_price; settle defaults items; swap
-- columns items.
-- Rewrite.
create table crossfade_rebuild_items (
  id integer primary key autoincrement not null,
  name text not null,
  price bigint not null default 0
);
insert into crossfade_rebuild_items (id, name, price)
select id, name, crossfade_new_price
from items;
delete from sqlite_sequence where name = 'crossfade_rebuild_items';  -- it counts on where the old table stopped
insert into sqlite_sequence (name, seq) select 'crossfade_rebuild_items', seq from sqlite_sequence where name = 'items';
drop table items;
pragma legacy_alter_table = on;  -- who mentions the table by its name shall mention this one now, unchanged
alter table crossfade_rebuild_items rename to items;
pragma legacy_alter_table = off;
create index items_price_idx on items (price);

-- Nobody needs to be told apart any more: the view goes straight to the table.
-- Instant.
create view items__v2 as
  select id, name, price from items;
create trigger items__v2_insert instead of insert on items__v2
begin
  insert into items (id, name, price)
  values (new.id, new.name, coalesce(new.price, 0));
end;
create trigger items__v2_update instead of update on items__v2
begin
  update items set id = new.id, name = new.name, price = new.price
  where id is old.id;
end;
create trigger items__v2_delete instead of delete on items__v2
begin
  delete from items where id is old.id;
end;

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
            and (name collate nocase in ('items')
                 or exists (select 1 from pragma_foreign_key_list(s.name) as k where k."table" collate nocase in ('items')))) as t,
         pragma_foreign_key_check(t.name));
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;
drop table crossfade_orphans;

update crossfade_revision set phase = 'contract' where release = 'v2';
drop view temp.crossfade_latest;
drop table temp.crossfade_gate;
commit;
