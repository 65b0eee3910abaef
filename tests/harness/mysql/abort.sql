set @gate = if(exists (select 1 from crossfade_revision where `release` = 'v2' and `contract` is not null), 'call `v2 is contracted: from here it only goes forward`()', 'do 0');
prepare gate from @gate;
execute gate;
deallocate prepare gate;

drop database if exists appdb00000_v2;
drop trigger if exists zz_crossfade_insert;
drop trigger if exists zz_crossfade_update;
set @once = if(exists (select 1 from information_schema.columns where table_schema = database() and table_name = 'people' and column_name = 'title'), 'alter table people drop column title', 'do 0');
prepare once from @once;
execute once;
deallocate prepare once;

delete from crossfade_revision where `release` = 'v2';
