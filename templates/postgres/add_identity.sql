{%- if through %}
alter table {{ table }} alter column {{ column }} drop default;
drop function {{ through }}();
{%- endif %}
alter table {{ table }} alter column {{ column }} add generated {{ kind }} as identity;
perform set_config('enable_seqscan', 'off', true);  -- the highest value is at the index's end, and found there however small the table
perform setval(pg_get_serial_sequence({{ table_literal }}, {{ column_literal }}), 1 + greatest(0,
  (select max({{ column }}) from {{ table }}),
  pg_sequence_last_value(pg_get_serial_sequence({{ from_table_literal }}, {{ from_literal }})::regclass)), false);
