-- migrate v1 -> v2: fills the new shape for the rows that were there before, and builds what version v2 relies on.
--
--   from      v1
--   to        v2
--   access    shared: both versions use one namespace
--   revisions v2_migrate01 to v2_migrate01
--
-- Run it with:  psql -X -v ON_ERROR_STOP=1 -f migrate.sql
-- Before it:    expand.sql has finished
-- After it:     start version v2, stop version v1, in any order; abort.sql still takes it back
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

-- Nothing is changed unless expand has finished.
do $crossfade$
declare
  latest crossfade.revision;
begin
  select * into latest from crossfade.revision where phase <> 'aborted' order by ordinal desc limit 1;
  if latest.release is distinct from 'v2' or latest.phase = 'begun' then
    raise exception 'migrate of % can''t run before its expand has finished', 'v2'
      using hint = 'Run expand.sql first: psql -X -v ON_ERROR_STOP=1 -f expand.sql';
  end if;
  if latest.phase = 'contract' then
    raise exception '% is contracted already: there is nothing to migrate', 'v2';
  end if;
end
$crossfade$;


-- ====================================================================================================
-- v2_migrate01: table users
-- ====================================================================================================

-- The rows that nobody has written since expand. What a version wrote meanwhile is left alone.
-- Locks users ROW EXCLUSIVE; copy.
-- A batch that waits for a row keeps those waiting who want one that it has, and can be part of a deadlock that the server ends at
-- the cost of a client: so it lets go of all it has at once, and tries fewer. One row alone is waited for with nothing in hand.
do $crossfade$
#variable_conflict use_column
<<crossfade_job>>
declare
  lo_1 bigint;
  hi_1 bigint;
  top_1 bigint;
  checkpoint crossfade.checkpoint;
  batch integer := 10000;
  changed bigint;
  failures integer := 0;
  patience text := current_setting('lock_timeout');
  line record;
  problem text;
  code text;
begin
  insert into crossfade.checkpoint (release, backfill) values ('v2', 'v2_migrate01.users.nickname') on conflict do nothing;
  select * into checkpoint from crossfade.checkpoint where release = 'v2' and backfill = 'v2_migrate01.users.nickname' and part = 0;
  if checkpoint.finished_at is not null then
    return;
  end if;
  -- Rows that come after this are filled by the trigger.
  if checkpoint.top_key is null then
    select id into crossfade_job.top_1 from public.users order by id desc limit 1;
    update crossfade.checkpoint set top_key = array[crossfade_job.top_1::text]
    where release = 'v2' and backfill = 'v2_migrate01.users.nickname' and part = 0 and crossfade_job.top_1 is not null;
  else
    top_1 := checkpoint.top_key[1];
  end if;
  if checkpoint.last_key is null then
    select id into crossfade_job.lo_1 from public.users order by id limit 1;
  else
    hi_1 := checkpoint.last_key[1];
    select id into crossfade_job.lo_1 from public.users where id > crossfade_job.hi_1 order by id limit 1;
  end if;
  commit;
  while crossfade_job.lo_1 <= crossfade_job.top_1 loop
    select id into crossfade_job.hi_1
    from (select id from public.users
          where id >= crossfade_job.lo_1 and id <= crossfade_job.top_1
          order by id limit crossfade_job.batch) as keys
    order by id desc limit 1;
    exit when hi_1 is null;  -- the last of them were deleted meanwhile
    begin
      perform set_config('lock_timeout', case when batch > 1 then '10ms' else patience end, true);
      update public.users
      set nickname = ('PROMPT_USER')::varchar
      where id >= crossfade_job.lo_1 and id <= crossfade_job.hi_1
        and nickname is null;
      get diagnostics changed = row_count;
      perform set_config('lock_timeout', patience, true);
      failures := 0;
    exception
      when lock_not_available or deadlock_detected or serialization_failure then
        -- Somebody holds a row of this batch: it has let go of the others.
        if batch > 1 then
          batch := greatest(batch / 4, 1);
          continue;
        end if;
        failures := failures + 1;
        if failures > 300 then
          raise;
        end if;
        perform pg_sleep(random() * least(failures, 10) * 0.1);
        continue;
      when others then
        -- A row can't be filled. Which one is told by trying them one by one; nothing of this batch stays.
        for line in
          select ctid, id::text as key from public.users
          where id >= crossfade_job.lo_1 and id <= crossfade_job.hi_1
            and nickname is null
        loop
          begin
            update public.users
            set nickname = ('PROMPT_USER')::varchar
            where ctid = crossfade_job.line.ctid;
          exception
            when lock_not_available or deadlock_detected or serialization_failure then
              null;  -- somebody else has it: it is not the row that is looked for
            when others then
              get stacked diagnostics problem = message_text, code = returned_sqlstate;
              raise exception using
                errcode = code,
                message = 'users: the row with id = ' || line.key || ' can''t be filled: ' || problem,
                detail = 'nickname = (''PROMPT_USER'')::varchar',
                hint = 'Nothing was lost. Change this row, then run this script again.';
          end;
        end loop;
        raise;
    end;
    update crossfade.checkpoint c set last_key = array[crossfade_job.hi_1::text], rows = c.rows + crossfade_job.changed
    where c.release = 'v2' and c.backfill = 'v2_migrate01.users.nickname' and c.part = 0;
    commit;
    batch := least(batch * 2, 10000);
    select id into crossfade_job.lo_1 from public.users where id > crossfade_job.hi_1 order by id limit 1;
  end loop;
  update crossfade.checkpoint set finished_at = now() where release = 'v2' and backfill = 'v2_migrate01.users.nickname' and part = 0;
