select (to_regclass('crossfade.revision') is not null)::text
