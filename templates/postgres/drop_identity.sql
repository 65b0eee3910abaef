{%- if sequence_literal %}
{%- if highest %}perform set_config('enable_seqscan', 'off', true);  -- the highest value is at the index's end, and found there however small the table
{% endif -%}
perform setval({{ sequence_literal }}, 1 + greatest(0
{%- if highest %},
  (select max({{ column }}) from {{ table }})
{%- endif %},
  pg_sequence_last_value(pg_get_serial_sequence({{ table_literal }}, {{ column_literal }})::regclass),
  pg_sequence_last_value({{ sequence_literal }})), false);
{% endif -%}
alter table {{ table }} alter column {{ column }} drop identity if exists;
