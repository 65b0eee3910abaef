do $crossfade$
declare
  granted record;
begin
  -- Columns can't be taken from a view: it is made anew, and its owner, options and rights are kept.
  create temporary table crossfade_grants on commit drop as
    select 1 as place, null::name as attname, format('alter view {{ view }} owner to %I', pg_get_userbyid(relowner)) as statement
    from pg_class
    where oid = to_regclass({{ view_literal }}) and pg_get_userbyid(relowner) <> current_user
    union all
    select 2, null, format('alter view {{ view }} set (%s)', option)
    from pg_class, unnest(reloptions) as option
    where oid = to_regclass({{ view_literal }})
    union all
    select 3, null, format('grant %s on {{ view }} to %s%s', a.privilege_type,
                           case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                           case when a.is_grantable then ' with grant option' else '' end)
    from pg_class c, aclexplode(c.relacl) a
    where c.oid = to_regclass({{ view_literal }}) and a.grantee <> c.relowner
    union all
    select 4, x.attname, format('grant %s (%I) on {{ view }} to %s%s', a.privilege_type, x.attname,
                                case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                                case when a.is_grantable then ' with grant option' else '' end)
    from pg_class c join pg_attribute x on x.attrelid = c.oid, aclexplode(x.attacl) a
    where c.oid = to_regclass({{ view_literal }}) and a.grantee <> c.relowner;
  drop view if exists {{ view }};
  create view {{ view }} as
    {{ query }};
{%- if comment %}
  comment on view {{ view }} is {{ comment }};
{%- endif %}
  for granted in
    select statement
    from crossfade_grants g
    where g.attname is null
      or exists (select from pg_attribute a where a.attrelid = to_regclass({{ view_literal }}) and a.attname = g.attname)
    order by place, statement
  loop
    execute granted.statement;
  end loop;
end
$crossfade$;
