-- contract sprint_122 -> sprint_123: takes away what only version sprint_122 used. There is no way back.
--
--   from      sprint_122
--   to        sprint_123
--   access    shared: both versions use the tables
--   revisions sprint_123_contract01 to sprint_123_contract02
--
-- Run it with:  sqlite3 -bail app.db < contract.sql
-- Before it:    migrate.sql has finished, and no client of version sprint_122 is left
-- After it:     the database is at version sprint_123
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

-- Nothing is changed unless migrate has finished.
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'these scripts need SQLite 3.40 or later')
  where cast(sqlite_version() as integer) < 3
    or (cast(sqlite_version() as integer) = 3 and cast(substr(sqlite_version(), instr(sqlite_version(), '.') + 1) as integer) < 40);
  select raise(rollback, 'contract of sprint_123 can''t run before its migrate has finished: run expand.sql first, then migrate.sql')
  where not exists (select 1 from crossfade_latest where release = 'sprint_123' and phase <> 'begun');
  select raise(rollback, 'contract of sprint_123 can''t run before its migrate has finished: run migrate.sql first')
  from crossfade_latest where phase = 'expand';
  select raise(rollback, 'contract of sprint_123 is done, and nothing was changed now: the upgrade is through, nothing comes next')
  from crossfade_latest where phase = 'contract';
  select raise(rollback, 'contract of sprint_123 can''t run while crossfade_failing_row holds rows that could not be filled')
  where exists (select 1 from crossfade_failing_row where release = 'sprint_123');
  select raise(rollback, 'table customers is STRICT or WITHOUT ROWID, which writing it anew would lose')
  where exists (select 1 from pragma_table_list where schema = 'main' and name = 'customers' collate nocase and (wr or strict));
  select raise(rollback, 'table customers has a column that no snapshot knows, and that writing it anew would lose: put it into the snapshots')
  where exists (select 1 from pragma_table_xinfo('customers') where name collate nocase not in ('email', 'email_lower', 'id', 'newsletter', 'phone'));
  select raise(rollback, 'table customers has an index that no snapshot knows, and that writing it anew would lose: put it into the snapshots')
  where exists (
    select 1 from sqlite_schema
    where type = 'index' and tbl_name = 'customers' collate nocase and sql is not null and name collate nocase not in ('customers_email_key', 'orders_status_idx'));
  select raise(rollback, 'table customers has a trigger of its own, which writing it anew would lose: drop it, and make it again afterwards')
  where exists (
    select 1 from sqlite_schema
    where type = 'trigger' and tbl_name = 'customers' collate nocase and name not like 'zz!_crossfade!_%' escape '!');
  select raise(rollback, 'table orders is STRICT or WITHOUT ROWID, which writing it anew would lose')
  where exists (select 1 from pragma_table_list where schema = 'main' and name = 'orders' collate nocase and (wr or strict));
  select raise(rollback, 'table orders has a column that no snapshot knows, and that writing it anew would lose: put it into the snapshots')
  where exists (select 1 from pragma_table_xinfo('orders') where name collate nocase not in ('amount', 'amount_cents', 'customer_id', 'id', 'note', 'placed_at', 'state', 'status'));
  select raise(rollback, 'table orders has an index that no snapshot knows, and that writing it anew would lose: put it into the snapshots')
  where exists (
    select 1 from sqlite_schema
    where type = 'index' and tbl_name = 'orders' collate nocase and sql is not null and name collate nocase not in ('customers_email_key', 'orders_status_idx'));
  select raise(rollback, 'table orders has a trigger of its own, which writing it anew would lose: drop it, and make it again afterwards')
  where exists (
    select 1 from sqlite_schema
    where type = 'trigger' and tbl_name = 'orders' collate nocase and name not like 'zz!_crossfade!_%' escape '!');
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;

-- How many references of the tables that are written anew lead nowhere, before and afterwards: there must not be more.
create temp table crossfade_orphans as
  select count(*) as before
  from (select name from sqlite_schema as s
        where type = 'table'
          and (name collate nocase in ('customers', 'orders')
               or exists (select 1 from pragma_foreign_key_list(s.name) as k where k."table" collate nocase in ('customers', 'orders')))) as t,
       pragma_foreign_key_check(t.name);

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

-- email_lower becomes NOT NULL.
-- Scan.
select 'refused: customers: email_lower is NULL: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select customers.id as found from customers where email_lower is null limit 5)) || '): nothing was lost and nothing was changed. Change these rows, then run this script again.'
from customers
where email_lower is null
having count(*) > 0;
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'customers: email_lower is NULL: nothing was lost and nothing was changed. Change these rows, then run this script again.')
  where exists (select 1 from customers where email_lower is null);
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;

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

-- Check orders_status_check is about to bind.
-- Scan.
select 'refused: orders: check orders_status_check is broken: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select orders.id as found from orders where not (status in ('new', 'paid', 'shipped')) limit 5)) || '): nothing was lost and nothing was changed. Change these rows, then run this script again.'
from orders
where not (status in ('new', 'paid', 'shipped'))
having count(*) > 0;
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'orders: check orders_status_check is broken: nothing was lost and nothing was changed. Change these rows, then run this script again.')
  where exists (select 1 from orders where not (status in ('new', 'paid', 'shipped')));
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;

