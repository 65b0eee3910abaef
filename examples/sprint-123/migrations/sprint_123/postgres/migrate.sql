-- migrate sprint_122 -> sprint_123: fills the new shape for the rows that were there before, and builds what version sprint_123 relies on.
--
--   from      sprint_122
--   to        sprint_123
--   access    shared: both versions use one namespace
--   revisions sprint_123_migrate01 to sprint_123_migrate02
--
-- Run it with:  psql -X -v ON_ERROR_STOP=1 -f migrate.sql
-- Before it:    expand.sql has finished
-- After it:     start version sprint_123, stop version sprint_122, in any order; abort.sql still takes it back
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
  if latest.release is distinct from 'sprint_123' or latest.phase = 'begun' then
    raise exception 'migrate of % can''t run before its expand has finished', 'sprint_123'
      using hint = 'Run expand.sql first: psql -X -v ON_ERROR_STOP=1 -f expand.sql';
  end if;
  if latest.phase = 'contract' then
    raise exception '% is contracted already: there is nothing to migrate', 'sprint_123';
  end if;
end
$crossfade$;


-- ====================================================================================================
-- sprint_123_migrate01: table customers
-- ====================================================================================================

-- The rows that nobody has written since expand. What a version wrote meanwhile is left alone.
-- Locks customers ROW EXCLUSIVE; copy.
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
  insert into crossfade.checkpoint (release, backfill) values ('sprint_123', 'sprint_123_migrate01.customers.email_lower') on conflict do nothing;
  select * into checkpoint from crossfade.checkpoint where release = 'sprint_123' and backfill = 'sprint_123_migrate01.customers.email_lower' and part = 0;
  if checkpoint.finished_at is not null then
    return;
  end if;
  -- Rows that come after this are filled by the trigger.
  if checkpoint.top_key is null then
    select id into crossfade_job.top_1 from public.customers order by id desc limit 1;
    update crossfade.checkpoint set top_key = array[crossfade_job.top_1::text]
    where release = 'sprint_123' and backfill = 'sprint_123_migrate01.customers.email_lower' and part = 0 and crossfade_job.top_1 is not null;
  else
    top_1 := checkpoint.top_key[1];
  end if;
  if checkpoint.last_key is null then
    select id into crossfade_job.lo_1 from public.customers order by id limit 1;
  else
    hi_1 := checkpoint.last_key[1];
    select id into crossfade_job.lo_1 from public.customers where id > crossfade_job.hi_1 order by id limit 1;
  end if;
  commit;
  while crossfade_job.lo_1 <= crossfade_job.top_1 loop
    select id into crossfade_job.hi_1
    from (select id from public.customers
          where id >= crossfade_job.lo_1 and id <= crossfade_job.top_1
          order by id limit crossfade_job.batch) as keys
    order by id desc limit 1;
    exit when hi_1 is null;  -- the last of them were deleted meanwhile
    begin
      perform set_config('lock_timeout', case when batch > 1 then '10ms' else patience end, true);
      update public.customers
      set email_lower = (lower(email))::text
      where id >= crossfade_job.lo_1 and id <= crossfade_job.hi_1
        and email_lower is null;
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
          select ctid, id::text as key from public.customers
          where id >= crossfade_job.lo_1 and id <= crossfade_job.hi_1
            and email_lower is null
        loop
          begin
            update public.customers
            set email_lower = (lower(email))::text
            where ctid = crossfade_job.line.ctid;
          exception
            when lock_not_available or deadlock_detected or serialization_failure then
              null;  -- somebody else has it: it is not the row that is looked for
            when others then
              get stacked diagnostics problem = message_text, code = returned_sqlstate;
              raise exception using
                errcode = code,
                message = 'customers: the row with id = ' || line.key || ' can''t be filled: ' || problem,
                detail = 'email_lower = (lower(email))::text',
                hint = 'Nothing was lost. Change this row, then run this script again.';
          end;
        end loop;
        raise;
    end;
    update crossfade.checkpoint c set last_key = array[crossfade_job.hi_1::text], rows = c.rows + crossfade_job.changed
    where c.release = 'sprint_123' and c.backfill = 'sprint_123_migrate01.customers.email_lower' and c.part = 0;
    commit;
    batch := least(batch * 2, 10000);
    select id into crossfade_job.lo_1 from public.customers where id > crossfade_job.hi_1 order by id limit 1;
  end loop;
  update crossfade.checkpoint set finished_at = now() where release = 'sprint_123' and backfill = 'sprint_123_migrate01.customers.email_lower' and part = 0;
