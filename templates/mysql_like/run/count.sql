select cast(count(*) as char)
from {{ table }}
where {% if span %}{{ span }} and {% endif %}{% if aside %}case
  when exists (select * from crossfade_failing_row as aside
               where aside.`release` = ?1 and aside.backfill in ({{ aside }})
                     and replace(aside.row_key, '", "', '","')
                         = replace(cast(json_array({{ key }}) as char character set utf8mb4) collate utf8mb4_bin, '", "', '","'))
    then false
  else ({{ condition }})
end{% else %}({{ condition }}){% endif %}
