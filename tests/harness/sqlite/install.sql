create table if not exists crossfade_revision (release text primary key, expand text, migrate text, contract text);
create view if not exists crossfade_version as
  select 'v1' as old_version, 'v2' as new_version,
         case when contract is not null then 'contract' when migrate is not null then 'migrate' when expand is not null then 'expand' end as phase,
         coalesce(contract, migrate, expand) as revision
  from crossfade_revision where release = 'v2';
