do $crossfade$
declare
  granted record;
begin
{%- if schema %}
  for granted in
    select case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as role
    from pg_namespace n, aclexplode(n.nspacl) a
    where n.nspname = {{ base }} and a.privilege_type = 'USAGE' and a.grantee <> n.nspowner
  loop
    execute format('grant usage on schema %I to %s', {{ schema }}, granted.role);
  end loop;
{%- endif %}
  for granted in
    select distinct a.privilege_type, v.view, a.is_grantable,
           case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as role
    from (values
{%- for pair in pairs %}
      ({{ pair.table }}::text, {{ pair.view }}::text){% if not loop.last %},{% endif %}
{%- endfor %}
    ) as v (source, view)
    join pg_class c on c.oid = to_regclass(v.source), aclexplode(c.relacl) a
    where a.grantee <> c.relowner and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  loop
    execute format('grant %s on %s to %s%s', granted.privilege_type, granted.view, granted.role,
                   case when granted.is_grantable then ' with grant option' else '' end);
  end loop;
end
$crossfade$;