end
$crossfade$;

-- Statistics, before anyone reads the new shape.
-- Locks customers SHARE UPDATE EXCLUSIVE; scan.
set lock_timeout = 0;  -- it may wait for a vacuum: nobody queues behind it
analyze public.customers (email_lower);
set lock_timeout = '300ms';

-- Both shapes must say the same of every row.
-- Locks customers ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
<<crossfade_job>>
declare
  found bigint;
  sample text;
  line record;
  problem text;
begin
  if not ((select count(*) from pg_attribute where attrelid = to_regclass('public.customers') and attname in ('email_lower') and not attisdropped) = 1) then
    return;
  end if;
  begin
    select count(*) into found from public.customers where (email_lower is null and (lower(email))::text is not null);
  exception
    when others then
      -- An expression has no answer to some row. Which one is told by looking at each alone.
      found := 0;
      for line in select ctid, concat_ws(', ', customers.id) as key from public.customers loop
        problem := null;
        begin
          continue when not exists (select from public.customers where ctid = crossfade_job.line.ctid and ((email_lower is null and (lower(email))::text is not null)));
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
      from (select concat_ws(', ', customers.id) as key from public.customers where (email_lower is null and (lower(email))::text is not null) limit 5) as samples;
    end if;
    raise exception 'customers: email_lower is not filled: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;

-- email_lower becomes NOT NULL in contract: rows that would stop it are reported now.
-- Locks customers ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
declare
  found bigint;
  sample text;
begin
  if not (exists (select from pg_attribute where attrelid = to_regclass('public.customers') and attname = 'email_lower' and not attnotnull and not attisdropped)) then
    return;
  end if;
  select count(*) into found from public.customers where email_lower is null;
  if found > 0 then
    select string_agg(key, '; ') into sample
    from (select concat_ws(', ', customers.id) as key from public.customers where email_lower is null limit 5) as samples;
    raise warning 'customers: email_lower is NULL: % rows (for example %)', found, sample
      using hint = 'Contract will refuse while there are such rows.';
  end if;
end
$crossfade$;

update crossfade.revision set migrate = 'sprint_123_migrate01' where release = 'sprint_123' and migrate is distinct from 'sprint_123_migrate02';


-- ====================================================================================================
-- sprint_123_migrate02: table orders
-- ====================================================================================================

