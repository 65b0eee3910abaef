select count(*)
from {{ table }}
where {% if span %}{{ span }} and {% endif %}{% if aside %}case
  when json_array(cast({{ table }}._rowid_ as text)) in (select row_key from crossfade_failing_row where release = ?1 and backfill in ({{ aside }}))
    then false
  else ({{ condition }})
end{% else %}({{ condition }}){% endif %}
