begin immediate;
create temp table gate (asked integer);
create temp trigger refuse before insert on gate
begin
  select raise(rollback, 'v2 is not expanded here: run expand.sql first') where not exists (select 1 from crossfade_revision where release = 'v2' and expand is not null);
  select raise(rollback, 'v2 is migrated here: run contract.sql next') from crossfade_revision where release = 'v2' and migrate is not null;
end;
insert into gate values (1);
drop table temp.gate;
update people set title = name where title is null and name is not null;
update crossfade_revision set migrate = 'v2_migrate01' where release = 'v2';
commit;