-- The rows that nobody has written since expand. What a version wrote meanwhile is left alone.
-- Locks orders ROW EXCLUSIVE; copy.
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
  insert into crossfade.checkpoint (release, backfill) values ('sprint_123', 'sprint_123_migrate02.orders.amount_cents') on conflict do nothing;
  select * into checkpoint from crossfade.checkpoint where release = 'sprint_123' and backfill = 'sprint_123_migrate02.orders.amount_cents' and part = 0;
  if checkpoint.finished_at is not null then
    return;
  end if;
  -- Rows that come after this are filled by the trigger.
  if checkpoint.top_key is null then
    select id into crossfade_job.top_1 from public.orders order by id desc limit 1;
    update crossfade.checkpoint set top_key = array[crossfade_job.top_1::text]
    where release = 'sprint_123' and backfill = 'sprint_123_migrate02.orders.amount_cents' and part = 0 and crossfade_job.top_1 is not null;
  else
    top_1 := checkpoint.top_key[1];
  end if;
  if checkpoint.last_key is null then
    select id into crossfade_job.lo_1 from public.orders order by id limit 1;
  else
    hi_1 := checkpoint.last_key[1];
    select id into crossfade_job.lo_1 from public.orders where id > crossfade_job.hi_1 order by id limit 1;
  end if;
  commit;
  while crossfade_job.lo_1 <= crossfade_job.top_1 loop
    select id into crossfade_job.hi_1
    from (select id from public.orders
          where id >= crossfade_job.lo_1 and id <= crossfade_job.top_1
          order by id limit crossfade_job.batch) as keys
    order by id desc limit 1;
    exit when hi_1 is null;  -- the last of them were deleted meanwhile
    begin
      perform set_config('lock_timeout', case when batch > 1 then '10ms' else patience end, true);
      update public.orders
      set amount_cents = (round(amount * 100))::bigint
      where id >= crossfade_job.lo_1 and id <= crossfade_job.hi_1
        and amount_cents is null;
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
          select ctid, id::text as key from public.orders
          where id >= crossfade_job.lo_1 and id <= crossfade_job.hi_1
            and amount_cents is null
        loop
          begin
            update public.orders
            set amount_cents = (round(amount * 100))::bigint
            where ctid = crossfade_job.line.ctid;
          exception
            when lock_not_available or deadlock_detected or serialization_failure then
              null;  -- somebody else has it: it is not the row that is looked for
            when others then
              get stacked diagnostics problem = message_text, code = returned_sqlstate;
              raise exception using
                errcode = code,
                message = 'orders: the row with id = ' || line.key || ' can''t be filled: ' || problem,
                detail = 'amount_cents = (round(amount * 100))::bigint',
                hint = 'Nothing was lost. Change this row, then run this script again.';
          end;
        end loop;
        raise;
    end;
    update crossfade.checkpoint c set last_key = array[crossfade_job.hi_1::text], rows = c.rows + crossfade_job.changed
    where c.release = 'sprint_123' and c.backfill = 'sprint_123_migrate02.orders.amount_cents' and c.part = 0;
    commit;
    batch := least(batch * 2, 10000);
    select id into crossfade_job.lo_1 from public.orders where id > crossfade_job.hi_1 order by id limit 1;
  end loop;
  update crossfade.checkpoint set finished_at = now() where release = 'sprint_123' and backfill = 'sprint_123_migrate02.orders.amount_cents' and part = 0;
end
$crossfade$;

-- The rows that nobody has written since expand. What a version wrote meanwhile is left alone.
-- Locks orders ROW EXCLUSIVE; copy.
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
  insert into crossfade.checkpoint (release, backfill) values ('sprint_123', 'sprint_123_migrate02.orders.status') on conflict do nothing;
  select * into checkpoint from crossfade.checkpoint where release = 'sprint_123' and backfill = 'sprint_123_migrate02.orders.status' and part = 0;
  if checkpoint.finished_at is not null then
    return;
  end if;
  -- Rows that come after this are filled by the trigger.
  if checkpoint.top_key is null then
    select id into crossfade_job.top_1 from public.orders order by id desc limit 1;
    update crossfade.checkpoint set top_key = array[crossfade_job.top_1::text]
    where release = 'sprint_123' and backfill = 'sprint_123_migrate02.orders.status' and part = 0 and crossfade_job.top_1 is not null;
  else
    top_1 := checkpoint.top_key[1];
  end if;
  if checkpoint.last_key is null then
    select id into crossfade_job.lo_1 from public.orders order by id limit 1;
  else
    hi_1 := checkpoint.last_key[1];
    select id into crossfade_job.lo_1 from public.orders where id > crossfade_job.hi_1 order by id limit 1;
  end if;
  commit;
  while crossfade_job.lo_1 <= crossfade_job.top_1 loop
    select id into crossfade_job.hi_1
    from (select id from public.orders
          where id >= crossfade_job.lo_1 and id <= crossfade_job.top_1
          order by id limit crossfade_job.batch) as keys
    order by id desc limit 1;
    exit when hi_1 is null;  -- the last of them were deleted meanwhile
    begin
      perform set_config('lock_timeout', case when batch > 1 then '10ms' else patience end, true);
      update public.orders
      set status = (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else ('state has a value that the mapping does not list: ' || state::text)::integer::text::varchar end)::varchar
      where id >= crossfade_job.lo_1 and id <= crossfade_job.hi_1
        and status is null;
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
          select ctid, id::text as key from public.orders
          where id >= crossfade_job.lo_1 and id <= crossfade_job.hi_1
            and status is null
        loop
          begin
            update public.orders
            set status = (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else ('state has a value that the mapping does not list: ' || state::text)::integer::text::varchar end)::varchar
            where ctid = crossfade_job.line.ctid;
          exception
            when lock_not_available or deadlock_detected or serialization_failure then
              null;  -- somebody else has it: it is not the row that is looked for
            when others then
              get stacked diagnostics problem = message_text, code = returned_sqlstate;
              raise exception using
                errcode = code,
                message = 'orders: the row with id = ' || line.key || ' can''t be filled: ' || problem,
                detail = 'status = (case when state is null then null when state = 0 then ''new'' when state = 1 then ''paid'' when state = 2 then ''shipped'' else (''state has a value that the mapping does not list: '' || state::text)::integer::text::varchar end)::varchar',
                hint = 'Nothing was lost. Change this row, then run this script again.';
          end;
        end loop;
        raise;
    end;
    update crossfade.checkpoint c set last_key = array[crossfade_job.hi_1::text], rows = c.rows + crossfade_job.changed
    where c.release = 'sprint_123' and c.backfill = 'sprint_123_migrate02.orders.status' and c.part = 0;
    commit;
    batch := least(batch * 2, 10000);
    select id into crossfade_job.lo_1 from public.orders where id > crossfade_job.hi_1 order by id limit 1;
  end loop;
  update crossfade.checkpoint set finished_at = now() where release = 'sprint_123' and backfill = 'sprint_123_migrate02.orders.status' and part = 0;
