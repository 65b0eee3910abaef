begin immediate;
create temp table gate (asked integer);
create temp trigger refuse before insert on gate
begin
  select raise(rollback, 'v2 is not expanded here: run expand.sql first') where not exists (select 1 from crossfade_revision where release = 'v2' and expand is not null);
  select raise(rollback, 'v2 is not migrated here: run migrate.sql first') where not exists (select 1 from crossfade_revision where release = 'v2' and migrate is not null);
  select raise(rollback, 'v2 is contracted: nothing comes next') from crossfade_revision where release = 'v2' and contract is not null;
end;
insert into gate values (1);
drop table temp.gate;
drop trigger zz_crossfade_insert;
drop trigger zz_crossfade_new;
drop trigger zz_crossfade_old;
alter table people drop column name;
update crossfade_revision set contract = 'v2_contract01' where release = 'v2';
commit;
