insert into crossfade.failing_row (release, backfill, row_key, error)
values ($1, $2, (select array_agg(value order by place) from json_array_elements_text($3::json) with ordinality as key (value, place)), $4)
on conflict (release, backfill, row_key) do update set error = excluded.error
