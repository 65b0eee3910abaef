-- migrate sprint_122 -> sprint_123: fills the new shape for the rows that were there before, and builds what version sprint_123 relies on.
--
--   from      sprint_122
--   to        sprint_123
--   access    shared: both versions use the tables
--   revisions sprint_123_migrate01 to sprint_123_migrate02
--
-- Run it with:  sqlite3 -bail app.db < migrate.sql
-- Before it:    expand.sql has finished
-- After it:     start version sprint_123, stop version sprint_122, in any order; abort.sql still takes it back
--
-- It is one transaction: all of it happens or nothing. After a failure or a kill run it again; a second run refuses, says
-- what comes next, and changes nothing. All rows are filled in one statement: writers wait while it runs.
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

-- Nothing is changed unless expand has finished.
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'these scripts need SQLite 3.40 or later')
  where cast(sqlite_version() as integer) < 3
    or (cast(sqlite_version() as integer) = 3 and cast(substr(sqlite_version(), instr(sqlite_version(), '.') + 1) as integer) < 40);
  select raise(rollback, 'migrate of sprint_123 can''t run before its expand has finished: run expand.sql first')
  where not exists (select 1 from crossfade_latest where release = 'sprint_123' and phase <> 'begun');
  select raise(rollback, 'migrate of sprint_123 is done, and nothing was changed now: run contract.sql next, or abort.sql to go back')
  from crossfade_latest where phase = 'migrate';
  select raise(rollback, 'sprint_123 is contracted already: there is nothing to migrate')
  from crossfade_latest where phase = 'contract';
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;


-- ====================================================================================================
-- sprint_123_migrate01: table customers
-- ====================================================================================================

-- The rows that nobody has written since expand. What a version wrote meanwhile is left alone.
-- Copy.
update customers
set email_lower = (lower(email))
where email_lower is null
  and (lower(email)) is not null;

-- Both shapes must say the same of every row.
-- Scan.
select 'refused: customers: email_lower is not filled: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select customers.id as found from customers where (email_lower is null and (lower(email)) is not null) limit 5)) || '): nothing was lost and nothing was changed. Change these rows, then run this script again.'
from customers
where (email_lower is null and (lower(email)) is not null)
having count(*) > 0;
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'customers: email_lower is not filled: nothing was lost and nothing was changed. Change these rows, then run this script again.')
  where exists (select 1 from customers where (email_lower is null and (lower(email)) is not null));
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;

-- email_lower becomes NOT NULL in contract: rows that would stop it are reported now.
-- Scan.
select 'warning: customers: email_lower is NULL: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select customers.id as found from customers where email_lower is null limit 5)) || '): contract will refuse while there are such rows.'
from customers
where email_lower is null
having count(*) > 0;

update crossfade_revision set migrate = 'sprint_123_migrate01' where release = 'sprint_123';


-- ====================================================================================================
-- sprint_123_migrate02: table orders
-- ====================================================================================================

-- The rows that nobody has written since expand. What a version wrote meanwhile is left alone.
-- Copy.
update orders
set amount_cents = (round(amount * 100))
where amount_cents is null
  and (round(amount * 100)) is not null;

-- The rows that nobody has written since expand. What a version wrote meanwhile is left alone.
-- Copy.
update orders
set status = (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else json_extract('{}', 'state has a value that the mapping does not list: ' || state) end)
where status is null
  and (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else json_extract('{}', 'state has a value that the mapping does not list: ' || state) end) is not null;

-- Both shapes must say the same of every row.
-- Scan.
select 'refused: orders: amount_cents is not filled: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select orders.id as found from orders where (amount_cents is null and (round(amount * 100)) is not null) limit 5)) || '): nothing was lost and nothing was changed. Change these rows, then run this script again.'
from orders
where (amount_cents is null and (round(amount * 100)) is not null)
having count(*) > 0;
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'orders: amount_cents is not filled: nothing was lost and nothing was changed. Change these rows, then run this script again.')
  where exists (select 1 from orders where (amount_cents is null and (round(amount * 100)) is not null));
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;

-- Both shapes must say the same of every row.
-- Scan.
select 'refused: orders: state and status disagree: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select orders.id as found from orders where state is not (case when status is null then null when status = 'new' then 0 when status = 'paid' then 1 when status = 'shipped' then 2 else json_extract('{}', 'status has a value that the mapping does not list: ' || status) end) and status is not (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else json_extract('{}', 'state has a value that the mapping does not list: ' || state) end) limit 5)) || '): nothing was lost and nothing was changed. Change these rows, then run this script again.'
from orders
where state is not (case when status is null then null when status = 'new' then 0 when status = 'paid' then 1 when status = 'shipped' then 2 else json_extract('{}', 'status has a value that the mapping does not list: ' || status) end) and status is not (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else json_extract('{}', 'state has a value that the mapping does not list: ' || state) end)
having count(*) > 0;
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'orders: state and status disagree: nothing was lost and nothing was changed. Change these rows, then run this script again.')
  where exists (select 1 from orders where state is not (case when status is null then null when status = 'new' then 0 when status = 'paid' then 1 when status = 'shipped' then 2 else json_extract('{}', 'status has a value that the mapping does not list: ' || status) end) and status is not (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else json_extract('{}', 'state has a value that the mapping does not list: ' || state) end));
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;

-- Check orders_status_check binds from contract on: rows that would stop it are reported now.
-- Scan.
select 'warning: orders: check orders_status_check is broken: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select orders.id as found from orders where not (status in ('new', 'paid', 'shipped')) limit 5)) || '): contract will refuse while there are such rows.'
from orders
where not (status in ('new', 'paid', 'shipped'))
having count(*) > 0;

-- amount_cents becomes NOT NULL in contract: rows that would stop it are reported now.
-- Scan.
select 'warning: orders: amount_cents is NULL: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select orders.id as found from orders where amount_cents is null limit 5)) || '): contract will refuse while there are such rows.'
from orders
where amount_cents is null
having count(*) > 0;

-- status becomes NOT NULL in contract: rows that would stop it are reported now.
-- Scan.
select 'warning: orders: status is NULL: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select orders.id as found from orders where status is null limit 5)) || '): contract will refuse while there are such rows.'
from orders
where status is null
having count(*) > 0;

-- Built behind the backfill, which an index would make dearer.
-- Scan.
create index orders_status_idx on orders (status, placed_at);

update crossfade_revision set migrate = 'sprint_123_migrate02' where release = 'sprint_123';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade_revision set phase = 'migrate' where release = 'sprint_123';
drop view temp.crossfade_latest;
drop table temp.crossfade_gate;
commit;
