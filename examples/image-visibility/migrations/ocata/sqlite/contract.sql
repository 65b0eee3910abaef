-- contract newton -> ocata: takes away what only version newton used. There is no way back.
--
--   from      newton
--   to        ocata
--   access    shared: both versions use the tables
--   revisions ocata_contract01 to ocata_contract01
--
-- Run it with:  sqlite3 -bail app.db < contract.sql
-- Before it:    migrate.sql has finished, and no client of version newton is left
-- After it:     the database is at version ocata
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
  select raise(rollback, 'contract of ocata can''t run before its migrate has finished: run expand.sql first, then migrate.sql')
  where not exists (select 1 from crossfade_latest where release = 'ocata' and phase <> 'begun');
  select raise(rollback, 'contract of ocata can''t run before its migrate has finished: run migrate.sql first')
  from crossfade_latest where phase = 'expand';
  select raise(rollback, 'contract of ocata is done, and nothing was changed now: the upgrade is through, nothing comes next')
  from crossfade_latest where phase = 'contract';
  select raise(rollback, 'contract of ocata can''t run while crossfade_failing_row holds rows that could not be filled')
  where exists (select 1 from crossfade_failing_row where release = 'ocata');
  select raise(rollback, 'table images is STRICT or WITHOUT ROWID, which writing it anew would lose')
  where exists (select 1 from pragma_table_list where schema = 'main' and name = 'images' collate nocase and (wr or strict));
  select raise(rollback, 'table images has a column that no snapshot knows, and that writing it anew would lose: put it into the snapshots')
  where exists (select 1 from pragma_table_xinfo('images') where name collate nocase not in ('id', 'is_public', 'name', 'owner', 'status', 'visibility'));
  select raise(rollback, 'table images has an index that no snapshot knows, and that writing it anew would lose: put it into the snapshots')
  where exists (
    select 1 from sqlite_schema
    where type = 'index' and tbl_name = 'images' collate nocase and sql is not null and name collate nocase not in ('ix_images_is_public', 'visibility_image_idx'));
  select raise(rollback, 'table images has a trigger of its own, which writing it anew would lose: drop it, and make it again afterwards')
  where exists (
    select 1 from sqlite_schema
    where type = 'trigger' and tbl_name = 'images' collate nocase and name not like 'zz!_crossfade!_%' escape '!');
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;

-- How many references of the tables that are written anew lead nowhere, before and afterwards: there must not be more.
create temp table crossfade_orphans as
  select count(*) as before
  from (select name from sqlite_schema as s
        where type = 'table'
          and (name collate nocase in ('images')
               or exists (select 1 from pragma_foreign_key_list(s.name) as k where k."table" collate nocase in ('images')))) as t,
       pragma_foreign_key_check(t.name);

-- Both shapes must say the same of every row.
-- Scan.
select 'refused: images: is_public and visibility disagree: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select images.id as found from images where is_public is not cast((visibility = 'public') as numeric) and visibility is not cast((case when is_public then 'public' else 'shared' end) as text) and visibility is not cast((case when images.is_public then 'public'
     when exists (select 1 from image_members m where m.image_id = images.id and not m.deleted) then 'shared'
     else 'private' end) as text) limit 5)) || '): nothing was lost and nothing was changed. Change these rows, then run this script again.'
from images
where is_public is not cast((visibility = 'public') as numeric) and visibility is not cast((case when is_public then 'public' else 'shared' end) as text) and visibility is not cast((case when images.is_public then 'public'
     when exists (select 1 from image_members m where m.image_id = images.id and not m.deleted) then 'shared'
     else 'private' end) as text)
having count(*) > 0;
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'images: is_public and visibility disagree: nothing was lost and nothing was changed. Change these rows, then run this script again.')
  where exists (select 1 from images where is_public is not cast((visibility = 'public') as numeric) and visibility is not cast((case when is_public then 'public' else 'shared' end) as text) and visibility is not cast((case when images.is_public then 'public'
     when exists (select 1 from image_members m where m.image_id = images.id and not m.deleted) then 'shared'
     else 'private' end) as text));
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;

-- visibility becomes NOT NULL.
-- Scan.
select 'refused: images: visibility is NULL: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select images.id as found from images where visibility is null limit 5)) || '): nothing was lost and nothing was changed. Change these rows, then run this script again.'
from images
where visibility is null
having count(*) > 0;
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'images: visibility is NULL: nothing was lost and nothing was changed. Change these rows, then run this script again.')
  where exists (select 1 from images where visibility is null);
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;


-- ====================================================================================================
-- ocata_contract01: enum visibility, table images
-- ====================================================================================================

-- The namespace of version newton, if its clients came through one: nobody uses it any more.
-- Instant.
drop view if exists image_members__newton;
drop view if exists images__newton;

-- In the same transaction as the columns: no write is ever without the one and with the other.
-- Instant.
drop trigger if exists zz_crossfade_sync_images_insert_1_old;
drop trigger if exists zz_crossfade_sync_images_insert_1_new;
drop trigger if exists zz_crossfade_sync_images_update_1_new;
drop trigger if exists zz_crossfade_sync_images_update_1_old;

-- Only the old version looked rows up by it.
-- Instant.
drop index ix_images_is_public;

-- Written anew, since there is no ALTER for it: set not null images.visibility; settle defaults images; swap columns
-- images.
-- Rewrite.
create table crossfade_rebuild_images (
  id varchar(36) not null,
  name varchar(255),
  status varchar(30) not null,
  visibility text not null default 'shared' check (visibility in ('community', 'private', 'public', 'shared')),
  owner varchar(255),
  primary key (id)
);
insert into crossfade_rebuild_images (id, name, status, visibility, owner)
select id, name, status, visibility, owner
from images;
drop table images;
pragma legacy_alter_table = on;  -- who mentions the table by its name shall mention this one now, unchanged
alter table crossfade_rebuild_images rename to images;
pragma legacy_alter_table = off;
create index visibility_image_idx on images (visibility);

update crossfade_revision set contract = 'ocata_contract01' where release = 'ocata';


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
            and (name collate nocase in ('images')
                 or exists (select 1 from pragma_foreign_key_list(s.name) as k where k."table" collate nocase in ('images')))) as t,
         pragma_foreign_key_check(t.name));
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;
drop table crossfade_orphans;

update crossfade_revision set phase = 'contract' where release = 'ocata';
drop view temp.crossfade_latest;
drop table temp.crossfade_gate;
commit;
