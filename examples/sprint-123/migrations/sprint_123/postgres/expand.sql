-- expand sprint_122 -> sprint_123: adds what version sprint_123 needs, and keeps both shapes in step. Version sprint_122 does not notice.
--
--   from      sprint_122
--   to        sprint_123
--   access    shared: both versions use one namespace
--   revisions sprint_123_expand01 to sprint_123_expand02
--
-- Run it with:  psql -X -v ON_ERROR_STOP=1 -f expand.sql
-- Before it:    the database is at version sprint_122, and no other upgrade is half done
-- After it:     run migrate.sql; abort.sql takes it back
--
-- It can be run again after a failure, a kill or a finish. No statement waits longer than the lock timeout for a lock
-- that others would queue behind; when one gives up, run the script again.

set client_min_messages = warning;
set lock_timeout = '300ms';
set statement_timeout = 0;
set row_security = off;  -- rows that a policy hides would be left out in silence: rather an error
set search_path = public;

-- An autovacuum gives way to who has waited for deadlock_timeout: where we may, we make that shorter than our patience.
do $crossfade$
begin
  perform set_config('deadlock_timeout', '150ms', false);
exception when insufficient_privilege then
  null;  -- a statement that meets an autovacuum gives up, then: run the script again behind it
end
$crossfade$;

-- ====================================================================================================
-- Gates
-- ====================================================================================================

-- The version tables: how far this database is. They stay.
create schema if not exists crossfade;
create table if not exists crossfade.revision (
  release     text primary key,
  ordinal     bigint generated always as identity,
  old_version text,
  new_version text not null,
  changes     integer not null,
  phase       text not null,    -- the last phase that is finished: begun, expand, migrate, contract; or aborted
  expand      text,             -- the last revision of each phase
  migrate     text,
  contract    text,
  begun_at    timestamptz not null default now()
);
create table if not exists crossfade.journal (
  release     text not null,
  step        text not null,
  hash        text,
  started_at  timestamptz not null default now(),
  finished_at timestamptz,
  attempts    integer not null default 1,
  error       text,
  primary key (release, step)
);
create table if not exists crossfade.checkpoint (
  release     text not null,
  backfill    text not null,
  part        integer not null default 0,
  last_key    text[],           -- the last key that is done
  top_key     text[],           -- the last key there was when the backfill began
  rows        bigint not null default 0,
  finished_at timestamptz,
  primary key (release, backfill, part)
);
create table if not exists crossfade.failing_row (
  release     text not null,
  backfill    text not null,
  row_key     text[] not null,
  error       text not null,
  primary key (release, backfill, row_key)
);
-- What an application asks to learn which versions this database serves.
create or replace view crossfade.version as
  select old_version, new_version, phase, coalesce(contract, migrate, expand, '') as revision
  from crossfade.revision
  where phase <> 'aborted'
  order by ordinal desc
  limit 1;
grant usage on schema crossfade to public;
grant select on crossfade.version to public;

-- Nothing is changed unless the database is where this script starts from.
do $crossfade$
declare
  latest crossfade.revision;
  partitioned text;
