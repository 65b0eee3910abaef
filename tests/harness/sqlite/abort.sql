begin immediate;
create temp table gate (asked integer);
create temp trigger refuse before insert on gate
begin
  select raise(rollback, 'v2 is contracted: from here it only goes forward') from crossfade_revision where release = 'v2' and contract is not null;
  select raise(rollback, 'v2 is not expanded here: there is nothing to abort, run expand.sql') where not exists (select 1 from crossfade_revision where release = 'v2' and expand is not null);
end;
insert into gate values (1);
drop table temp.gate;
drop view people__v2;
drop trigger zz_crossfade_insert;
drop trigger zz_crossfade_new;
drop trigger zz_crossfade_old;
alter table people drop column title;
delete from crossfade_revision where release = 'v2';
commit;
