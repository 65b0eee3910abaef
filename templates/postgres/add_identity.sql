{%- if had_default %}alter table {{ table }} alter column {{ column }} drop default;
{% endif -%}
alter table {{ table }} alter column {{ column }} add generated {{ kind }} as identity;
{%- if highest %}
perform set_config('enable_seqscan', 'off', true);  -- the highest value is at the index's end, and found there however small the table
{%- endif %}
{%- if counted or highest %}
perform setval(pg_get_serial_sequence({{ table_literal }}, {{ column_literal }}), 1 + greatest(0
{%- if highest %},
  (select max({{ column }}) from {{ table }})
{%- endif %}
{%- if counted %},
  pg_sequence_last_value({{ counted }})
{%- endif %}), false);
{%- endif %}
{%- if counter %}
drop sequence {{ counter }};
{%- endif %}
{%- if function %}
drop function {{ function }}();
{%- endif %}