begin
  if current_setting('server_version_num')::integer < 150000 then
    raise exception 'crossfade needs PostgreSQL 15 or later, and this is %', current_setting('server_version');
  end if;
  select * into latest from crossfade.revision where phase <> 'aborted' order by ordinal desc limit 1;
  if latest.release = 'sprint_123' and latest.phase = 'contract' then
    raise exception '% is contracted already: there is nothing to expand', 'sprint_123';
  end if;
  if latest.release <> 'sprint_123' and exists (select from crossfade.revision where release = 'sprint_123' and phase <> 'aborted') then
    raise exception '% is long done: this database is at version %', 'sprint_123', latest.new_version;
  end if;
  if latest.release <> 'sprint_123' and latest.phase <> 'contract'
    and not (latest.old_version is null and latest.phase in ('expand', 'migrate')) then  -- a first installation is all in expand
    raise exception 'the upgrade to % is not finished', latest.new_version
      using hint = format('Run contract.sql of %s first (or abort.sql, to go back).', latest.new_version);
  end if;
  if latest.release <> 'sprint_123' and latest.new_version <> 'sprint_122' then
    raise exception 'this script starts from version %, and the database is at version %', 'sprint_122', latest.new_version;
  end if;
  if to_regclass('public.customers') is null then
    raise exception 'there is no table public.customers: is this the right database?';
  end if;
  if to_regclass('public.orders') is null then
    raise exception 'there is no table public.orders: is this the right database?';
  end if;
  select string_agg(oid::regclass::text, ', ' order by oid::regclass::text) into partitioned
  from pg_class
  where relkind = 'p' and oid in (to_regclass('public.customers'), to_regclass('public.orders'));
  if partitioned is not null then
    raise exception 'partitioned: %; crossfade takes no partitioned table through an upgrade', partitioned
      using hint = 'Nothing was changed. Change these tables by hand, and in both snapshots.';
  end if;
  if not exists (select from crossfade.revision) then
    insert into crossfade.revision (release, old_version, new_version, changes, phase)
    values ('sprint_122', null, 'sprint_122', 0, 'contract');
  end if;
  insert into crossfade.revision (release, old_version, new_version, changes, phase)
  values ('sprint_123', 'sprint_122', 'sprint_123', 2, 'begun')
  on conflict (release) do update  -- it was aborted once, and another upgrade may have come between
  set ordinal = default, old_version = excluded.old_version, new_version = excluded.new_version, changes = excluded.changes,
      phase = 'begun', begun_at = excluded.begun_at
  where revision.phase = 'aborted';
end
$crossfade$;


-- ====================================================================================================
-- sprint_123_expand01: table customers
-- ====================================================================================================

begin;

-- What the new version has besides: email_lower, newsletter.
-- Locks customers ACCESS EXCLUSIVE; instant.
alter table public.customers
  add column if not exists email_lower text,
  add column if not exists newsletter boolean not null default false;

-- From its commit on no write is one-sided: whichever version writes, the other one's columns follow in the same row.
-- Locks customers SHARE ROW EXCLUSIVE; instant.
create or replace function crossfade.sync_customers() returns trigger
language plpgsql as $crossfade$
#variable_conflict use_column
declare
  up_email_lower text;
begin
  if tg_op = 'INSERT' then
    -- email_lower, computed
    if not (new.email_lower is not null) then
      new.email_lower := (lower(new.email))::text;
    end if;
  else
    -- email_lower, computed
    if not (new.email_lower is distinct from old.email_lower) and (new.email is distinct from old.email) then
      -- an input changed: the value follows, unless the new version had set it
      up_email_lower := (lower(old.email))::text;
      if not (new.email_lower is distinct from up_email_lower) then
        new.email_lower := (lower(new.email))::text;
      end if;
    end if;
  end if;
  return new;
end
$crossfade$;
create or replace trigger zz_crossfade_sync_customers_insert before insert on public.customers
  for each row execute function crossfade.sync_customers();
create or replace trigger zz_crossfade_sync_customers_update before update on public.customers
  for each row when ((new.email_lower is distinct from old.email_lower or new.email is distinct from old.email)
      and (new.email_lower is distinct from (lower(new.email))::text))
  execute function crossfade.sync_customers();

commit;

update crossfade.revision set expand = 'sprint_123_expand01' where release = 'sprint_123' and expand is distinct from 'sprint_123_expand02';


-- ====================================================================================================
-- sprint_123_expand02: table orders
-- ====================================================================================================

begin;

-- What the new version has besides: status, amount_cents, note.
-- Locks orders ACCESS EXCLUSIVE; instant.
alter table public.orders
  add column if not exists status varchar(20),
  add column if not exists amount_cents bigint,
  add column if not exists note text;

-- From its commit on no write is one-sided: whichever version writes, the other one's columns follow in the same row.
-- Locks orders SHARE ROW EXCLUSIVE; instant.
create or replace function crossfade.sync_orders() returns trigger
language plpgsql as $crossfade$
#variable_conflict use_column
declare
  up_status varchar(20);
  up_amount_cents bigint;
