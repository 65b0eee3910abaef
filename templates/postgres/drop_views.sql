{%- if keep_grants %}
-- Who may use them is kept for the views that are made anew.
create temporary table crossfade_grants on commit drop as
  select format('%I.%I', n.nspname, c.relname) as view,
         format('grant %s on %I.%I to %s%s', a.privilege_type, n.nspname, c.relname,
                case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                case when a.is_grantable then ' with grant option' else '' end) as statement
  from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a
  where c.oid in ({{ regclasses }}) and a.grantee <> c.relowner;
{% endif -%}
drop {% if materialized %}materialized {% endif %}view if exists {{ views }};
