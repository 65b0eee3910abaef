delete from crossfade.failing_row
where release = $1 and backfill = $2
      and row_key = (select array_agg(value order by place) from json_array_elements_text($3::json) with ordinality as key (value, place))