begin
  if tg_op = 'INSERT' then
    -- state <-> status
    if new.status is not null then
      up_status := (case when new.state is null then null when new.state = 0 then 'new' when new.state = 1 then 'paid' when new.state = 2 then 'shipped' else ('state has a value that the mapping does not list: ' || new.state::text)::integer::text::varchar end)::varchar;
      if new.status is distinct from up_status then
        new.state := (case when new.status is null then null when new.status = 'new' then 0 when new.status = 'paid' then 1 when new.status = 'shipped' then 2 else ('status has a value that the mapping does not list: ' || new.status::text)::integer::text::smallint end)::smallint;
      end if;
    else
      new.status := (case when new.state is null then null when new.state = 0 then 'new' when new.state = 1 then 'paid' when new.state = 2 then 'shipped' else ('state has a value that the mapping does not list: ' || new.state::text)::integer::text::varchar end)::varchar;
    end if;
    -- amount_cents, computed
    if not (new.amount_cents is not null) then
      new.amount_cents := (round(new.amount * 100))::bigint;
    end if;
  else
    -- state <-> status
    if new.status is distinct from old.status then
      up_status := (case when new.state is null then null when new.state = 0 then 'new' when new.state = 1 then 'paid' when new.state = 2 then 'shipped' else ('state has a value that the mapping does not list: ' || new.state::text)::integer::text::varchar end)::varchar;
      if new.status is distinct from up_status then
        -- the new version wrote something that does not follow from the old shape
        new.state := (case when new.status is null then null when new.status = 'new' then 0 when new.status = 'paid' then 1 when new.status = 'shipped' then 2 else ('status has a value that the mapping does not list: ' || new.status::text)::integer::text::smallint end)::smallint;
      end if;
    elsif new.state is distinct from old.state then
      -- the old version wrote
      new.status := (case when new.state is null then null when new.state = 0 then 'new' when new.state = 1 then 'paid' when new.state = 2 then 'shipped' else ('state has a value that the mapping does not list: ' || new.state::text)::integer::text::varchar end)::varchar;
    end if;
    -- amount_cents, computed
    if not (new.amount_cents is distinct from old.amount_cents) and (new.amount is distinct from old.amount) then
      -- an input changed: the value follows, unless the new version had set it
      up_amount_cents := (round(old.amount * 100))::bigint;
      if not (new.amount_cents is distinct from up_amount_cents) then
        new.amount_cents := (round(new.amount * 100))::bigint;
      end if;
    end if;
  end if;
  return new;
end
$crossfade$;
create or replace trigger zz_crossfade_sync_orders_insert before insert on public.orders
  for each row execute function crossfade.sync_orders();
create or replace trigger zz_crossfade_sync_orders_update before update on public.orders
  for each row when (((new.status is distinct from old.status or new.state is distinct from old.state)
      and (new.status is distinct from (case when new.state is null then null when new.state = 0 then 'new' when new.state = 1 then 'paid' when new.state = 2 then 'shipped' else ('state has a value that the mapping does not list: ' || new.state::text)::integer::text::varchar end)::varchar))
    or ((new.amount_cents is distinct from old.amount_cents or new.amount is distinct from old.amount)
      and (new.amount_cents is distinct from (round(new.amount * 100))::bigint)))
  execute function crossfade.sync_orders();

commit;

-- Who has rights on the old columns, one by one, has them on the new ones; nobody else has.
-- Locks nothing that clients use; instant.
do $crossfade$
declare
  granted record;
begin
  -- Rights on single columns: who has one on all old columns of a lens gets it on the new ones.
  for granted in
    select lens.relation, fresh.name, rights.*, case rights.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(rights.grantee)) end as role
    from (values
      ('public.orders'::text, array['status'], array['state'])
    ) as lens (relation, new, old)
    join lateral (
      select a.privilege_type, a.grantee, bool_and(a.is_grantable) as is_grantable
      from pg_attribute c, aclexplode(c.attacl) a
      where c.attrelid = to_regclass(lens.relation) and c.attname = any (lens.old) and not c.attisdropped
      group by a.privilege_type, a.grantee
      having count(distinct c.attname) = cardinality(lens.old)
    ) as rights on true,
    unnest(lens.new) as fresh (name)
    order by lens.relation, fresh.name, rights.privilege_type, rights.grantee
  loop
    execute format('grant %s (%I) on %s to %s%s', granted.privilege_type, granted.name, granted.relation, granted.role,
                   case when granted.is_grantable then ' with grant option' else '' end);
  end loop;
end
$crossfade$;

update crossfade.revision set expand = 'sprint_123_expand02' where release = 'sprint_123' and expand is distinct from 'sprint_123_expand02';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade.revision set phase = 'expand' where release = 'sprint_123' and phase = 'begun';