end
$crossfade$;

-- Statistics, before anyone reads the new shape.
-- Locks orders SHARE UPDATE EXCLUSIVE; scan.
set lock_timeout = 0;  -- it may wait for a vacuum: nobody queues behind it
analyze public.orders (amount_cents);
set lock_timeout = '300ms';

-- Statistics, before anyone reads the new shape.
-- Locks orders SHARE UPDATE EXCLUSIVE; scan.
set lock_timeout = 0;  -- it may wait for a vacuum: nobody queues behind it
analyze public.orders (status);
set lock_timeout = '300ms';

-- Both shapes must say the same of every row.
-- Locks orders ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
<<crossfade_job>>
declare
  found bigint;
  sample text;
  line record;
  problem text;
begin
  if not ((select count(*) from pg_attribute where attrelid = to_regclass('public.orders') and attname in ('amount_cents') and not attisdropped) = 1) then
    return;
  end if;
  begin
    select count(*) into found from public.orders where (amount_cents is null and (round(amount * 100))::bigint is not null);
  exception
    when others then
      -- An expression has no answer to some row. Which one is told by looking at each alone.
      found := 0;
      for line in select ctid, concat_ws(', ', orders.id) as key from public.orders loop
        problem := null;
        begin
          continue when not exists (select from public.orders where ctid = crossfade_job.line.ctid and ((amount_cents is null and (round(amount * 100))::bigint is not null)));
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
      from (select concat_ws(', ', orders.id) as key from public.orders where (amount_cents is null and (round(amount * 100))::bigint is not null) limit 5) as samples;
    end if;
    raise exception 'orders: amount_cents is not filled: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;

-- Both shapes must say the same of every row.
-- Locks orders ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
<<crossfade_job>>
declare
  found bigint;
  sample text;
  line record;
  problem text;
begin
  if not ((select count(*) from pg_attribute where attrelid = to_regclass('public.orders') and attname in ('state', 'status') and not attisdropped) = 2) then
    return;
  end if;
  begin
    select count(*) into found from public.orders where case when not (state is distinct from (case when status is null then null when status = 'new' then 0 when status = 'paid' then 1 when status = 'shipped' then 2 else ('status has a value that the mapping does not list: ' || status::text)::integer::text::smallint end)::smallint) then false else status is distinct from (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else ('state has a value that the mapping does not list: ' || state::text)::integer::text::varchar end)::varchar end;
  exception
    when others then
      -- An expression has no answer to some row. Which one is told by looking at each alone.
      found := 0;
      for line in select ctid, concat_ws(', ', orders.id) as key from public.orders loop
        problem := null;
        begin
          continue when not exists (select from public.orders where ctid = crossfade_job.line.ctid and (state is distinct from (case when status is null then null when status = 'new' then 0 when status = 'paid' then 1 when status = 'shipped' then 2 else ('status has a value that the mapping does not list: ' || status::text)::integer::text::smallint end)::smallint));
        exception
          when others then
            problem := sqlerrm;
        end;
        begin
          continue when not exists (select from public.orders where ctid = crossfade_job.line.ctid and (status is distinct from (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else ('state has a value that the mapping does not list: ' || state::text)::integer::text::varchar end)::varchar));
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
      from (select concat_ws(', ', orders.id) as key from public.orders where case when not (state is distinct from (case when status is null then null when status = 'new' then 0 when status = 'paid' then 1 when status = 'shipped' then 2 else ('status has a value that the mapping does not list: ' || status::text)::integer::text::smallint end)::smallint) then false else status is distinct from (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else ('state has a value that the mapping does not list: ' || state::text)::integer::text::varchar end)::varchar end limit 5) as samples;
    end if;
    raise exception 'orders: state and status disagree: % rows (for example %)', found, sample
      using hint = 'Nothing was lost. Change these rows, then run this script again.';
  end if;
