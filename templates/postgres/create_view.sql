{% if materialized %}create materialized view if not exists{% else %}create or replace view{% endif %} {{ view }} as
  {{ query }};
{%- if comment %}
comment on {% if materialized %}materialized {% endif %}view {{ view }} is {{ comment }};
{%- endif %}
{%- if restore_grants %}
for granted in select statement from crossfade_grants where view = {{ view_literal }} loop
  execute granted.statement;
end loop;
{%- endif %}
