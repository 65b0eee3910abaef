-- expand newton: a first installation. Makes all that version newton needs.
--
--   from      nothing: a first installation
--   to        newton
--   access    shared: both versions use one database
--   revisions newton_expand01 to newton_expand01
--
-- Run it with:  mariadb DATABASE < expand.sql
-- Before it:    the database is at no version
-- After it:     run migrate.sql; abort.sql takes it back
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
insert into crossfade_gate select concat('newton', ' is contracted already: there is nothing to expand')
  from dual where @crossfade_latest = 'newton' and @crossfade_phase = 'contract';
insert into crossfade_gate select concat('contract of ', 'newton', ' has begun: run contract.sql to its end')
  from dual where @crossfade_latest = 'newton' and @crossfade_phase <> 'contract'
    and exists (select * from crossfade_journal where `release` = 'newton' and step like 'contract%');
insert into crossfade_gate select concat('newton', ' is long done: this database is at version ', @crossfade_version)
  from dual where @crossfade_latest <> 'newton' and exists (select * from crossfade_revision where `release` = 'newton' and phase <> 'aborted');
insert into crossfade_gate select -- a first installation is all in expand
  concat('the upgrade to ', @crossfade_version, ' is not finished: run its contract.sql first (or its abort.sql, to go back)')
  from dual where @crossfade_latest <> 'newton' and @crossfade_phase <> 'contract'
    and not (@crossfade_from is null and @crossfade_phase in ('expand', 'migrate'));
insert into crossfade_gate select concat('this script is a first installation, and the database is at version ', @crossfade_version)
  from dual where @crossfade_latest <> 'newton';

-- It may have been aborted once, and another upgrade may have come between: it begins anew, as the latest.
start transaction;
delete from crossfade_revision where `release` = 'newton' and phase = 'aborted';
insert ignore into crossfade_revision (`release`, old_version, new_version, changes, phase)
  values ('newton', null, 'newton', 1, 'begun');
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
-- newton_expand01: table image_members, table images
-- ====================================================================================================

-- Only the new version knows table image_members: all its rules bind at once.
-- Locks nothing that clients use; instant.
create table if not exists image_members (
  id bigint not null auto_increment,
  image_id varchar(36) not null,
  member varchar(255) not null,
  deleted boolean not null default false,
  primary key (id)
) engine = InnoDB;

-- Only the new version knows table images: all its rules bind at once.
-- Locks nothing that clients use; instant.
create table if not exists images (
  id varchar(36) not null,
  name varchar(255) null,
  status varchar(30) not null,
  is_public boolean not null default false,
  owner varchar(255) null,
  primary key (id),
  index ix_images_is_public (is_public)
) engine = InnoDB;

-- Rows of image_members point to images. NOT VALID, so that neither table is read under the lock.
-- Locks image_members METADATA EXCLUSIVE, images METADATA EXCLUSIVE; instant.
set session foreign_key_checks = 0;
call crossfade_step(
  not exists (select * from information_schema.table_constraints where table_schema = database() and table_name = 'image_members' and constraint_name = 'image_members_image_id_fkey'),
  'alter table image_members add constraint image_members_image_id_fkey foreign key (image_id) references images (id), algorithm=nocopy, lock=none');
set session foreign_key_checks = 1;
delimiter //
create procedure crossfade_check()
begin
  declare found bigint;
  declare sample text;
  declare message text;
  if (select count(*) from information_schema.columns
      where table_schema = database() and table_name = 'image_members' and column_name in ('image_id')) = 1 then
    select count(*) into found from image_members where image_members.image_id is not null and not exists (select * from images as referred where referred.id = image_members.image_id);
    if found > 0 then
      select group_concat(k separator '; ') into sample
      from (select concat_ws(', ', image_members.image_id) as k from image_members where image_members.image_id is not null and not exists (select * from images as referred where referred.id = image_members.image_id) limit 5) as samples;
      set message = concat('image_members: foreign key image_members_image_id_fkey leads nowhere', ': ', found, ' rows (for example ', sample, ')');
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

update crossfade_revision set `expand` = 'newton_expand01' where `release` = 'newton' and not (`expand` <=> 'newton_expand01');


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade_revision set phase = 'expand' where `release` = 'newton' and phase = 'begun';
drop procedure crossfade_step;
drop temporary table crossfade_gate;
