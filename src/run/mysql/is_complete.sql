select if(exists (select * from information_schema.tables where table_schema = database() and table_name = 'crossfade_version'), 'true', 'false')
