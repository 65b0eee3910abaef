-- abort ocata -> pike: takes a half-done upgrade back to version ocata.
--
--   from      ocata
--   to        pike
--   access    shared: both versions use one database
--   revisions pike_migrate01, pike_expand01
--
-- Run it with:  mysql DATABASE < abort.sql
-- Before it:    contract.sql has not begun, and no client of version pike is left
-- After it:     the database is at version ocata; expand.sql works again
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

-- Nothing is changed once contract has begun: from there on there is only forward.
set @crossfade_ordinal = (select max(ordinal) from crossfade_revision where phase <> 'aborted');
set @crossfade_latest = (select `release` from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_phase = (select phase from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_from = (select old_version from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_version = (select new_version from crossfade_revision where ordinal = @crossfade_ordinal);
insert into crossfade_gate select concat('pike', ' can''t be aborted any more: its contract has begun. Run contract.sql to its end')
  from dual where exists (select * from crossfade_revision where `release` = 'pike' and (contract is not null or phase = 'contract'))
    or exists (select * from crossfade_journal where `release` = 'pike' and step like 'contract%');
insert into crossfade_gate select concat('there is nothing to abort: expand of ', 'pike', ' has never run here')
  from dual where not exists (select * from crossfade_revision where `release` = 'pike');
insert into crossfade_gate select concat('pike', ' is long past: this database is at version ', @crossfade_version)
  from dual where @crossfade_latest <> 'pike'
    and @crossfade_ordinal > (select ordinal from crossfade_revision where `release` = 'pike');

-- From here on nothing counts as done any more: a phase that is run after half an abort does all of it again.
start transaction;
delete from crossfade_checkpoint where `release` = 'pike';
delete from crossfade_failing_row where `release` = 'pike';
update crossfade_journal set finished_at = null where `release` = 'pike' and hash is not null;
update crossfade_revision set phase = 'begun', `expand` = null, migrate = null where `release` = 'pike' and phase <> 'aborted';
commit;

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
-- pike_migrate01, pike_expand01: table users
-- ====================================================================================================

-- Takes back: install sync users
drop trigger if exists zz_crossfade_sync_users_insert;
drop trigger if exists zz_crossfade_sync_users_update;

-- Takes back: add columns users
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'users' and column_name = 'first_name'),
  'alter table users drop column first_name, algorithm=instant');
call crossfade_step(
  exists (select * from information_schema.columns where table_schema = database() and table_name = 'users' and column_name = 'last_name'),
  'alter table users drop column last_name, algorithm=instant');


-- ====================================================================================================
-- Done
-- ====================================================================================================
start transaction;
delete from crossfade_failing_row where `release` = 'pike';
delete from crossfade_checkpoint where `release` = 'pike';
delete from crossfade_journal where `release` = 'pike';
update crossfade_revision set phase = 'aborted', `expand` = null, migrate = null where `release` = 'pike';
commit;
drop procedure crossfade_step;
drop temporary table crossfade_gate;
