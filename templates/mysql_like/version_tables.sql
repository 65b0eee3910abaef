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
