-- expand ocata -> pike: adds what version pike needs, and keeps both shapes in step. Version ocata does not notice.
--
--   from      ocata
--   to        pike
--   access    shared: both versions use one database
--   revisions pike_expand01 to pike_expand01
--
-- Run it with:  mariadb DATABASE < expand.sql
-- Before it:    the database is at version ocata, and no other upgrade is half done
-- After it:     run migrate.sql; abort.sql takes it back
--
-- It can be run again after a failure, a kill or a finish: each statement finds out whether it is still to be done.
-- METADATA EXCLUSIVE is what every ALTER TABLE takes for an instant, at its beginning and at its end. No statement waits
-- longer than a second for it, since others queue behind; when one gives up, run the script again.
-- It makes triggers. With the binary log on, the server lets an account without SUPER do so only where
-- log_bin_trust_function_creators = 1: the script tries that before it changes anything, and stops with error 1419 if not.

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
drop function if exists crossfade_may_make_triggers;
-- What a gate has to say can't stand in this column: the script stops with it, and no more than this session is gone.
drop temporary table if exists crossfade_gate;
create temporary table crossfade_gate (`nothing was changed` integer not null);

-- ====================================================================================================
-- Gates
-- ====================================================================================================

-- If this fails with error 1419: set global log_bin_trust_function_creators = 1, or run the script with an account that has
-- SUPER. The server asks for it where the binary log is on. What holds for a function holds for triggers, and one is made
-- without a table: nothing is changed yet.
create function crossfade_may_make_triggers() returns integer deterministic no sql return 1;
drop function crossfade_may_make_triggers;

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

-- Nothing is changed unless the database is where this script starts from.
insert into crossfade_gate select concat('this script is for MariaDB, and this server is ', version())
  from dual where version() not like '%MariaDB%';
insert into crossfade_gate select concat('crossfade needs MariaDB 10.6.0 or later, and this is ', version())
  from dual where cast(substring_index(version(), '.', 1) as unsigned) * 10000
    + cast(substring_index(substring_index(version(), '.', 2), '.', -1) as unsigned) * 100
    + cast(substring_index(substring_index(substring_index(version(), '-', 1), '.', 3), '.', -1) as unsigned) < 100600;
