-- contract ocata -> pike: takes away what only version ocata used. There is no way back.
--
--   from      ocata
--   to        pike
--   access    shared: both versions use one database
--   revisions pike_contract01 to pike_contract01
--
-- Run it with:  mysql DATABASE < contract.sql
-- Before it:    migrate.sql has finished, and no client of version ocata is left
-- After it:     the database is at version pike
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
insert into crossfade_gate select concat('contract of ', 'pike', ' can''t run before its expand has finished: run expand.sql first')
  from dual where not (@crossfade_latest <=> 'pike') or @crossfade_phase = 'begun';
insert into crossfade_gate select concat('contract of ', 'pike', ' can''t run before its migrate has finished: run migrate.sql first')
  from dual where @crossfade_phase = 'expand';
insert into crossfade_gate select concat('contract of ', 'pike', ' can''t run while crossfade_failing_row holds rows that could not be filled')
  from dual where exists (select * from crossfade_failing_row where `release` = 'pike');

-- Both shapes must say the same of every row.
-- Locks nothing that clients use; scan.
delimiter //
create procedure crossfade_check()
begin
  declare found bigint;
  declare sample text;
  declare message text;
  if (select count(*) from information_schema.columns
      where table_schema = database() and table_name = 'users' and column_name in ('first_name', 'full_name', 'last_name')) = 3 then
    select count(*) into found from users where not (binary convert(full_name using utf8mb4) <=> binary convert((case when first_name is null and last_name is null then null else concat_ws(' ', first_name, last_name) end) using utf8mb4)) and (not (binary convert(first_name using utf8mb4) <=> binary convert((substring_index(full_name, ' ', 1)) using utf8mb4)) or not (binary convert(last_name using utf8mb4) <=> binary convert((substr(full_name, nullif(locate(' ', full_name), 0) + 1)) using utf8mb4)));
    if found > 0 then
      select group_concat(k separator '; ') into sample
      from (select concat_ws(', ', users.id) as k from users where not (binary convert(full_name using utf8mb4) <=> binary convert((case when first_name is null and last_name is null then null else concat_ws(' ', first_name, last_name) end) using utf8mb4)) and (not (binary convert(first_name using utf8mb4) <=> binary convert((substring_index(full_name, ' ', 1)) using utf8mb4)) or not (binary convert(last_name using utf8mb4) <=> binary convert((substr(full_name, nullif(locate(' ', full_name), 0) + 1)) using utf8mb4))) limit 5) as samples;
      set message = concat('users: full_name and first_name, last_name disagree', ': ', found, ' rows (for example ', sample, ')');
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
insert ignore into crossfade_journal (`release`, step) values ('pike', 'contract');

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
-- pike_contract01: table users
-- ====================================================================================================

-- The namespace of version ocata, if its clients came through one: nobody uses it any more.
-- Locks nothing that clients use; instant.
call crossfade_step(
  exists (select * from information_schema.schemata where schema_name = concat(database(), '_ocata')),
  concat('drop view if exists ', concat('`', database(), '_ocata', '`'), '.users'));
call crossfade_step(
  exists (select * from information_schema.schemata where schema_name = concat(database(), '_ocata'))
    and not exists (select * from information_schema.tables where table_schema = concat(database(), '_ocata'))
    and not exists (select * from information_schema.routines where routine_schema = concat(database(), '_ocata')),
  concat('drop database ', concat('`', database(), '_ocata', '`')));

-- Before the columns that they name: a trigger over a column that is gone makes every write fail.
-- Locks users METADATA EXCLUSIVE; instant.
drop trigger if exists zz_crossfade_sync_users_insert;
drop trigger if exists zz_crossfade_sync_users_update;

-- The old shape goes: only names in the catalog, the rows are not touched.
-- Locks users METADATA EXCLUSIVE; instant.
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'users' and column_name = 'full_name'),
  'alter table users drop column full_name, algorithm=instant');

-- Every client knows the column now: `select *` shows it.
-- Locks users METADATA EXCLUSIVE; instant.
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'users' and column_name = 'first_name' and lower(extra) like '%invisible%'),
  'alter table users alter column first_name set visible, algorithm=instant');

-- Every client knows the column now: `select *` shows it.
-- Locks users METADATA EXCLUSIVE; instant.
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'users' and column_name = 'last_name' and lower(extra) like '%invisible%'),
  'alter table users alter column last_name set visible, algorithm=instant');

update crossfade_revision set `contract` = 'pike_contract01' where `release` = 'pike' and not (`contract` <=> 'pike_contract01');


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade_revision set phase = 'contract' where `release` = 'pike' and phase = 'migrate';
drop procedure crossfade_step;
drop temporary table crossfade_gate;
