select k.conrelid::bigint as table, k.conname as name, k.contype as kind, k.conkey as columns,
       k.condeferrable as deferrable, k.condeferred as deferred, k.conindid::bigint as index,
       k.confrelid::bigint as target, k.confkey as target_columns, k.confupdtype as on_update, k.confdeltype as on_delete,
       k.confdelsetcols as set_columns, k.confmatchtype as match,
       case k.contype when 'c' then pg_get_expr(k.conbin, k.conrelid)
                      when 'x' then pg_get_constraintdef(k.oid)
       end as definition,
       -- Keys over periods came with 18, and so did rules that are not enforced.
       coalesce(to_jsonb(k) ->> 'conperiod' = 'true', false) as period,
       coalesce(to_jsonb(k) ->> 'conenforced' = 'false', false) as not_enforced
from pg_constraint k
     join pg_class c on c.oid = k.conrelid
where c.relnamespace = $schema and c.relkind = 'r' and k.contype in ('p', 'u', 'f', 'c', 'x')
order by k.conrelid, k.conname collate "C"
