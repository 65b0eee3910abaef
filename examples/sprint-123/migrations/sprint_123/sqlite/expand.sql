-- expand sprint_122 -> sprint_123: adds what version sprint_123 needs, and keeps both shapes in step. Version sprint_122 does not notice.
--
--   from      sprint_122
--   to        sprint_123
--   access    shared: both versions use the tables
--   revisions sprint_123_expand01 to sprint_123_expand02
--
-- Run it with:  sqlite3 -bail app.db < expand.sql
-- Before it:    the database is at version sprint_122, and no other upgrade is half done
-- After it:     run migrate.sql; abort.sql takes it back
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

-- Nothing is changed unless the database is where this script starts from.
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'these scripts need SQLite 3.40 or later')
  where cast(sqlite_version() as integer) < 3
    or (cast(sqlite_version() as integer) = 3 and cast(substr(sqlite_version(), instr(sqlite_version(), '.') + 1) as integer) < 40);
  select raise(rollback, 'sprint_123 is contracted already: there is nothing to expand')
  from crossfade_latest where release = 'sprint_123' and phase = 'contract';
  select raise(rollback, 'expand of sprint_123 is done, and nothing was changed now: run migrate.sql next, or abort.sql to go back')
  from crossfade_latest where release = 'sprint_123' and phase = 'expand';
  select raise(rollback, 'expand of sprint_123 is done and so is its migrate, and nothing was changed now: run contract.sql next, or abort.sql to go back')
  from crossfade_latest where release = 'sprint_123' and phase = 'migrate';
  select raise(rollback, 'sprint_123 is long done: see crossfade_version')
  from crossfade_latest
  where release <> 'sprint_123' and exists (select 1 from crossfade_revision where release = 'sprint_123' and phase <> 'aborted');
  select raise(rollback, 'the upgrade before this one is not finished: run its contract.sql first, or its abort.sql to go back')
  from crossfade_latest
  where release <> 'sprint_123' and phase <> 'contract'
    and not (old_version is null and phase in ('expand', 'migrate'));  -- a first installation is all in expand
  select raise(rollback, 'this script starts from version sprint_122, and the database is at another one: see crossfade_version')
  from crossfade_latest where release <> 'sprint_123' and new_version <> 'sprint_122';
  select raise(rollback, 'there is no table customers: is this the right database?')
  where not exists (select 1 from sqlite_schema where type = 'table' and name = 'customers' collate nocase);
  select raise(rollback, 'there is no table orders: is this the right database?')
  where not exists (select 1 from sqlite_schema where type = 'table' and name = 'orders' collate nocase);
  select raise(rollback, 'table customers is WITHOUT ROWID: its triggers could not name a row')
  where exists (select 1 from pragma_table_list where schema = 'main' and name = 'customers' collate nocase and wr);
  select raise(rollback, 'table orders is WITHOUT ROWID: its triggers could not name a row')
  where exists (select 1 from pragma_table_list where schema = 'main' and name = 'orders' collate nocase and wr);
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;
insert into crossfade_revision (release, old_version, new_version, changes, phase)
select 'sprint_122', null, 'sprint_122', 0, 'contract'
where not exists (select 1 from crossfade_revision);
delete from crossfade_revision where release = 'sprint_123' and phase = 'aborted';  -- another upgrade may have come between
insert into crossfade_revision (release, old_version, new_version, changes, phase)
values ('sprint_123', 'sprint_122', 'sprint_123', 2, 'begun');


-- ====================================================================================================
-- sprint_123_expand01: table customers
-- ====================================================================================================

-- What the new version has besides: email_lower, newsletter.
-- Instant.
alter table customers add column email_lower text;
alter table customers add column newsletter boolean not null default false;

-- From its commit on no write is one-sided: whichever version writes, the other one's columns follow in the same row.
-- Instant.
-- the old version inserted
create trigger zz_crossfade_sync_customers_insert_1_old after insert on customers
when new.email_lower is null
  and new.email_lower is not cast((lower(new.email)) as text)
begin
  update customers set email_lower = (lower(new.email)) where _rowid_ = new._rowid_;
end;
-- what email_lower follows from changed: it follows, unless the new version had set it
create trigger zz_crossfade_sync_customers_update_1_follow after update on customers
when new.email is not old.email
  and not (new.email_lower is not old.email_lower)
  and not (old.email_lower is not cast((lower(old.email)) as text))
  and new.email_lower is not cast((lower(new.email)) as text)
begin
  update customers set email_lower = (lower(new.email)) where _rowid_ = new._rowid_;
end;

update crossfade_revision set expand = 'sprint_123_expand01' where release = 'sprint_123';


-- ====================================================================================================
-- sprint_123_expand02: table orders
-- ====================================================================================================

