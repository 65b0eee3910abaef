set @gate = if(not exists (select 1 from crossfade_revision where `release` = 'v2' and `expand` is not null), 'call `v2 is not expanded here: run expand.sql first`()', 'do 0');
prepare gate from @gate;
execute gate;
deallocate prepare gate;
set @gate = if(not exists (select 1 from crossfade_revision where `release` = 'v2' and `migrate` is not null), 'call `v2 is not migrated here: run migrate.sql first`()', 'do 0');
prepare gate from @gate;
execute gate;
deallocate prepare gate;

drop trigger if exists zz_crossfade_insert;
drop trigger if exists zz_crossfade_update;
alter table people modify title varchar(40);
set @once = if(exists (select 1 from information_schema.columns where table_schema = database() and table_name = 'people' and column_name = 'name'), 'alter table people drop column name', 'do 0');
prepare once from @once;
execute once;
deallocate prepare once;

update crossfade_revision set `contract` = 'v2_contract01' where `release` = 'v2';
