alter table {{ table }}
{%- for column in columns %}
  add column if not exists {{ column }}{% if loop.last %};{% else %},{% endif %}
{%- endfor %}
{%- for comment in comments %}
{{ comment }};
{%- endfor %}
