-- contract newton -> ocata: takes away what only version newton used. There is no way back.
--
--   from      newton
--   to        ocata
--   access    shared: both versions use one database
--   revisions ocata_contract01 to ocata_contract01
--
-- Run it with:  mariadb DATABASE < contract.sql
-- Before it:    migrate.sql has finished, and no client of version newton is left
-- After it:     the database is at version ocata
--
-- It can be run again after a failure, a kill or a finish: each statement finds out whether it is still to be done.
-- METADATA EXCLUSIVE is what every ALTER TABLE takes for an instant, at its beginning and at its end. No statement waits
-- longer than a second for it, since others queue behind; when one gives up, run the script again.

set names utf8mb4;
set session autocommit = 1,
  sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',
  lock_wait_timeout = 1,
  innodb_lock_wait_timeout = 1,
  foreign_key_checks = 1,
  unique_checks = 1;
set session transaction isolation level read committed;

-- What a script that was stopped may have left.
drop procedure if exists crossfade_step;
drop procedure if exists crossfade_check;
drop procedure if exists crossfade_backfill;
drop procedure if exists crossfade_grants;
-- What a gate has to say can't stand in this column: the script stops with it, and no more than this session is gone.
drop temporary table if exists crossfade_gate;
create temporary table crossfade_gate (`nothing was changed` integer not null);

-- ====================================================================================================
-- Gates
-- ====================================================================================================

-- The version tables: how far this database is. They stay.
create table if not exists crossfade_revision (
  `release`   varchar(64) not null primary key,
  ordinal     bigint not null auto_increment unique,
  old_version varchar(64),
  new_version varchar(64) not null,
  changes     integer not null,
  phase       varchar(16) not null,    -- the last phase that is finished: begun, expand, migrate, contract; or aborted
  `expand`    varchar(128),            -- the last revision of each phase
  migrate     varchar(128),
  contract    varchar(128),
  begun_at    timestamp not null default current_timestamp
) engine = InnoDB default charset = utf8mb4 collate = utf8mb4_bin;
create table if not exists crossfade_journal (
  `release`   varchar(64) not null,
  step        varchar(255) not null,
  hash        varchar(128),
  started_at  timestamp not null default current_timestamp,
  finished_at timestamp null,
  attempts    integer not null default 1,
  error       text,
  primary key (`release`, step)
) engine = InnoDB default charset = utf8mb4 collate = utf8mb4_bin;
create table if not exists crossfade_checkpoint (
  `release`   varchar(64) not null,
  backfill    varchar(255) not null,
  part        integer not null default 0,
  last_key    longtext,                -- the last key that is done, as a JSON array
  top_key     longtext,                -- the last key there was when the backfill began
  `rows`      bigint not null default 0,
  finished_at timestamp null,
  primary key (`release`, backfill, part)
) engine = InnoDB default charset = utf8mb4 collate = utf8mb4_bin;
create table if not exists crossfade_failing_row (
  `release`   varchar(64) not null,
  backfill    varchar(255) not null,
  row_key     varchar(255) not null,
  error       text not null,
  primary key (`release`, backfill, row_key)
) engine = InnoDB default charset = utf8mb4 collate = utf8mb4_bin;
-- What an application asks to learn which versions this database serves. Without LIMIT, through which no row can be locked.
create or replace sql security invoker view crossfade_version as
  select old_version, new_version, phase, coalesce(contract, migrate, `expand`, '') as revision
  from crossfade_revision
  where ordinal = (select max(ordinal) from crossfade_revision where phase <> 'aborted');

