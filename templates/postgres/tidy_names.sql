for granted in
  select format('alter sequence %s rename to %I', d.objid::regclass, format('%s_%s_seq', c.relname, a.attname)) as statement
  from pg_depend d
  join pg_class c on c.oid = d.refobjid
  join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid
  join pg_class s on s.oid = d.objid and s.relkind = 'S'
  where d.classid = 'pg_class'::regclass and d.deptype = 'i' and c.oid = to_regclass({{ table_literal }})
    and s.relname <> format('%s_%s_seq', c.relname, a.attname)
  union all
  select format('alter table %s rename constraint %I to %I', c.conrelid::regclass, c.conname, format('%s_%s_not_null', t.relname, a.attname))
  from pg_constraint c
  join pg_class t on t.oid = c.conrelid
  join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
  where c.contype = 'n' and c.conrelid = to_regclass({{ table_literal }})
    and c.conname <> format('%s_%s_not_null', t.relname, a.attname)
loop
  execute granted.statement;
end loop;
