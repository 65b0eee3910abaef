-- migrate v1 -> v2: fills the new shape for the rows that were there before, and builds what version v2 relies on.
--
--   from      v1
--   to        v2
--   access    shared: both versions use one database
--   revisions v2_migrate01 to v2_migrate01
--
-- Run it with:  mariadb DATABASE < migrate.sql
-- Before it:    expand.sql has finished
-- After it:     start version v2, stop version v1, in any order; abort.sql still takes it back
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

-- Nothing is changed unless expand has finished.
set @crossfade_ordinal = (select max(ordinal) from crossfade_revision where phase <> 'aborted');
set @crossfade_latest = (select `release` from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_phase = (select phase from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_from = (select old_version from crossfade_revision where ordinal = @crossfade_ordinal);
set @crossfade_version = (select new_version from crossfade_revision where ordinal = @crossfade_ordinal);
insert into crossfade_gate select concat('migrate of ', 'v2', ' can''t run before its expand has finished: run expand.sql first')
  from dual where not (@crossfade_latest <=> 'v2') or @crossfade_phase = 'begun';
insert into crossfade_gate select concat('v2', ' is contracted already: there is nothing to migrate')
  from dual where @crossfade_phase = 'contract';
insert into crossfade_gate select concat('contract of ', 'v2', ' has begun: run contract.sql to its end')
  from dual where @crossfade_latest = 'v2' and @crossfade_phase <> 'contract'
    and exists (select * from crossfade_journal where `release` = 'v2' and step like 'contract%');

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
-- v2_migrate01: table new
-- ====================================================================================================

-- The rows that nobody has written since expand. What a version wrote meanwhile is left alone.
-- Locks old ROWS; copy.
delimiter //
create procedure crossfade_backfill()
work: begin
  declare batch integer default 2000;
  declare changed bigint default 0;
  declare failures integer default 0;
  declare busy boolean default false;
  declare done boolean default false;
  -- Somebody holds a row of this batch (1205, 3572), waits for one of ours (1213), or has just changed one (1020, MariaDB).
  declare continue handler for 1020, 1205, 1213, 3572 set busy = true;
  insert ignore into crossfade_checkpoint (`release`, backfill) values ('v2', 'v2_migrate01.old.x');
  select finished_at is not null, last_key, top_key into done, @last_key, @top_key
    from crossfade_checkpoint where `release` = 'v2' and backfill = 'v2_migrate01.old.x' and part = 0;
  if done then
    leave work;
  end if;
  -- Rows that come after this are filled by the trigger.
  set @lo_1 = null, @hi_1 = null, @top_1 = null;
  if @top_key is null then
    select id into @top_1 from old order by id desc limit 1;
    set @top_key = json_array(cast(@top_1 as char));
    update crossfade_checkpoint set top_key = @top_key
      where `release` = 'v2' and backfill = 'v2_migrate01.old.x' and part = 0 and @top_1 is not null;
  else
    set @top_1 = cast(json_unquote(json_extract(@top_key, '$[0]')) as signed);
  end if;
  -- Columns that the server sets on every UPDATE keep what they have: nobody has changed these rows.
  set @kept = (
    select group_concat(concat(', `', replace(column_name, '`', '``'), '` = `', replace(column_name, '`', '``'), '`') separator '')
    from information_schema.columns
    where table_schema = database() and table_name = 'old' and extra like '%on update%');
  set @fill = concat('update old set x = a', coalesce(@kept, ''), ' where id >= ? and id <= ? and x is null');
  prepare crossfade_fill from @fill;
  set @alone = 'select count(*) into @locked from old where id = ? for update wait 1';
  prepare crossfade_alone from @alone;
  set @first = 'select id into @lo_1 from old order by id limit 1';
  prepare crossfade_first from @first;
  set @next = 'select id into @lo_1 from old where id > ? order by id limit 1';
  prepare crossfade_next from @next;
  set @bound = 'select id into @hi_1 from (select id from old where id >= ? and id <= ? order by id limit ?) as batch order by id desc limit 1';
  prepare crossfade_bound from @bound;
  if @last_key is null then
    execute crossfade_first;
  else
    set @hi_1 = cast(json_unquote(json_extract(@last_key, '$[0]')) as signed);
    execute crossfade_next using @hi_1;
  end if;
  -- Who waits while it holds rows can be half of a deadlock, and the server may end the other half: a client's transaction. So a
  -- batch never waits: it has all of its rows at once, or lets go of them and tries fewer. When one row is left, which somebody
  -- holds, it is waited for with nothing in hand; then the batches grow again.
  set session innodb_lock_wait_timeout = 0;
  while @lo_1 is not null do
    set @batch = batch;
    set @hi_1 = null;
    execute crossfade_bound using @lo_1, @top_1, @batch;
    if @hi_1 is null then  -- nothing is left up to the last key there was
      set @lo_1 = null;
    else
      set busy = false;
      start transaction;
      if batch = 1 then
        set @lo_1 = @hi_1;
        execute crossfade_alone using @hi_1;
      end if;
      if not busy then
        execute crossfade_fill using @lo_1, @hi_1;
        set changed = row_count();
      end if;
      if not busy then
        update crossfade_checkpoint set last_key = json_array(cast(@hi_1 as char)), `rows` = `rows` + changed
          where `release` = 'v2' and backfill = 'v2_migrate01.old.x' and part = 0;
      end if;
      if busy then
        rollback;
        if batch > 1 then
          set batch = batch div 2;
        else
          set failures = failures + 1;
          if failures > 100 then
            signal sqlstate '45000' set message_text = 'the backfill meets a locked row again and again: run the script once more';
          end if;
          do sleep(rand() * least(failures, 10) * 0.1);
        end if;
      else
        commit;
        set failures = 0, batch = least(batch * 2, 2000);
        set @lo_1 = null;
        execute crossfade_next using @hi_1;
      end if;
    end if;
  end while;
  set session innodb_lock_wait_timeout = 1;
  deallocate prepare crossfade_fill;
  deallocate prepare crossfade_alone;
  deallocate prepare crossfade_first;
  deallocate prepare crossfade_next;
  deallocate prepare crossfade_bound;
  update crossfade_checkpoint set finished_at = now() where `release` = 'v2' and backfill = 'v2_migrate01.old.x' and part = 0;
end //
delimiter ;
call crossfade_backfill();
drop procedure crossfade_backfill;

-- The rows that nobody has written since expand. What a version wrote meanwhile is left alone.
-- Locks old ROWS; copy.
delimiter //
create procedure crossfade_backfill()
work: begin
  declare batch integer default 2000;
  declare changed bigint default 0;
  declare failures integer default 0;
  declare busy boolean default false;
  declare done boolean default false;
  -- Somebody holds a row of this batch (1205, 3572), waits for one of ours (1213), or has just changed one (1020, MariaDB).
  declare continue handler for 1020, 1205, 1213, 3572 set busy = true;
  insert ignore into crossfade_checkpoint (`release`, backfill) values ('v2', 'v2_migrate01.old.y');
  select finished_at is not null, last_key, top_key into done, @last_key, @top_key
    from crossfade_checkpoint where `release` = 'v2' and backfill = 'v2_migrate01.old.y' and part = 0;
  if done then
    leave work;
  end if;
  -- Rows that come after this are filled by the trigger.
  set @lo_1 = null, @hi_1 = null, @top_1 = null;
  if @top_key is null then
    select id into @top_1 from old order by id desc limit 1;
    set @top_key = json_array(cast(@top_1 as char));
    update crossfade_checkpoint set top_key = @top_key
      where `release` = 'v2' and backfill = 'v2_migrate01.old.y' and part = 0 and @top_1 is not null;
  else
    set @top_1 = cast(json_unquote(json_extract(@top_key, '$[0]')) as signed);
  end if;
  -- Columns that the server sets on every UPDATE keep what they have: nobody has changed these rows.
  set @kept = (
    select group_concat(concat(', `', replace(column_name, '`', '``'), '` = `', replace(column_name, '`', '``'), '`') separator '')
    from information_schema.columns
    where table_schema = database() and table_name = 'old' and extra like '%on update%');
  set @fill = concat('update old set y = (cast(b as char))', coalesce(@kept, ''), ' where id >= ? and id <= ? and y is null');
  prepare crossfade_fill from @fill;
  set @alone = 'select count(*) into @locked from old where id = ? for update wait 1';
  prepare crossfade_alone from @alone;
  set @first = 'select id into @lo_1 from old order by id limit 1';
  prepare crossfade_first from @first;
  set @next = 'select id into @lo_1 from old where id > ? order by id limit 1';
  prepare crossfade_next from @next;
  set @bound = 'select id into @hi_1 from (select id from old where id >= ? and id <= ? order by id limit ?) as batch order by id desc limit 1';
  prepare crossfade_bound from @bound;
  if @last_key is null then
    execute crossfade_first;
  else
    set @hi_1 = cast(json_unquote(json_extract(@last_key, '$[0]')) as signed);
    execute crossfade_next using @hi_1;
  end if;
  -- Who waits while it holds rows can be half of a deadlock, and the server may end the other half: a client's transaction. So a
  -- batch never waits: it has all of its rows at once, or lets go of them and tries fewer. When one row is left, which somebody
  -- holds, it is waited for with nothing in hand; then the batches grow again.
  set session innodb_lock_wait_timeout = 0;
  while @lo_1 is not null do
    set @batch = batch;
    set @hi_1 = null;
    execute crossfade_bound using @lo_1, @top_1, @batch;
    if @hi_1 is null then  -- nothing is left up to the last key there was
      set @lo_1 = null;
    else
      set busy = false;
      start transaction;
      if batch = 1 then
        set @lo_1 = @hi_1;
        execute crossfade_alone using @hi_1;
      end if;
      if not busy then
        execute crossfade_fill using @lo_1, @hi_1;
        set changed = row_count();
      end if;
      if not busy then
        update crossfade_checkpoint set last_key = json_array(cast(@hi_1 as char)), `rows` = `rows` + changed
          where `release` = 'v2' and backfill = 'v2_migrate01.old.y' and part = 0;
      end if;
      if busy then
        rollback;
        if batch > 1 then
          set batch = batch div 2;
        else
          set failures = failures + 1;
          if failures > 100 then
            signal sqlstate '45000' set message_text = 'the backfill meets a locked row again and again: run the script once more';
          end if;
          do sleep(rand() * least(failures, 10) * 0.1);
        end if;
      else
        commit;
        set failures = 0, batch = least(batch * 2, 2000);
        set @lo_1 = null;
        execute crossfade_next using @hi_1;
      end if;
    end if;
  end while;
  set session innodb_lock_wait_timeout = 1;
  deallocate prepare crossfade_fill;
  deallocate prepare crossfade_alone;
  deallocate prepare crossfade_first;
  deallocate prepare crossfade_next;
  deallocate prepare crossfade_bound;
  update crossfade_checkpoint set finished_at = now() where `release` = 'v2' and backfill = 'v2_migrate01.old.y' and part = 0;
end //
delimiter ;
call crossfade_backfill();
drop procedure crossfade_backfill;

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

-- x becomes NOT NULL in contract: rows that would stop it are reported now.
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
      select message as warning, 'Contract will refuse while there are such rows.' as `what follows`;
    end if;
  end if;
end //
delimiter ;
call crossfade_check();
drop procedure crossfade_check;

update crossfade_revision set `migrate` = 'v2_migrate01' where `release` = 'v2' and not (`migrate` <=> 'v2_migrate01');


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade_revision set phase = 'migrate' where `release` = 'v2' and phase = 'expand';
drop procedure crossfade_step;
drop temporary table crossfade_gate;