end
$crossfade$;

-- Statistics, before anyone reads the new shape.
-- Locks users SHARE UPDATE EXCLUSIVE; scan.
set lock_timeout = 0;  -- it may wait for a vacuum: nobody queues behind it
analyze public.users (nickname);
set lock_timeout = '300ms';

-- Both shapes must say the same of every row.
-- Locks users ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
<<crossfade_job>>
declare
  found bigint;
  sample text;
  line record;
  problem text;
begin
  if not ((select count(*) from pg_attribute where attrelid = to_regclass('public.users') and attname in ('nickname') and not attisdropped) = 1) then
    return;
  end if;
  begin
    select count(*) into found from public.users where (nickname is null and ('PROMPT_USER')::varchar is not null);
  exception
    when others then
      -- An expression has no answer to some row. Which one is told by looking at each alone.
      found := 0;
      for line in select ctid, concat_ws(', ', users.id) as key from public.users loop
        problem := null;
        begin
          continue when not exists (select from public.users where ctid = crossfade_job.line.ctid and ((nickname is null and ('PROMPT_USER')::varchar is not null)));
        exception
          when others then
            problem := sqlerrm;
        end;
        found := found + 1;
        if found <= 5 then
          sample := concat_ws('; ', crossfade_job.sample, crossfade_job.line.key || coalesce(': ' || problem, ''));
        end if;
      end loop;
  end;
  if found > 0 then
    if sample is null then
      select string_agg(key, '; ') into sample
      from (select concat_ws(', ', users.id) as key from public.users where (nickname is null and ('PROMPT_USER')::varchar is not null) limit 5) as samples;
    end if;
    raise exception 'users: nickname is not filled: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;

-- nickname becomes NOT NULL in contract: rows that would stop it are reported now.
-- Locks users ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
declare
  found bigint;
  sample text;
begin
  if not (exists (select from pg_attribute where attrelid = to_regclass('public.users') and attname = 'nickname' and not attnotnull and not attisdropped)) then
    return;
  end if;
  select count(*) into found from public.users where nickname is null;
  if found > 0 then
    select string_agg(key, '; ') into sample
    from (select concat_ws(', ', users.id) as key from public.users where nickname is null limit 5) as samples;
    raise warning 'users: nickname is NULL: % rows (for example %)', found, sample
      using hint = 'Contract will refuse while there are such rows.';
  end if;
end
$crossfade$;

update crossfade.revision set migrate = 'v2_migrate01' where release = 'v2' and migrate is distinct from 'v2_migrate01';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade.revision set phase = 'migrate' where release = 'v2' and phase = 'expand';
