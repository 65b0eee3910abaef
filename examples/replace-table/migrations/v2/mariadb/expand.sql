-- expand v1 -> v2: adds what version v2 needs, and keeps both shapes in step. Version v1 does not notice.
--
--   from      v1
--   to        v2
--   access    shared: both versions use one database
--   revisions v2_expand01 to v2_expand01
--
-- Run it with:  mariadb DATABASE < expand.sql
-- Before it:    the database is at version v1, and no other upgrade is half done
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
insert into crossfade_gate select concat('v2', ' is contracted already: there is nothing to expand')
  from dual where @crossfade_latest = 'v2' and @crossfade_phase = 'contract';
insert into crossfade_gate select concat('contract of ', 'v2', ' has begun: run contract.sql to its end')
  from dual where @crossfade_latest = 'v2' and @crossfade_phase <> 'contract'
    and exists (select * from crossfade_journal where `release` = 'v2' and step like 'contract%');
insert into crossfade_gate select concat('v2', ' is long done: this database is at version ', @crossfade_version)
  from dual where @crossfade_latest <> 'v2' and exists (select * from crossfade_revision where `release` = 'v2' and phase <> 'aborted');
insert into crossfade_gate select -- a first installation is all in expand
  concat('the upgrade to ', @crossfade_version, ' is not finished: run its contract.sql first (or its abort.sql, to go back)')
  from dual where @crossfade_latest <> 'v2' and @crossfade_phase <> 'contract'
    and not (@crossfade_from is null and @crossfade_phase in ('expand', 'migrate'));
insert into crossfade_gate select concat('this script starts from version ', 'v1', ', and the database is at version ', @crossfade_version)
  from dual where @crossfade_latest <> 'v2' and @crossfade_version <> 'v1';
insert into crossfade_gate select concat('there is no table ', 'old', ': is ', database(), ' the right database?')
  from dual where not exists (select * from information_schema.tables where table_schema = database() and table_name = 'old');
-- If this fails with error 1142, the account lacks the privilege TRIGGER.
create trigger if not exists crossfade_may_make_triggers before insert on crossfade_failing_row
  for each row set new.error = new.error;
drop trigger crossfade_may_make_triggers;

insert into crossfade_revision (`release`, old_version, new_version, changes, phase)
  select 'v1', null, 'v1', 0, 'contract' from dual where not exists (select * from crossfade_revision);
-- It may have been aborted once, and another upgrade may have come between: it begins anew, as the latest.
start transaction;
delete from crossfade_revision where `release` = 'v2' and phase = 'aborted';
insert ignore into crossfade_revision (`release`, old_version, new_version, changes, phase)
  values ('v2', 'v1', 'v2', 1, 'begun');
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
-- v2_expand01: table new
-- ====================================================================================================

-- What the new version has besides: x, y.
-- Locks old METADATA EXCLUSIVE; instant.
call crossfade_step(
  not exists (select * from information_schema.columns where table_schema = database() and table_name = 'old' and column_name = 'x'),
  'alter table old add column x longtext null invisible, algorithm=instant');
call crossfade_step(
  not exists (select * from information_schema.columns where table_schema = database() and table_name = 'old' and column_name = 'y'),
  'alter table old add column y longtext null invisible, algorithm=instant');

