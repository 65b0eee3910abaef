update crossfade.checkpoint
set last_key = (select array_agg(value order by place) from json_array_elements_text($5::json) with ordinality as next (value, place)),
    rows = rows + $6::bigint
where release = $1 and backfill = $2 and part = $3::integer and finished_at is null
      and last_key is not distinct from
          (select array_agg(value order by place) from json_array_elements_text($4::json) with ordinality as last (value, place))
