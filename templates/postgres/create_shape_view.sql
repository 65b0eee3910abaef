{%- if marker_view %}
create or replace view {{ marker_view }} with (security_invoker = true) as
  select {{ inner }}
  from {{ table }};
alter view {{ marker_view }} alter column crossfade_writer set default 2;
{% endif -%}
create or replace view {{ view }} with (security_invoker = true) as
  select {{ outer }}
  from {{ source }};
{%- for default in defaults %}
alter view {{ view }} alter column {{ default.column }} set default {{ default.value }};
{%- endfor %}
{%- if comment %}
comment on view {{ view }} is {{ comment }};
{%- endif %}
