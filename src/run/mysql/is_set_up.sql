select if(count(*) > 0, 'true', 'false') from information_schema.tables
where table_schema = database() and table_name = 'crossfade_revision'
