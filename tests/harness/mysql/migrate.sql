set @gate = if(not exists (select 1 from crossfade_revision where `release` = 'v2' and `expand` is not null), 'call `v2 is not expanded here: run expand.sql first`()', 'do 0');
prepare gate from @gate;
execute gate;
deallocate prepare gate;
set @gate = if(exists (select 1 from crossfade_revision where `release` = 'v2' and `contract` is not null), 'call `v2 is contracted: there is nothing to do`()', 'do 0');
prepare gate from @gate;
execute gate;
deallocate prepare gate;

update people set title = name where title is null and name is not null;
update crossfade_revision set `migrate` = 'v2_migrate01' where `release` = 'v2';
