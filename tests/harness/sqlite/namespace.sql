create view people__v2 as select id, title from people;
create trigger people__v2_insert instead of insert on people__v2
begin
  insert into people (id, title) values (new.id, new.title);
end;
create trigger people__v2_update instead of update on people__v2
begin
  update people set id = new.id, title = new.title where id = old.id;
end;