-- What the new version has besides: status, amount_cents, note.
-- Instant.
alter table orders add column status varchar(20);
alter table orders add column amount_cents bigint;
alter table orders add column note text;

-- From its commit on no write is one-sided: whichever version writes, the other one's columns follow in the same row.
-- Instant.
-- the old version inserted
create trigger zz_crossfade_sync_orders_insert_1_old after insert on orders
when new.status is null
  and new.status is not (case when new.state is null then null when new.state = 0 then 'new' when new.state = 1 then 'paid' when new.state = 2 then 'shipped' else json_extract('{}', 'state has a value that the mapping does not list: ' || new.state) end)
begin
  update orders set status = (case when new.state is null then null when new.state = 0 then 'new' when new.state = 1 then 'paid' when new.state = 2 then 'shipped' else json_extract('{}', 'state has a value that the mapping does not list: ' || new.state) end) where _rowid_ = new._rowid_;
end;
-- the new version wrote status
create trigger zz_crossfade_sync_orders_insert_1_new after insert on orders
when new.status is not null
  and new.status is not (case when new.state is null then null when new.state = 0 then 'new' when new.state = 1 then 'paid' when new.state = 2 then 'shipped' else json_extract('{}', 'state has a value that the mapping does not list: ' || new.state) end)
  and new.state is not (case when new.status is null then null when new.status = 'new' then 0 when new.status = 'paid' then 1 when new.status = 'shipped' then 2 else json_extract('{}', 'status has a value that the mapping does not list: ' || new.status) end)
begin
  update orders set state = (case when new.status is null then null when new.status = 'new' then 0 when new.status = 'paid' then 1 when new.status = 'shipped' then 2 else json_extract('{}', 'status has a value that the mapping does not list: ' || new.status) end) where _rowid_ = new._rowid_;
end;
-- the new version wrote status
create trigger zz_crossfade_sync_orders_update_1_new after update on orders
when new.status is not old.status
  and new.status is not (case when new.state is null then null when new.state = 0 then 'new' when new.state = 1 then 'paid' when new.state = 2 then 'shipped' else json_extract('{}', 'state has a value that the mapping does not list: ' || new.state) end)
  and new.state is not (case when new.status is null then null when new.status = 'new' then 0 when new.status = 'paid' then 1 when new.status = 'shipped' then 2 else json_extract('{}', 'status has a value that the mapping does not list: ' || new.status) end)
begin
  update orders set state = (case when new.status is null then null when new.status = 'new' then 0 when new.status = 'paid' then 1 when new.status = 'shipped' then 2 else json_extract('{}', 'status has a value that the mapping does not list: ' || new.status) end) where _rowid_ = new._rowid_;
end;
-- the old version changed state
create trigger zz_crossfade_sync_orders_update_1_old after update on orders
when new.state is not old.state
  and not (new.status is not old.status)
  and new.status is not (case when new.state is null then null when new.state = 0 then 'new' when new.state = 1 then 'paid' when new.state = 2 then 'shipped' else json_extract('{}', 'state has a value that the mapping does not list: ' || new.state) end)
  and new.state is not (case when new.status is null then null when new.status = 'new' then 0 when new.status = 'paid' then 1 when new.status = 'shipped' then 2 else json_extract('{}', 'status has a value that the mapping does not list: ' || new.status) end)
begin
  update orders set status = (case when new.state is null then null when new.state = 0 then 'new' when new.state = 1 then 'paid' when new.state = 2 then 'shipped' else json_extract('{}', 'state has a value that the mapping does not list: ' || new.state) end) where _rowid_ = new._rowid_;
end;
-- the old version inserted
create trigger zz_crossfade_sync_orders_insert_2_old after insert on orders
when new.amount_cents is null
  and new.amount_cents is not cast((round(new.amount * 100)) as numeric)
begin
  update orders set amount_cents = (round(new.amount * 100)) where _rowid_ = new._rowid_;
end;
-- what amount_cents follows from changed: it follows, unless the new version had set it
create trigger zz_crossfade_sync_orders_update_2_follow after update on orders
when new.amount is not old.amount
  and not (new.amount_cents is not old.amount_cents)
  and not (old.amount_cents is not cast((round(old.amount * 100)) as numeric))
  and new.amount_cents is not cast((round(new.amount * 100)) as numeric)
begin
  update orders set amount_cents = (round(new.amount * 100)) where _rowid_ = new._rowid_;
end;

update crossfade_revision set expand = 'sprint_123_expand02' where release = 'sprint_123';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade_revision set phase = 'expand' where release = 'sprint_123';
drop view temp.crossfade_latest;
drop table temp.crossfade_gate;
commit;