-- From its commit on no write is one-sided: whichever version writes, the other one's columns follow in the same row.
-- Locks old METADATA EXCLUSIVE; instant.
delimiter //
create trigger if not exists zz_crossfade_sync_old_update before update on old for each row
begin
  -- a <-> x
  if not (binary new.x <=> binary old.x) then
    -- a side that already agrees is left alone: so a row that is being filled passes by
    if not (binary convert(new.x using utf8mb4) <=> binary convert(new.a using utf8mb4)) then
      begin
        declare up_x longtext;
        set up_x = new.a;
        if not (binary convert(new.x using utf8mb4) <=> binary convert(up_x using utf8mb4)) then
          -- the new version wrote something that does not follow from the old shape
          set new.a = new.x;
        end if;
      end;
    end if;
  elseif not (binary new.a <=> binary old.a) then
    -- the old version wrote
    set new.x = new.a;
  end if;
  -- b <-> y
  if not (binary new.y <=> binary old.y) then
    -- a side that already agrees is left alone: so a row that is being filled passes by
    if not (binary convert(new.y using utf8mb4) <=> binary convert((cast(new.b as char)) using utf8mb4)) then
      begin
        declare up_y longtext;
        set up_y = (cast(new.b as char));
        if not (binary convert(new.y using utf8mb4) <=> binary convert(up_y using utf8mb4)) then
          -- the new version wrote something that does not follow from the old shape
          set new.b = cast((case when new.y regexp '^-?[0-9]{1,10}$' then case when cast(new.y as signed) between -2147483648 and 2147483647 then cast(new.y as signed) end end) as signed);
        end if;
      end;
    end if;
  elseif not (new.b <=> old.b) then
    -- the old version wrote
    set new.y = (cast(new.b as char));
  end if;
end //
create trigger if not exists zz_crossfade_sync_old_insert before insert on old for each row
begin
  -- a <-> x
  if new.x is not null then
    begin
      declare up_x longtext;
      set up_x = new.a;
      if not (binary convert(new.x using utf8mb4) <=> binary convert(up_x using utf8mb4)) or not (new.a is not null) then
        set new.a = new.x;
      end if;
    end;
  else
    set new.x = new.a;
  end if;
  -- b <-> y
  if new.y is not null then
    begin
      declare up_y longtext;
      set up_y = (cast(new.b as char));
      if not (binary convert(new.y using utf8mb4) <=> binary convert(up_y using utf8mb4)) or not (new.b is not null) then
        set new.b = cast((case when new.y regexp '^-?[0-9]{1,10}$' then case when cast(new.y as signed) between -2147483648 and 2147483647 then cast(new.y as signed) end end) as signed);
      end if;
    end;
  else
    set new.y = (cast(new.b as char));
  end if;
end //
delimiter ;

-- INSERT … SELECT of the new version, which leaves the column out, is refused here before the trigger has filled it:
-- what stands in is overwritten. The old version is refused NULL as ever.
-- Locks old METADATA EXCLUSIVE; instant.
call crossfade_step(
  (select count(*) from information_schema.columns
      where table_schema = database() and table_name = 'old' and column_name in ('a', 'x')) = 2,
  'alter table old alter column a set default (case when x is not null or @@sql_mode not like ''%STRICT%'' then (concat('''')) end), algorithm=instant');

-- What version v2 sees of new.
-- Locks nothing that clients use; instant.
create or replace sql security invoker view new as
  select id, x, y
  from old;

-- Who may use a table may use the view that shows it; nobody else may.
-- Locks nothing that clients use; instant.
delimiter //
create procedure crossfade_grants()
begin
  declare done boolean default false;
  declare what longtext;
  declare granted cursor for
    select concat('grant ', group_concat(privilege_type order by privilege_type separator ', '), ' on new to ', grantee,
                  if(is_grantable = 'YES', ' with grant option', ''))
    from information_schema.table_privileges
    where table_schema = database() and table_name = 'old'
      and privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'SHOW VIEW')
      and replace(grantee, '''', '') <> current_user()
    group by grantee, is_grantable
    union all
    select concat('grant ', privilege_type, ' (x) on old to ', grantee, if(max(is_grantable) = 'YES', ' with grant option', ''))
    from information_schema.column_privileges
    where table_schema = database() and table_name = 'old' and column_name in ('a')
    group by grantee, privilege_type
    having count(distinct column_name) = 1
    union all
    select concat('grant ', privilege_type, ' (y) on old to ', grantee, if(max(is_grantable) = 'YES', ' with grant option', ''))
    from information_schema.column_privileges
    where table_schema = database() and table_name = 'old' and column_name in ('b')
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

update crossfade_revision set `expand` = 'v2_expand01' where `release` = 'v2' and not (`expand` <=> 'v2_expand01');


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade_revision set phase = 'expand' where `release` = 'v2' and phase = 'begun';
drop procedure crossfade_step;
drop temporary table crossfade_gate;
