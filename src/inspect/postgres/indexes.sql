select x.indexrelid::bigint as oid, x.indrelid::bigint as table, i.relname as name, m.amname as method, x.indisunique as unique,
       x.indnullsnotdistinct as nulls_not_distinct, x.indisvalid and x.indisready as valid, x.indnkeyatts as keys,
       string_to_array(x.indkey::text, ' ')::integer[] as columns,
       string_to_array(x.indoption::text, ' ')::integer[] as options,
       string_to_array(x.indcollation::text, ' ')::bigint[] as collations,
       pg_indexam_has_property(i.relam, 'can_order') as ordered,
       -- The text of each key that is an expression.
       (select array_agg(case when p.number = 0 then pg_get_indexdef(x.indexrelid, p.place::integer, false) end order by p.place)
        from unnest(x.indkey::int2[]) with ordinality p(number, place) where p.place <= x.indnkeyatts) as expressions,
       -- The operator class of each key, where it is not the one that its type has anyway; with its own parameters.
       (select array_agg(case when o.opcdefault and a.attoptions is null then null
                              else case when pg_opclass_is_visible(o.oid) then '' else o.opcnamespace::regnamespace::text || '.' end
                                   || quote_ident(o.opcname)
                                   || coalesce((select ' (' || string_agg(quote_ident(split_part(v, '=', 1)) || '='
                                                                          || quote_literal(substr(v, strpos(v, '=') + 1)), ', ') || ')'
                                                from unnest(a.attoptions) v), '')
                         end order by p.place)
        from unnest(x.indclass::oid[]) with ordinality p(class, place)
             join pg_opclass o on o.oid = p.class
             join pg_attribute a on a.attrelid = x.indexrelid and a.attnum = p.place) as classes,
       pg_get_expr(x.indpred, x.indrelid) as predicate,
       i.reloptions as with,
       pg_get_indexdef(x.indexrelid) as definition,
       exists (select from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u', 'x')) as constraint,
       d.description as comment
from pg_class c
     join pg_index x on x.indrelid = c.oid
     join pg_class i on i.oid = x.indexrelid
     join pg_am m on m.oid = i.relam
     left join pg_description d on d.objoid = i.oid and d.classoid = 'pg_class'::regclass and d.objsubid = 0
where c.relnamespace = $schema and c.relkind = 'r'
order by x.indrelid, i.relname collate "C"
