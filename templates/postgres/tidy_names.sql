for granted in
  with named as (
    -- As the server itself cuts names that are too long: the longer of the two parts gives way.
    select c.oid, c.relname, a.attname, a.attnum,
           format('%s_%s_seq', left(c.relname::text, greatest(58 - length(a.attname), 29)),
                  left(a.attname::text, greatest(58 - length(c.relname), 29))) as sequence,
           format('%s_%s_not_null', left(c.relname::text, greatest(53 - length(a.attname), 27)),
                  left(a.attname::text, greatest(53 - length(c.relname), 26))) as not_null
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.oid = to_regclass({{ table_literal }})
  )
  select format('alter sequence %s rename to %I', d.objid::regclass, named.sequence) as statement
  from named
  join pg_depend d on d.refobjid = named.oid and d.refobjsubid = named.attnum and d.classid = 'pg_class'::regclass and d.deptype = 'i'
  join pg_class s on s.oid = d.objid and s.relkind = 'S' and s.relname <> named.sequence
  union all
  select format('alter table %s rename constraint %I to %I', c.conrelid::regclass, c.conname, named.not_null)
  from named
  join pg_constraint c on c.conrelid = named.oid and c.contype = 'n' and c.conkey[1] = named.attnum and c.conname <> named.not_null
loop
  execute granted.statement;
end loop;
