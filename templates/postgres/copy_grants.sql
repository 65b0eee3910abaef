do $crossfade$
declare
  granted record;
begin
{%- if schema %}
  -- Who may use the schema of the tables may use the namespace.
  for granted in
    select distinct case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as role
    from pg_namespace n join pg_namespace v on v.nspname = {{ schema }},
         aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
    where n.nspname = {{ base }} and a.privilege_type = 'USAGE' and a.grantee <> v.nspowner
  loop
    execute format('grant usage on schema %I to %s', {{ schema }}, granted.role);
  end loop;
{%- endif %}
{%- if lenses %}
  -- Rights on single columns: who has one on all old columns of a lens gets it on the new ones.
  for granted in
    select lens.relation, fresh.name, rights.*, case rights.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(rights.grantee)) end as role
    from (values
{%- for lens in lenses %}
      ({{ lens.table }}::text, array[{{ lens.new }}], array[{{ lens.old }}]){% if not loop.last %},{% endif %}
{%- endfor %}
    ) as lens (relation, new, old)
    join lateral (
      select a.privilege_type, a.grantee, bool_and(a.is_grantable) as is_grantable
      from pg_attribute c, aclexplode(c.attacl) a
      where c.attrelid = to_regclass(lens.relation) and c.attname = any (lens.old) and not c.attisdropped
      group by a.privilege_type, a.grantee
      having count(distinct c.attname) = cardinality(lens.old)
    ) as rights on true,
    unnest(lens.new) as fresh (name)
    order by lens.relation, fresh.name, rights.privilege_type, rights.grantee
  loop
    execute format('grant %s (%I) on %s to %s%s', granted.privilege_type, granted.name, granted.relation, granted.role,
                   case when granted.is_grantable then ' with grant option' else '' end);
  end loop;
{%- endif %}
{%- if pairs %}
  create temporary table crossfade_shown (source, view, physical, name) on commit drop as values
{%- for pair in pairs %}
    ({{ pair.source }}::text, {{ pair.view }}::text, array[{{ pair.physical }}]::text[], array[{{ pair.names }}]::text[]){% if not loop.last %},{% endif %}
{%- endfor %};
  -- Rights on a table, or on columns of it, are rights on the view that shows it. (The view checks the table's as well.)
  for granted in
    with rights as (
      select shown.view, '' as columns, v.relowner, a.privilege_type, a.grantee, a.is_grantable
      from crossfade_shown shown join pg_class c on c.oid = to_regclass(shown.source) join pg_class v on v.oid = to_regclass(shown.view),
           aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
      where a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
      union all
      select shown.view, format(' (%I)', x.attname), v.relowner, a.privilege_type, a.grantee, a.is_grantable
      from crossfade_shown shown join pg_class v on v.oid = to_regclass(shown.view)
           join pg_attribute x on x.attrelid = v.oid and x.attnum > 0 and not x.attisdropped
           join pg_attribute c on c.attrelid = to_regclass(shown.source) and not c.attisdropped
             and c.attname = coalesce(shown.physical[array_position(shown.name, x.attname::text)], x.attname),
           aclexplode(c.attacl) a
      where a.privilege_type in ('SELECT', 'INSERT', 'UPDATE')
    )
    select view, columns, privilege_type, bool_or(is_grantable) as is_grantable,
           case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end as role
    from rights
    where grantee <> relowner
    group by view, columns, privilege_type, grantee
    order by view, columns, privilege_type, grantee
  loop
    execute format('grant %s%s on %s to %s%s', granted.privilege_type, granted.columns, granted.view, granted.role,
                   case when granted.is_grantable then ' with grant option' else '' end);
  end loop;
  -- PostgreSQL lets nobody read through such a view who may not read every column that it shows.
  for granted in
    select distinct shown.source, pg_get_userbyid(a.grantee) as role
    from crossfade_shown shown join pg_rewrite r on r.ev_class = to_regclass(shown.view)
         join pg_attribute c on c.attrelid = to_regclass(shown.source) and not c.attisdropped, aclexplode(c.attacl) a
    where a.privilege_type = 'SELECT' and a.grantee <> 0
      and exists (select from pg_depend d
                  where d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refobjid = c.attrelid and d.refobjsubid > 0
                    and not has_column_privilege(a.grantee, c.attrelid, d.refobjsubid::smallint, 'SELECT'))
    order by 1, 2
  loop
    raise warning 'role % may read only some columns of %: through the new version''s view it can read none', granted.role, granted.source
      using hint = 'Let it read the other columns too before the new version starts, or let it use the table itself.';
  end loop;
  -- A view of the old version reads with its owner's rights; what it becomes in the namespace reads with the caller's.
  for granted in
    select distinct shown.source, case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end as role
    from crossfade_shown shown join pg_class c on c.oid = to_regclass(shown.source) and c.relkind = 'v'
         join pg_rewrite r on r.ev_class = c.oid, aclexplode(c.relacl) a
    where a.privilege_type = 'SELECT' and a.grantee <> c.relowner
      and not coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)
      and exists (select from pg_depend d join pg_class t on t.oid = d.refobjid and t.relkind in ('r', 'p', 'v')
                  where d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refobjid <> c.oid
                    and not has_any_column_privilege(a.grantee, t.oid, 'SELECT'))
    order by 1, 2
  loop
    raise warning 'role % may read view % and not the tables behind it: through the new version''s view it can read nothing', granted.role, granted.source
      using hint = 'Let it read those tables before the new version starts.';
  end loop;
  drop table crossfade_shown;
{%- endif %}
end
$crossfade$;