-- amount_cents becomes NOT NULL.
-- Scan.
select 'refused: orders: amount_cents is NULL: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select orders.id as found from orders where amount_cents is null limit 5)) || '): nothing was lost and nothing was changed. Change these rows, then run this script again.'
from orders
where amount_cents is null
having count(*) > 0;
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'orders: amount_cents is NULL: nothing was lost and nothing was changed. Change these rows, then run this script again.')
  where exists (select 1 from orders where amount_cents is null);
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;

-- status becomes NOT NULL.
-- Scan.
select 'refused: orders: status is NULL: ' || count(*) || ' rows (for example ' || (
  select group_concat(found, '; ') from (select orders.id as found from orders where status is null limit 5)) || '): nothing was lost and nothing was changed. Change these rows, then run this script again.'
from orders
where status is null
having count(*) > 0;
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'orders: status is NULL: nothing was lost and nothing was changed. Change these rows, then run this script again.')
  where exists (select 1 from orders where status is null);
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;


-- ====================================================================================================
-- sprint_123_contract01: table customers
-- ====================================================================================================

-- The namespace of version sprint_122, if its clients came through one: nobody uses it any more.
-- Instant.
drop view if exists customers__sprint_122;
drop view if exists orders__sprint_122;

-- In the same transaction as the columns: no write is ever without the one and with the other.
-- Instant.
drop trigger if exists zz_crossfade_sync_customers_insert_1_old;
drop trigger if exists zz_crossfade_sync_customers_update_1_follow;

-- Written anew, since there is no ALTER for it: set not null customers.email_lower.
-- Rewrite.
create table crossfade_rebuild_customers (
  id integer primary key autoincrement not null,
  email varchar(320) not null,
  email_lower text not null,
  phone varchar(20),
  newsletter boolean not null default false
);
insert into crossfade_rebuild_customers (id, email, email_lower, phone, newsletter)
select id, email, email_lower, phone, newsletter
from customers;
delete from sqlite_sequence where name = 'crossfade_rebuild_customers';  -- it counts on where the old table stopped
insert into sqlite_sequence (name, seq) select 'crossfade_rebuild_customers', seq from sqlite_sequence where name = 'customers';
drop table customers;
pragma legacy_alter_table = on;  -- who mentions the table by its name shall mention this one now, unchanged
alter table crossfade_rebuild_customers rename to customers;
pragma legacy_alter_table = off;
create unique index customers_email_key on customers (email);

update crossfade_revision set contract = 'sprint_123_contract01' where release = 'sprint_123';


-- ====================================================================================================
-- sprint_123_contract02: table orders
-- ====================================================================================================

-- In the same transaction as the columns: no write is ever without the one and with the other.
-- Instant.
drop trigger if exists zz_crossfade_sync_orders_insert_1_old;
drop trigger if exists zz_crossfade_sync_orders_insert_1_new;
drop trigger if exists zz_crossfade_sync_orders_update_1_new;
drop trigger if exists zz_crossfade_sync_orders_update_1_old;
drop trigger if exists zz_crossfade_sync_orders_insert_2_old;
drop trigger if exists zz_crossfade_sync_orders_update_2_follow;

-- Written anew, since there is no ALTER for it: add check orders.orders_status_check; set not null
-- orders.amount_cents; set not null orders.status; swap columns orders.
-- Rewrite.
create table crossfade_rebuild_orders (
  id integer primary key autoincrement not null,
  customer_id bigint not null,
  amount numeric(12,2) not null,
  placed_at text not null default current_timestamp,
  status varchar(20) not null,
  amount_cents bigint not null,
  note text,
  check (status in ('new', 'paid', 'shipped')),
  foreign key (customer_id) references customers (id)
);
insert into crossfade_rebuild_orders (id, customer_id, amount, placed_at, status, amount_cents, note)
select id, customer_id, amount, placed_at, status, amount_cents, note
from orders;
delete from sqlite_sequence where name = 'crossfade_rebuild_orders';  -- it counts on where the old table stopped
insert into sqlite_sequence (name, seq) select 'crossfade_rebuild_orders', seq from sqlite_sequence where name = 'orders';
drop table orders;
pragma legacy_alter_table = on;  -- who mentions the table by its name shall mention this one now, unchanged
alter table crossfade_rebuild_orders rename to orders;
pragma legacy_alter_table = off;
create index orders_status_idx on orders (status, placed_at);

update crossfade_revision set contract = 'sprint_123_contract02' where release = 'sprint_123';


-- ====================================================================================================
-- Done
-- ====================================================================================================
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
  select raise(rollback, 'references lead nowhere that led somewhere before; nothing was changed')
  from crossfade_orphans
  where before < (
    select count(*)
    from (select name from sqlite_schema as s
          where type = 'table'
            and (name collate nocase in ('customers', 'orders')
                 or exists (select 1 from pragma_foreign_key_list(s.name) as k where k."table" collate nocase in ('customers', 'orders')))) as t,
         pragma_foreign_key_check(t.name));
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;
drop table crossfade_orphans;

update crossfade_revision set phase = 'contract' where release = 'sprint_123';
drop view temp.crossfade_latest;
drop table temp.crossfade_gate;
commit;
