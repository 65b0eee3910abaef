do $crossfade$
declare
  granted record;
begin
  -- Columns can't be taken from a view: it is made anew, and who may use it is kept.
  create temporary table crossfade_grants on commit drop as
    select format('grant %s on {{ view }} to %s%s', a.privilege_type,
                  case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                  case when a.is_grantable then ' with grant option' else '' end) as statement
    from pg_class c, aclexplode(c.relacl) a
    where c.oid = to_regclass({{ view_literal }}) and a.grantee <> c.relowner;
  drop view if exists {{ view }};
  create view {{ view }} as
    {{ query }};
{%- if comment %}
  comment on view {{ view }} is {{ comment }};
{%- endif %}
  for granted in select statement from crossfade_grants loop
    execute granted.statement;
  end loop;
end
$crossfade$;
