{%- for column in columns %}
alter table {{ table }} add column {{ column }};
{%- endfor %}
