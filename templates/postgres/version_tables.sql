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
