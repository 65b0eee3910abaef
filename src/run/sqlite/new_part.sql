insert into crossfade_checkpoint (release, backfill, part, last_key, top_key)
values (?1, ?2, cast(?3 as integer), ?4, ?5)
on conflict (release, backfill, part) do update set top_key = excluded.top_key