end
$crossfade$;

-- Check orders_status_check binds from contract on: rows that would stop it are reported now.
-- Locks orders ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
declare
  found bigint;
  sample text;
begin
  if not (not exists (select from pg_constraint where conrelid = to_regclass('public.orders') and conname = 'orders_status_check')) then
    return;
  end if;
  select count(*) into found from public.orders where not (status in ('new', 'paid', 'shipped'));
  if found > 0 then
    select string_agg(key, '; ') into sample
    from (select concat_ws(', ', orders.id) as key from public.orders where not (status in ('new', 'paid', 'shipped')) limit 5) as samples;
    raise warning 'orders: check orders_status_check is broken: % rows (for example %)', found, sample
      using hint = 'Contract will refuse while there are such rows.';
  end if;
end
$crossfade$;

-- amount_cents becomes NOT NULL in contract: rows that would stop it are reported now.
-- Locks orders ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
declare
  found bigint;
  sample text;
begin
  if not (exists (select from pg_attribute where attrelid = to_regclass('public.orders') and attname = 'amount_cents' and not attnotnull and not attisdropped)) then
    return;
  end if;
  select count(*) into found from public.orders where amount_cents is null;
  if found > 0 then
    select string_agg(key, '; ') into sample
    from (select concat_ws(', ', orders.id) as key from public.orders where amount_cents is null limit 5) as samples;
    raise warning 'orders: amount_cents is NULL: % rows (for example %)', found, sample
      using hint = 'Contract will refuse while there are such rows.';
  end if;
end
$crossfade$;

-- status becomes NOT NULL in contract: rows that would stop it are reported now.
-- Locks orders ACCESS SHARE; scan.
do $crossfade$
#variable_conflict use_column
declare
  found bigint;
  sample text;
begin
  if not (exists (select from pg_attribute where attrelid = to_regclass('public.orders') and attname = 'status' and not attnotnull and not attisdropped)) then
    return;
  end if;
  select count(*) into found from public.orders where status is null;
  if found > 0 then
    select string_agg(key, '; ') into sample
    from (select concat_ws(', ', orders.id) as key from public.orders where status is null limit 5) as samples;
    raise warning 'orders: status is NULL: % rows (for example %)', found, sample
      using hint = 'Contract will refuse while there are such rows.';
  end if;
end
$crossfade$;

-- Built behind the backfill, which an index would make dearer.
-- Locks orders SHARE UPDATE EXCLUSIVE; scan.
-- What an interrupted build left behind is invalid and goes first.
do $crossfade$
begin
  if exists (select from pg_index where indexrelid = to_regclass('public.orders_status_idx') and not indisvalid) then
    drop index public.orders_status_idx;
  end if;
end
$crossfade$;
set lock_timeout = 0;  -- it waits for older snapshots and holds nobody up; a timeout would leave an invalid index
create index concurrently if not exists orders_status_idx on public.orders (status, placed_at);
set lock_timeout = '300ms';

update crossfade.revision set migrate = 'sprint_123_migrate02' where release = 'sprint_123' and migrate is distinct from 'sprint_123_migrate02';


-- ====================================================================================================
-- Done
-- ====================================================================================================
update crossfade.revision set phase = 'migrate' where release = 'sprint_123' and phase = 'expand';
