select count(*)::text
from {{ table }}
where {% if span %}{{ span }} and {% endif %}{% if aside %}case
  when exists (select from crossfade.failing_row as aside
               where aside.release = $1 and aside.backfill = any (array[{{ aside }}]) and aside.row_key = array[{{ key }}])
    then false
  else ({{ condition }})
end{% else %}({{ condition }}){% endif %}
