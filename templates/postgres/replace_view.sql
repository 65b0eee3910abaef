create or replace view {{ view }} as
  {{ query }};
{%- if comment %}
comment on view {{ view }} is {{ comment }};
{%- endif %}
