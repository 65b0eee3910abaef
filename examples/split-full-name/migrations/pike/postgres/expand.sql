-- expand ocata -> pike: adds what version pike needs, and keeps both shapes in step. Version ocata does not notice.
--
--   from      ocata
--   to        pike
--   access    shared: both versions use one namespace
--   revisions pike_expand01 to pike_expand01
--
-- Run it with:  psql -X -v ON_ERROR_STOP=1 -f expand.sql
-- Before it:    the database is at version ocata, and no other upgrade is half done
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
  if latest.release = 'pike' and latest.phase = 'contract' then
    raise exception '% is contracted already: there is nothing to expand', 'pike';
  end if;
  if latest.release <> 'pike' and exists (select from crossfade.revision where release = 'pike' and phase <> 'aborted') then
    raise exception '% is long done: this database is at version %', 'pike', latest.new_version;
  end if;
  if latest.release <> 'pike' and latest.phase <> 'contract'
    and not (latest.old_version is null and latest.phase in ('expand', 'migrate')) then  -- a first installation is all in expand
    raise exception 'the upgrade to % is not finished', latest.new_version
      using hint = format('Run contract.sql of %s first (or abort.sql, to go back).', latest.new_version);
  end if;
  if latest.release <> 'pike' and latest.new_version <> 'ocata' then
    raise exception 'this script starts from version %, and the database is at version %', 'ocata', latest.new_version;
  end if;
  if to_regclass('public.users') is null then
    raise exception 'there is no table public.users: is this the right database?';
  end if;
  select string_agg(oid::regclass::text, ', ' order by oid::regclass::text) into partitioned
  from pg_class
  where relkind = 'p' and oid in (to_regclass('public.users'));
  if partitioned is not null then
    raise exception 'partitioned: %; crossfade takes no partitioned table through an upgrade', partitioned
      using hint = 'Nothing was changed. Change these tables by hand, and in both snapshots.';
  end if;
  if not exists (select from crossfade.revision) then
    insert into crossfade.revision (release, old_version, new_version, changes, phase)
    values ('ocata', null, 'ocata', 0, 'contract');
  end if;
  insert into crossfade.revision (release, old_version, new_version, changes, phase)
  values ('pike', 'ocata', 'pike', 1, 'begun')
  on conflict (release) do update  -- it was aborted once, and another upgrade may have come between
  set ordinal = default, old_version = excluded.old_version, new_version = excluded.new_version, changes = excluded.changes,
      phase = 'begun', begun_at = excluded.begun_at
  where revision.phase = 'aborted';
end
$crossfade$;


-- ====================================================================================================
-- pike_expand01: table users
-- ====================================================================================================

begin;

-- What the new version has besides: first_name, last_name.
-- Locks users ACCESS EXCLUSIVE; instant.
alter table public.users
  add column if not exists first_name text,
  add column if not exists last_name text;

-- From its commit on no write is one-sided: whichever version writes, the other one's columns follow in the same row.
-- Locks users SHARE ROW EXCLUSIVE; instant.
create or replace function crossfade.sync_users() returns trigger
language plpgsql as $crossfade$
#variable_conflict use_column
declare
  up_first_name text;
  up_last_name text;
begin
  if tg_op = 'INSERT' then
    -- full_name <-> first_name, last_name
    if new.first_name is not null or new.last_name is not null then
      up_first_name := (split_part(new.full_name, ' ', 1))::text;
      up_last_name := (substr(new.full_name, nullif(strpos(new.full_name, ' '), 0) + 1))::text;
      if new.first_name is distinct from up_first_name or new.last_name is distinct from up_last_name or not (new.full_name is not null) then
        new.full_name := (case when new.first_name is null and new.last_name is null then null else concat_ws(' ', new.first_name, new.last_name) end)::text;
      end if;
    else
      new.first_name := (split_part(new.full_name, ' ', 1))::text;
      new.last_name := (substr(new.full_name, nullif(strpos(new.full_name, ' '), 0) + 1))::text;
    end if;
  else
    -- full_name <-> first_name, last_name
    if new.first_name is distinct from old.first_name or new.last_name is distinct from old.last_name then
      if old.first_name is null and old.last_name is null then
        -- a row that is not filled yet: what the statement leaves out comes from the old shape
        -- (where the new version has said NULL, the old shape is what that gives)
        if old.full_name is distinct from (case when old.first_name is null and old.last_name is null then null else concat_ws(' ', old.first_name, old.last_name) end)::text then
          new.first_name := coalesce(new.first_name, (split_part(old.full_name, ' ', 1))::text);
          new.last_name := coalesce(new.last_name, (substr(old.full_name, nullif(strpos(old.full_name, ' '), 0) + 1))::text);
        end if;
      end if;
      up_first_name := (split_part(new.full_name, ' ', 1))::text;
      up_last_name := (substr(new.full_name, nullif(strpos(new.full_name, ' '), 0) + 1))::text;
      if new.first_name is distinct from up_first_name or new.last_name is distinct from up_last_name then
        -- the new version wrote something that does not follow from the old shape
        new.full_name := (case when new.first_name is null and new.last_name is null then null else concat_ws(' ', new.first_name, new.last_name) end)::text;
      end if;
    elsif new.full_name is distinct from old.full_name then
      -- the old version wrote
      new.first_name := (split_part(new.full_name, ' ', 1))::text;
      new.last_name := (substr(new.full_name, nullif(strpos(new.full_name, ' '), 0) + 1))::text;
    end if;
  end if;
  return new;
end
$crossfade$;
create or replace trigger zz_crossfade_sync_users_insert before insert on public.users
  for each row execute function crossfade.sync_users();
create or replace trigger zz_crossfade_sync_users_update before update on public.users
  for each row when ((new.first_name is distinct from old.first_name or new.last_name is distinct from old.last_name or new.full_name is distinct from old.full_name)
      and (new.first_name is distinct from (split_part(new.full_name, ' ', 1))::text or new.last_name is distinct from (substr(new.full_name, nullif(strpos(new.full_name, ' '), 0) + 1))::text))
  execute function crossfade.sync_users();

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
      ('public.users'::text, array['first_name', 'last_name'], array['full_name'])
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

update crossfade.revision set expand = 'pike_expand01' where release = 'pike' and expand is distinct from 'pike_expand01';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade.revision set phase = 'expand' where release = 'pike' and phase = 'begun';
