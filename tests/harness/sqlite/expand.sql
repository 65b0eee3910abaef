begin immediate;
create temp table gate (asked integer);
create temp trigger refuse before insert on gate
begin
  select raise(rollback, 'v2 is expanded here: run migrate.sql next, or contract.sql') from crossfade_revision where release = 'v2' and expand is not null;
end;
insert into gate values (1);
drop table temp.gate;
alter table people add column title text;
create trigger zz_crossfade_insert after insert on people when new.title is not new.name
begin
  update people set name = case when new.title is null then new.name else new.title end,
                    title = case when new.title is null then new.name else new.title end
  where rowid = new.rowid;
end;
create trigger zz_crossfade_new after update on people when new.title is not old.title and new.name is not new.title
begin
  update people set name = new.title where rowid = new.rowid;
end;
create trigger zz_crossfade_old after update on people when new.title is old.title and new.name is not old.name and new.title is not new.name
begin
  update people set title = new.name where rowid = new.rowid;
end;
create view people__v2 as select id, title from people;
create trigger people__v2_insert instead of insert on people__v2
begin
  insert into people (id, title) values (new.id, new.title);
end;
create trigger people__v2_update instead of update on people__v2
begin
  update people set id = new.id, title = new.title where id = old.id;
end;
insert into crossfade_revision (release, expand) values ('v2', 'v2_expand01');
commit;
