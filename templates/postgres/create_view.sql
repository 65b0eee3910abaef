{% if materialized %}create materialized view if not exists{% else %}create or replace view{% endif %} {{ view }} as
  {{ query }};
{%- if comment %}
comment on {% if materialized %}materialized {% endif %}view {{ view }} is {{ comment }};
{%- endif %}
{%- if restore_grants %}
for granted in
  select g.statement
  from crossfade_grants g join pg_class c on c.oid = to_regclass({{ view_literal }}) join pg_namespace n on n.oid = c.relnamespace
  where g.view = format('%I.%I', n.nspname, c.relname)
    and (g.attname is null or exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = g.attname))
    and (g.statement not like '%set (check_option=%' or pg_relation_is_updatable(c.oid, false) & 20 = 20)
  order by g.place, g.statement
loop
  execute granted.statement;
end loop;
{%- endif %}
