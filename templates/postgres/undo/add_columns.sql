alter table {{ table }}
{%- for column in columns %}
  drop column if exists {{ column }}{% if loop.last %};{% else %},{% endif %}
{%- endfor %}
