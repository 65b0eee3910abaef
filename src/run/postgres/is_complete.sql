select (to_regclass('crossfade.version') is not null)::text
