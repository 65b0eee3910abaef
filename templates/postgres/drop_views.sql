{%- if keep_grants %}
-- Owner, {% if not materialized %}options {% endif %}and rights are kept for the views that are made anew.
{%- if materialized %}
create temporary table if not exists crossfade_grants (view text, place integer, attname name, statement text) on commit drop;
insert into crossfade_grants
{%- else %}
create temporary table crossfade_grants on commit drop as
{%- endif %}
  with remade as (
    select c.oid, c.relowner, c.relacl, c.reloptions, format('%I.%I', n.nspname, c.relname) as view
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid in ({{ regclasses }})
  )
  select view, 1 as place, null::name as attname, format('alter view %s owner to %I', view, pg_get_userbyid(relowner)) as statement
  from remade
  where pg_get_userbyid(relowner) <> current_user
{%- if not materialized %}
  union all
  select view, 2, null, format('alter view %s set (%s)', view, option)
  from remade, unnest(reloptions) as option
{%- endif %}
  union all
  select view, 3, null, format('grant %s on %s to %s%s', a.privilege_type, view,
                               case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                               case when a.is_grantable then ' with grant option' else '' end)
  from remade, aclexplode(relacl) a
  where a.grantee <> relowner
  union all
  select view, 4, x.attname, format('grant %s (%I) on %s to %s%s', a.privilege_type, x.attname, view,
                                    case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                                    case when a.is_grantable then ' with grant option' else '' end)
  from remade join pg_attribute x on x.attrelid = remade.oid, aclexplode(x.attacl) a
  where a.grantee <> relowner;
{% endif -%}
drop {% if materialized %}materialized {% endif %}view if exists {{ views }};
