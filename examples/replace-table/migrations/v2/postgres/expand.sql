-- expand v1 -> v2: adds what version v2 needs, and keeps both shapes in step. Version v1 does not notice.
--
--   from      v1
--   to        v2
--   access    shared: both versions use one namespace
--   revisions v2_expand01 to v2_expand01
--
-- Run it with:  psql -X -v ON_ERROR_STOP=1 -f expand.sql
-- Before it:    the database is at version v1, and no other upgrade is half done
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
  if latest.release = 'v2' and latest.phase = 'contract' then
    raise exception '% is contracted already: there is nothing to expand', 'v2';
  end if;
  if latest.release <> 'v2' and exists (select from crossfade.revision where release = 'v2' and phase <> 'aborted') then
    raise exception '% is long done: this database is at version %', 'v2', latest.new_version;
  end if;
  if latest.release <> 'v2' and latest.phase <> 'contract'
    and not (latest.old_version is null and latest.phase in ('expand', 'migrate')) then  -- a first installation is all in expand
    raise exception 'the upgrade to % is not finished', latest.new_version
      using hint = format('Run contract.sql of %s first (or abort.sql, to go back).', latest.new_version);
  end if;
  if latest.release <> 'v2' and latest.new_version <> 'v1' then
    raise exception 'this script starts from version %, and the database is at version %', 'v1', latest.new_version;
  end if;
  if to_regclass('public.old') is null then
    raise exception 'there is no table public.old: is this the right database?';
  end if;
  select string_agg(oid::regclass::text, ', ' order by oid::regclass::text) into partitioned
  from pg_class
  where relkind = 'p' and oid in (to_regclass('public.old'));
  if partitioned is not null then
    raise exception 'partitioned: %; crossfade takes no partitioned table through an upgrade', partitioned
      using hint = 'Nothing was changed. Change these tables by hand, and in both snapshots.';
  end if;
  if not exists (select from crossfade.revision) then
    insert into crossfade.revision (release, old_version, new_version, changes, phase)
    values ('v1', null, 'v1', 0, 'contract');
  end if;
  insert into crossfade.revision (release, old_version, new_version, changes, phase)
  values ('v2', 'v1', 'v2', 1, 'begun')
  on conflict (release) do update  -- it was aborted once, and another upgrade may have come between
  set ordinal = default, old_version = excluded.old_version, new_version = excluded.new_version, changes = excluded.changes,
      phase = 'begun', begun_at = excluded.begun_at
  where revision.phase = 'aborted';
end
$crossfade$;


-- ====================================================================================================
-- v2_expand01: table new
-- ====================================================================================================

begin;

-- What the new version has besides: y. The default of crossfade_writer stands for the old version; the new one's view
-- says 2.
-- Locks old ACCESS EXCLUSIVE; instant.
alter table public.old
  add column if not exists y text,
  add column if not exists crossfade_writer smallint default 1;

-- From its commit on no write is one-sided: whichever version writes, the other one's columns follow in the same row.
-- Locks old SHARE ROW EXCLUSIVE; instant.
create or replace function crossfade.sync_old() returns trigger
language plpgsql as $crossfade$
#variable_conflict use_column
declare
  up_y text;
begin
  if tg_op = 'INSERT' then
    -- b <-> y
    if new.crossfade_writer = 2 then
      new.b := (case when new.y ~ '^-?[0-9]{1,10}$' then case when new.y::bigint between -2147483648 and 2147483647 then new.y::integer end end)::integer;
    else
      new.y := (new.b::text)::text;
    end if;
    new.crossfade_writer := null;  -- it has said who wrote; NULL takes no room
  else
    -- b <-> y
    if new.y is distinct from old.y then
      up_y := (new.b::text)::text;
      if new.y is distinct from up_y then
        -- the new version wrote something that does not follow from the old shape
        new.b := (case when new.y ~ '^-?[0-9]{1,10}$' then case when new.y::bigint between -2147483648 and 2147483647 then new.y::integer end end)::integer;
      end if;
    elsif new.b is distinct from old.b then
      -- the old version wrote
      new.y := (new.b::text)::text;
    end if;
  end if;
  return new;
end
$crossfade$;
create or replace trigger zz_crossfade_sync_old_insert before insert on public.old
  for each row execute function crossfade.sync_old();
create or replace trigger zz_crossfade_sync_old_update before update on public.old
  for each row when ((new.y is distinct from old.y or new.b is distinct from old.b)
      and (new.y is distinct from (new.b::text)::text))
  execute function crossfade.sync_old();

commit;

begin;

-- What version v2 sees of new. The view behind it marks every row that comes through it, so that the trigger knows
-- who wrote.
-- Locks old ACCESS SHARE; instant.
create or replace view crossfade.public__new with (security_invoker = true) as
  select id, a as x, y, crossfade_writer
  from public.old;
