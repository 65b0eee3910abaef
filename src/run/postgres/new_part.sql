insert into crossfade.checkpoint (release, backfill, part, last_key, top_key)
values ($1, $2, $3::integer,
        (select array_agg(value order by place) from json_array_elements_text($4::json) with ordinality as last (value, place)),
        (select array_agg(value order by place) from json_array_elements_text($5::json) with ordinality as top (value, place)))
on conflict (release, backfill, part) do update set top_key = excluded.top_key
