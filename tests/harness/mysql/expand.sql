set @gate = if(exists (select 1 from crossfade_revision where `release` = 'v2' and `contract` is not null), 'call `v2 is contracted: there is nothing to do`()', 'do 0');
prepare gate from @gate;
execute gate;
deallocate prepare gate;
set @once = if(not exists (select 1 from information_schema.columns where table_schema = database() and table_name = 'people' and column_name = 'title'), 'alter table people add column title varchar(40) invisible', 'do 0');
prepare once from @once;
execute once;
deallocate prepare once;

delimiter //
-- Updates first: a row that the other trigger has filled must not be changed on one side before this one is there.
create trigger if not exists zz_crossfade_update before update on people for each row
begin
  -- a semicolon; in a comment, and 'a quote
  if not (binary new.title <=> binary old.title) then set new.name = new.title;
  elseif not (binary new.name <=> binary old.name) then set new.title = new.name;
  end if;
end//
create trigger if not exists zz_crossfade_insert before insert on people for each row
begin
  if new.title is not null then set new.name = new.title; else set new.title = new.name; end if;
end//
delimiter ;
create database if not exists appdb00000_v2;
create or replace sql security invoker view appdb00000_v2.people as select id, title from appdb00000.people;
insert ignore into crossfade_revision (`release`, `expand`) values ('v2', 'v2_expand01');