alter view crossfade.public__new alter column crossfade_writer set default 2;
create or replace view public.new with (security_invoker = true) as
  select id, x, y
  from crossfade.public__new;

commit;

-- Who may use a table may use the view that shows it; nobody else may.
-- Locks nothing that clients use; instant.
do $crossfade$
declare
  granted record;
begin
  -- Rights on single columns: who has one on all old columns of a lens gets it on the new ones.
  for granted in
    select lens.relation, fresh.name, rights.*, case rights.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(rights.grantee)) end as role
    from (values
      ('public.old'::text, array['crossfade_writer'], array['id', 'a', 'b']),
      ('public.old'::text, array['y'], array['b'])
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
  create temporary table crossfade_shown (source, view, physical, name) on commit drop as values
    ('public.old'::text, 'crossfade.public__new'::text, array['a']::text[], array['x']::text[]),
    ('public.old'::text, 'public.new'::text, array['a']::text[], array['x']::text[]);
  -- Rights on a table, or on columns of it, are rights on the view that shows it. (The view checks the table's as well.)
  for granted in
    with rights as (
      select shown.view, '' as columns, v.relowner, a.privilege_type, a.grantee, a.is_grantable
      from crossfade_shown shown join pg_class c on c.oid = to_regclass(shown.source) join pg_class v on v.oid = to_regclass(shown.view),
           aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
      where a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
      union all
      select shown.view, format(' (%I)', x.attname), v.relowner, a.privilege_type, a.grantee, a.is_grantable
      from crossfade_shown shown join pg_class v on v.oid = to_regclass(shown.view)
           join pg_attribute x on x.attrelid = v.oid and x.attnum > 0 and not x.attisdropped
           join pg_attribute c on c.attrelid = to_regclass(shown.source) and not c.attisdropped
             and c.attname = coalesce(shown.physical[array_position(shown.name, x.attname::text)], x.attname),
           aclexplode(c.attacl) a
      where a.privilege_type in ('SELECT', 'INSERT', 'UPDATE')
    )
    select view, columns, privilege_type, bool_or(is_grantable) as is_grantable,
           case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end as role
    from rights
    where grantee <> relowner
    group by view, columns, privilege_type, grantee
    order by view, columns, privilege_type, grantee
  loop
    execute format('grant %s%s on %s to %s%s', granted.privilege_type, granted.columns, granted.view, granted.role,
                   case when granted.is_grantable then ' with grant option' else '' end);
  end loop;
  -- PostgreSQL lets nobody read through such a view who may not read every column that it shows.
  for granted in
    select distinct shown.source, pg_get_userbyid(a.grantee) as role
    from crossfade_shown shown join pg_rewrite r on r.ev_class = to_regclass(shown.view)
         join pg_attribute c on c.attrelid = to_regclass(shown.source) and not c.attisdropped, aclexplode(c.attacl) a
    where a.privilege_type = 'SELECT' and a.grantee <> 0
      and exists (select from pg_depend d
                  where d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refobjid = c.attrelid and d.refobjsubid > 0
                    and not has_column_privilege(a.grantee, c.attrelid, d.refobjsubid::smallint, 'SELECT'))
    order by 1, 2
  loop
    raise warning 'role % may read only some columns of %: through the new version''s view it can read none', granted.role, granted.source
      using hint = 'Let it read the other columns too before the new version starts, or let it use the table itself.';
  end loop;
  -- A view of the old version reads with its owner's rights; what it becomes in the namespace reads with the caller's.
  for granted in
    select distinct shown.source, case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end as role
    from crossfade_shown shown join pg_class c on c.oid = to_regclass(shown.source) and c.relkind = 'v'
         join pg_rewrite r on r.ev_class = c.oid, aclexplode(c.relacl) a
    where a.privilege_type = 'SELECT' and a.grantee <> c.relowner
      and not coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)
      and exists (select from pg_depend d join pg_class t on t.oid = d.refobjid and t.relkind in ('r', 'p', 'v')
                  where d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refobjid <> c.oid
                    and not has_any_column_privilege(a.grantee, t.oid, 'SELECT'))
    order by 1, 2
  loop
    raise warning 'role % may read view % and not the tables behind it: through the new version''s view it can read nothing', granted.role, granted.source
      using hint = 'Let it read those tables before the new version starts.';
  end loop;
  drop table crossfade_shown;
end
$crossfade$;

update crossfade.revision set expand = 'v2_expand01' where release = 'v2' and expand is distinct from 'v2_expand01';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade.revision set phase = 'expand' where release = 'v2' and phase = 'begun';