-- Nothing is changed unless migrate has finished.
set @crossfade_ordinal = (select max(ordinal) from crossfade_revision where phase <> 'aborted');
set @crossfade_latest = (select `release` from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_phase = (select phase from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_from = (select old_version from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_version = (select new_version from crossfade_revision where ordinal = @crossfade_ordinal);
insert into crossfade_gate select concat('contract of ', 'ocata', ' can''t run before its expand has finished: run expand.sql first')
  from dual where not (@crossfade_latest <=> 'ocata') or @crossfade_phase = 'begun';
insert into crossfade_gate select concat('contract of ', 'ocata', ' can''t run before its migrate has finished: run migrate.sql first')
  from dual where @crossfade_phase = 'expand';
insert into crossfade_gate select concat('contract of ', 'ocata', ' can''t run while crossfade_failing_row holds rows that could not be filled')
  from dual where exists (select * from crossfade_failing_row where `release` = 'ocata');

-- Both shapes must say the same of every row.
-- Locks nothing that clients use; scan.
delimiter //
create procedure crossfade_check()
begin
  declare found bigint;
  declare sample text;
  declare message text;
  if (select count(*) from information_schema.columns
      where table_schema = database() and table_name = 'images' and column_name in ('is_public', 'visibility')) = 2 then
    select count(*) into found from images where not (is_public <=> (visibility = 'public')) and not (binary convert(visibility using utf8mb4) <=> binary convert((case when is_public then 'public' else 'shared' end) using utf8mb4)) and not (binary convert(visibility using utf8mb4) <=> binary convert((case when images.is_public then 'public'
     when exists (select 1 from image_members m where m.image_id = images.id and not m.deleted) then 'shared'
     else 'private' end) using utf8mb4));
    if found > 0 then
      select group_concat(k separator '; ') into sample
      from (select concat_ws(', ', images.id) as k from images where not (is_public <=> (visibility = 'public')) and not (binary convert(visibility using utf8mb4) <=> binary convert((case when is_public then 'public' else 'shared' end) using utf8mb4)) and not (binary convert(visibility using utf8mb4) <=> binary convert((case when images.is_public then 'public'
     when exists (select 1 from image_members m where m.image_id = images.id and not m.deleted) then 'shared'
     else 'private' end) using utf8mb4)) limit 5) as samples;
      set message = concat('images: is_public and visibility disagree', ': ', found, ' rows (for example ', sample, ')');
      select message as `stops this script`, 'Nothing was lost. Change these rows, then run this script again.' as `what to do`;
      set @crossfade_found = message;
    end if;
  end if;
end //
delimiter ;
set @crossfade_found = null;
call crossfade_check();
drop procedure crossfade_check;
insert into crossfade_gate select @crossfade_found from dual where @crossfade_found is not null;

-- visibility becomes NOT NULL.
-- Locks nothing that clients use; scan.
delimiter //
create procedure crossfade_check()
begin
  declare found bigint;
  declare sample text;
  declare message text;
  if exists (select * from information_schema.columns where table_schema = database() and table_name = 'images' and column_name = 'visibility' and is_nullable = 'YES') then
    select count(*) into found from images where visibility is null;
    if found > 0 then
      select group_concat(k separator '; ') into sample
      from (select concat_ws(', ', images.id) as k from images where visibility is null limit 5) as samples;
      set message = concat('images: visibility is NULL', ': ', found, ' rows (for example ', sample, ')');
      select message as `stops this script`, 'Nothing was lost. Change these rows, then run this script again.' as `what to do`;
      set @crossfade_found = message;
    end if;
  end if;
end //
delimiter ;
set @crossfade_found = null;
call crossfade_check();
drop procedure crossfade_check;
insert into crossfade_gate select @crossfade_found from dual where @crossfade_found is not null;

-- From here on there is no way back: abort.sql refuses.
insert ignore into crossfade_journal (`release`, step) values ('ocata', 'contract');

-- Runs a statement if it is still to be done; the last statement of this script takes it away.
delimiter //
create procedure crossfade_step(in needed boolean, in what longtext)
begin
  if needed then
    set @crossfade_statement = what;
    prepare crossfade_statement from @crossfade_statement;
    execute crossfade_statement;
    deallocate prepare crossfade_statement;
  end if;
end //
delimiter ;


-- ====================================================================================================
-- ocata_contract01: enum visibility, table images
-- ====================================================================================================

-- From now on NULL is refused. The table is copied beside its readers and writers, who wait for an instant only.
-- Locks images METADATA EXCLUSIVE; rewrite.
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'images' and column_name = 'visibility' and is_nullable = 'YES'),
  'alter table images modify column visibility enum(''private'',''public'',''shared'',''community'') not null, algorithm=inplace, lock=none');

-- The namespace of version newton, if its clients came through one: nobody uses it any more.
-- Locks nothing that clients use; instant.
call crossfade_step(
  exists (select * from information_schema.schemata where schema_name = concat(database(), '_newton')),
  concat('drop view if exists ', concat('`', database(), '_newton', '`'), '.image_members', ', ', concat('`', database(), '_newton', '`'), '.images'));
call crossfade_step(
  exists (select * from information_schema.schemata where schema_name = concat(database(), '_newton'))
    and not exists (select * from information_schema.tables where table_schema = concat(database(), '_newton'))
    and not exists (select * from information_schema.routines where routine_schema = concat(database(), '_newton')),
  concat('drop database ', concat('`', database(), '_newton', '`')));

-- Only the old version looked rows up by it.
-- Locks images METADATA EXCLUSIVE; instant.
call crossfade_step(
  exists (select * from information_schema.statistics where table_schema = database() and table_name = 'images' and index_name = 'ix_images_is_public'),
  'alter table images drop index ix_images_is_public, algorithm=nocopy, lock=none');

-- Only the new version is left: its defaults become the table's.
-- Locks images METADATA EXCLUSIVE; instant.
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'images' and column_name = 'visibility'),
  'alter table images alter column visibility set default ''shared'', algorithm=instant');

-- Before the columns that they name: a trigger over a column that is gone makes every write fail.
-- Locks images METADATA EXCLUSIVE; instant.
drop trigger if exists zz_crossfade_sync_images_insert;
drop trigger if exists zz_crossfade_sync_images_update;

-- The old shape goes: only names in the catalog, the rows are not touched.
-- Locks images METADATA EXCLUSIVE; instant.
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'images' and column_name = 'is_public'),
  'alter table images drop column is_public, algorithm=instant');

-- Every client knows the column now: `select *` shows it.
-- Locks images METADATA EXCLUSIVE; instant.
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'images' and column_name = 'visibility' and lower(extra) like '%invisible%'),
  'alter table images modify column visibility enum(''private'',''public'',''shared'',''community'') not null default ''shared'', algorithm=instant');

update crossfade_revision set `contract` = 'ocata_contract01' where `release` = 'ocata' and not (`contract` <=> 'ocata_contract01');


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade_revision set phase = 'contract' where `release` = 'ocata' and phase = 'migrate';
drop procedure crossfade_step;
drop temporary table crossfade_gate;