set @crossfade_ordinal = (select max(ordinal) from crossfade_revision where phase <> 'aborted');
set @crossfade_latest = (select `release` from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_phase = (select phase from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_from = (select old_version from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_version = (select new_version from crossfade_revision where ordinal = @crossfade_ordinal);
insert into crossfade_gate select concat('pike', ' is contracted already: there is nothing to expand')
  from dual where @crossfade_latest = 'pike' and @crossfade_phase = 'contract';
insert into crossfade_gate select concat('contract of ', 'pike', ' has begun: run contract.sql to its end')
  from dual where @crossfade_latest = 'pike' and @crossfade_phase <> 'contract'
    and exists (select * from crossfade_journal where `release` = 'pike' and step like 'contract%');
insert into crossfade_gate select concat('pike', ' is long done: this database is at version ', @crossfade_version)
  from dual where @crossfade_latest <> 'pike' and exists (select * from crossfade_revision where `release` = 'pike' and phase <> 'aborted');
insert into crossfade_gate select -- a first installation is all in expand
  concat('the upgrade to ', @crossfade_version, ' is not finished: run its contract.sql first (or its abort.sql, to go back)')
  from dual where @crossfade_latest <> 'pike' and @crossfade_phase <> 'contract'
    and not (@crossfade_from is null and @crossfade_phase in ('expand', 'migrate'));
insert into crossfade_gate select concat('this script starts from version ', 'ocata', ', and the database is at version ', @crossfade_version)
  from dual where @crossfade_latest <> 'pike' and @crossfade_version <> 'ocata';
insert into crossfade_gate select concat('there is no table ', 'users', ': is ', database(), ' the right database?')
  from dual where not exists (select * from information_schema.tables where table_schema = database() and table_name = 'users');
-- If this fails with error 1142, the account lacks the privilege TRIGGER.
create trigger if not exists crossfade_may_make_triggers before insert on crossfade_failing_row
  for each row set new.error = new.error;
drop trigger crossfade_may_make_triggers;

insert into crossfade_revision (`release`, old_version, new_version, changes, phase)
  select 'ocata', null, 'ocata', 0, 'contract' from dual where not exists (select * from crossfade_revision);
-- It may have been aborted once, and another upgrade may have come between: it begins anew, as the latest.
start transaction;
delete from crossfade_revision where `release` = 'pike' and phase = 'aborted';
insert ignore into crossfade_revision (`release`, old_version, new_version, changes, phase)
  values ('pike', 'ocata', 'pike', 1, 'begun');
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
-- pike_expand01: table users
-- ====================================================================================================

-- What the new version has besides: first_name, last_name.
-- Locks users METADATA EXCLUSIVE; instant.
call crossfade_step(
  not exists (select * from information_schema.columns where table_schema = database() and table_name = 'users' and column_name = 'first_name'),
  'alter table users add column first_name longtext null invisible, algorithm=instant');
call crossfade_step(
  not exists (select * from information_schema.columns where table_schema = database() and table_name = 'users' and column_name = 'last_name'),
  'alter table users add column last_name longtext null invisible, algorithm=instant');

-- From its commit on no write is one-sided: whichever version writes, the other one's columns follow in the same row.
-- Locks users METADATA EXCLUSIVE; instant.
delimiter //
create trigger if not exists zz_crossfade_sync_users_update before update on users for each row
begin
  -- full_name <-> first_name, last_name
  if not (binary new.first_name <=> binary old.first_name) or not (binary new.last_name <=> binary old.last_name) then
    -- a side that already agrees is left alone: so a row that is being filled passes by
    if not (binary convert(new.first_name using utf8mb4) <=> binary convert((substring_index(new.full_name, ' ', 1)) using utf8mb4)) or not (binary convert(new.last_name using utf8mb4) <=> binary convert((substr(new.full_name, nullif(locate(' ', new.full_name), 0) + 1)) using utf8mb4)) then
      begin
        declare up_first_name longtext;
        declare up_last_name longtext;
        if old.first_name is null and old.last_name is null then
          -- a row that is not filled yet: what the statement leaves out comes from the old shape
          -- (where the new version has said NULL, the old shape is what that gives)
          if not (binary convert(old.full_name using utf8mb4) <=> binary convert((case when old.first_name is null and old.last_name is null then null else concat_ws(' ', old.first_name, old.last_name) end) using utf8mb4)) then
            set new.first_name = coalesce(new.first_name, (substring_index(old.full_name, ' ', 1)));
            set new.last_name = coalesce(new.last_name, (substr(old.full_name, nullif(locate(' ', old.full_name), 0) + 1)));
          end if;
        end if;
        set up_first_name = (substring_index(new.full_name, ' ', 1));
        set up_last_name = (substr(new.full_name, nullif(locate(' ', new.full_name), 0) + 1));
        if not (binary convert(new.first_name using utf8mb4) <=> binary convert(up_first_name using utf8mb4)) or not (binary convert(new.last_name using utf8mb4) <=> binary convert(up_last_name using utf8mb4)) then
          -- the new version wrote something that does not follow from the old shape
          set new.full_name = (case when new.first_name is null and new.last_name is null then null else concat_ws(' ', new.first_name, new.last_name) end);
        end if;
      end;
    end if;
  elseif not (binary new.full_name <=> binary old.full_name) then
    -- the old version wrote
    set new.first_name = (substring_index(new.full_name, ' ', 1));
    set new.last_name = (substr(new.full_name, nullif(locate(' ', new.full_name), 0) + 1));
  end if;
end //
create trigger if not exists zz_crossfade_sync_users_insert before insert on users for each row
begin
  -- full_name <-> first_name, last_name
  if new.first_name is not null or new.last_name is not null then
    begin
      declare up_first_name longtext;
      declare up_last_name longtext;
      set up_first_name = (substring_index(new.full_name, ' ', 1));
      set up_last_name = (substr(new.full_name, nullif(locate(' ', new.full_name), 0) + 1));
      if not (binary convert(new.first_name using utf8mb4) <=> binary convert(up_first_name using utf8mb4)) or not (binary convert(new.last_name using utf8mb4) <=> binary convert(up_last_name using utf8mb4)) or not (new.full_name is not null) then
        set new.full_name = (case when new.first_name is null and new.last_name is null then null else concat_ws(' ', new.first_name, new.last_name) end);
      end if;
    end;
  else
    set new.first_name = (substring_index(new.full_name, ' ', 1));
    set new.last_name = (substr(new.full_name, nullif(locate(' ', new.full_name), 0) + 1));
  end if;
end //
delimiter ;

-- Who has rights on the old columns, one by one, has them on the new ones; nobody else has.
-- Locks nothing that clients use; instant.
delimiter //
create procedure crossfade_grants()
begin
  declare done boolean default false;
  declare what longtext;
  declare granted cursor for
    select concat('grant ', privilege_type, ' (first_name, last_name) on users to ', grantee, if(max(is_grantable) = 'YES', ' with grant option', ''))
    from information_schema.column_privileges
    where table_schema = database() and table_name = 'users' and column_name in ('full_name')
    group by grantee, privilege_type
    having count(distinct column_name) = 1;
  declare continue handler for not found set done = true;
  open granted;
  granting: loop
    fetch granted into what;
    if done then
      leave granting;
    end if;
    call crossfade_step(true, what);
  end loop;
  close granted;
end //
delimiter ;
call crossfade_grants();
drop procedure crossfade_grants;

update crossfade_revision set `expand` = 'pike_expand01' where `release` = 'pike' and not (`expand` <=> 'pike_expand01');


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade_revision set phase = 'expand' where `release` = 'pike' and phase = 'begun';
drop procedure crossfade_step;
drop temporary table crossfade_gate;
