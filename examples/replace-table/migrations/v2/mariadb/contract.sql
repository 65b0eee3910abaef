-- contract v1 -> v2: takes away what only version v1 used. There is no way back.
--
--   from      v1
--   to        v2
--   access    shared: both versions use one database
--   revisions v2_contract01 to v2_contract01
--
-- Run it with:  mariadb DATABASE < contract.sql
-- Before it:    migrate.sql has finished, and no client of version v1 is left
-- After it:     the database is at version v2
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
insert into crossfade_gate select concat('contract of ', 'v2', ' can''t run before its expand has finished: run expand.sql first')
  from dual where not (@crossfade_latest <=> 'v2') or @crossfade_phase = 'begun';
insert into crossfade_gate select concat('contract of ', 'v2', ' can''t run before its migrate has finished: run migrate.sql first')
  from dual where @crossfade_phase = 'expand';
insert into crossfade_gate select concat('contract of ', 'v2', ' can''t run while crossfade_failing_row holds rows that could not be filled')
  from dual where exists (select * from crossfade_failing_row where `release` = 'v2');

-- Both shapes must say the same of every row.
-- Locks nothing that clients use; scan.
delimiter //
create procedure crossfade_check()
begin
  declare found bigint;
  declare sample text;
  declare message text;
  if (select count(*) from information_schema.columns
      where table_schema = database() and table_name = 'old' and column_name in ('a', 'x')) = 2 then
    select count(*) into found from old where not (binary convert(a using utf8mb4) <=> binary convert(x using utf8mb4)) and not (binary convert(x using utf8mb4) <=> binary convert(a using utf8mb4));
    if found > 0 then
      select group_concat(k separator '; ') into sample
      from (select concat_ws(', ', old.id) as k from old where not (binary convert(a using utf8mb4) <=> binary convert(x using utf8mb4)) and not (binary convert(x using utf8mb4) <=> binary convert(a using utf8mb4)) limit 5) as samples;
      set message = concat('old: a and x disagree', ': ', found, ' rows (for example ', sample, ')');
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

-- Both shapes must say the same of every row.
-- Locks nothing that clients use; scan.
delimiter //
create procedure crossfade_check()
begin
  declare found bigint;
  declare sample text;
  declare message text;
  if (select count(*) from information_schema.columns
      where table_schema = database() and table_name = 'old' and column_name in ('b', 'y')) = 2 then
    select count(*) into found from old where not (b <=> cast((case when y regexp '^-?[0-9]{1,10}$' then case when cast(y as signed) between -2147483648 and 2147483647 then cast(y as signed) end end) as signed)) and not (binary convert(y using utf8mb4) <=> binary convert((cast(b as char)) using utf8mb4));
    if found > 0 then
      select group_concat(k separator '; ') into sample
      from (select concat_ws(', ', old.id) as k from old where not (b <=> cast((case when y regexp '^-?[0-9]{1,10}$' then case when cast(y as signed) between -2147483648 and 2147483647 then cast(y as signed) end end) as signed)) and not (binary convert(y using utf8mb4) <=> binary convert((cast(b as char)) using utf8mb4)) limit 5) as samples;
      set message = concat('old: b and y disagree', ': ', found, ' rows (for example ', sample, ')');
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

-- x becomes NOT NULL.
-- Locks nothing that clients use; scan.
delimiter //
create procedure crossfade_check()
begin
  declare found bigint;
  declare sample text;
  declare message text;
  if exists (select * from information_schema.columns where table_schema = database() and table_name = 'old' and column_name = 'x' and is_nullable = 'YES') then
    select count(*) into found from old where x is null;
    if found > 0 then
      select group_concat(k separator '; ') into sample
      from (select concat_ws(', ', old.id) as k from old where x is null limit 5) as samples;
      set message = concat('old: x is NULL', ': ', found, ' rows (for example ', sample, ')');
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
insert ignore into crossfade_journal (`release`, step) values ('v2', 'contract');

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
-- v2_contract01: table new
-- ====================================================================================================

-- From now on NULL is refused. The table is copied beside its readers and writers, who wait for an instant only.
-- Locks old METADATA EXCLUSIVE; rewrite.
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'old' and column_name = 'x' and is_nullable = 'YES'),
  'alter table old modify column a longtext null, modify column x longtext not null, algorithm=inplace, lock=none');

-- The namespace of version v1, if its clients came through one: nobody uses it any more.
-- Locks nothing that clients use; instant.
call crossfade_step(
  exists (select * from information_schema.schemata where schema_name = concat(database(), '_v1')),
  concat('drop view if exists ', concat('`', database(), '_v1', '`'), '.old'));
call crossfade_step(
  exists (select * from information_schema.schemata where schema_name = concat(database(), '_v1'))
    and not exists (select * from information_schema.tables where table_schema = concat(database(), '_v1'))
    and not exists (select * from information_schema.routines where routine_schema = concat(database(), '_v1')),
  concat('drop database ', concat('`', database(), '_v1', '`')));

-- Nothing fills it any more from the next statement on, and it still refuses NULL: anything will do until it goes.
-- Locks old METADATA EXCLUSIVE; rewrite.
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'old' and column_name = 'a' and is_nullable = 'NO'),
  'alter table old modify column a longtext null, algorithm=inplace, lock=none');

-- Before the columns that they name: a trigger over a column that is gone makes every write fail.
-- Locks old METADATA EXCLUSIVE; instant.
drop trigger if exists zz_crossfade_sync_old_insert;
drop trigger if exists zz_crossfade_sync_old_update;

-- The old shape goes: only names in the catalog, the rows are not touched.
-- Locks old METADATA EXCLUSIVE; instant.
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'old' and column_name = 'a'),
  'alter table old drop column a, algorithm=instant');
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'old' and column_name = 'b'),
  'alter table old drop column b, algorithm=instant');

-- The table gets the name that the new version has known it by: new.
-- Locks old METADATA EXCLUSIVE; instant.
call crossfade_step(
  exists (select * from information_schema.tables where table_schema = database() and table_name = 'old' and table_type = 'BASE TABLE') and exists (select * from information_schema.tables where table_schema = database() and table_name = 'new' and table_type = 'VIEW'),
  'rename table new to crossfade_old_new, old to new');
drop view if exists crossfade_old_new;

-- Every client knows the column now: `select *` shows it.
-- Locks new METADATA EXCLUSIVE; instant.
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'new' and column_name = 'x' and lower(extra) like '%invisible%'),
  'alter table new modify column x longtext not null, algorithm=instant');

-- Every client knows the column now: `select *` shows it.
-- Locks new METADATA EXCLUSIVE; instant.
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'new' and column_name = 'y' and lower(extra) like '%invisible%'),
  'alter table new modify column y longtext null, algorithm=instant');

update crossfade_revision set `contract` = 'v2_contract01' where `release` = 'v2' and not (`contract` <=> 'v2_contract01');


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade_revision set phase = 'contract' where `release` = 'v2' and phase = 'migrate';
drop procedure crossfade_step;
drop temporary table crossfade_gate;
