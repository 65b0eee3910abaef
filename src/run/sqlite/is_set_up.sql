select case when exists (select 1 from sqlite_schema where type = 'table' and name = 'crossfade_revision') then 'true' else 'false' end
