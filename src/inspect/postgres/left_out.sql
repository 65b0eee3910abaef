-- What a snapshot has no words for, by kind and name. Members of an extension are the extension's.
with relation as (
    select c.*, quote_ident(c.relname) as ident from pg_class c
    where c.relnamespace = $schema
      and not exists (select from pg_depend x where x.classid = 'pg_class'::regclass and x.objid = c.oid and x.deptype = 'e')
), member as (
    select x.classid, x.objid from pg_depend x where x.deptype = 'e'
), grantee as (
    select r.oid, r.ident as name from relation r, aclexplode(r.relacl) g where g.grantee <> r.relowner
    union
    select r.oid, r.ident || '.' || quote_ident(a.attname)
    from relation r join pg_attribute a on a.attrelid = r.oid, aclexplode(a.attacl) g where g.grantee <> r.relowner
)
select 'tables that are partitioned' as kind, ident as name from relation where relkind = 'p' and not relispartition
union all select 'partitions', ident from relation where relkind in ('r', 'p', 'f') and relispartition
union all select 'foreign tables', ident from relation where relkind = 'f' and not relispartition
union all select 'tables that inherit or are inherited from', ident from relation r
          where relkind = 'r' and not relispartition and exists (select from pg_inherits i where i.inhrelid = r.oid or i.inhparent = r.oid)
union all select 'typed tables', ident from relation where relkind = 'r' and reloftype <> 0
union all select 'tables without columns', ident from relation r
          where relkind = 'r' and not exists (select from pg_attribute a where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped)
union all select 'composite types', ident from relation where relkind = 'c'
union all select 'functions', p.oid::regprocedure::text from pg_proc p
          where p.pronamespace = $schema and p.prokind in ('f', 'w') and ('pg_proc'::regclass, p.oid) not in (select * from member)
union all select 'procedures', p.oid::regprocedure::text from pg_proc p
          where p.pronamespace = $schema and p.prokind = 'p' and ('pg_proc'::regclass, p.oid) not in (select * from member)
union all select 'aggregates', p.oid::regprocedure::text from pg_proc p
          where p.pronamespace = $schema and p.prokind = 'a' and ('pg_proc'::regclass, p.oid) not in (select * from member)
union all select case t.typtype when 'd' then 'domains' when 'r' then 'range types' else 'base types' end, quote_ident(t.typname) from pg_type t
          where t.typnamespace = $schema and t.typtype in ('d', 'r', 'b') and ('pg_type'::regclass, t.oid) not in (select * from member)
                and not exists (select from pg_type e where e.typarray = t.oid)
union all select 'operators', o.oid::regoperator::text from pg_operator o
          where o.oprnamespace = $schema and ('pg_operator'::regclass, o.oid) not in (select * from member)
union all select 'operator classes', quote_ident(o.opcname) from pg_opclass o
          where o.opcnamespace = $schema and ('pg_opclass'::regclass, o.oid) not in (select * from member)
union all select 'collations', quote_ident(l.collname) from pg_collation l
          where l.collnamespace = $schema and ('pg_collation'::regclass, l.oid) not in (select * from member)
union all select 'conversions', quote_ident(v.conname) from pg_conversion v
          where v.connamespace = $schema and ('pg_conversion'::regclass, v.oid) not in (select * from member)
union all select 'text search configurations', quote_ident(s.cfgname) from pg_ts_config s
          where s.cfgnamespace = $schema and ('pg_ts_config'::regclass, s.oid) not in (select * from member)
union all select 'text search dictionaries', quote_ident(s.dictname) from pg_ts_dict s
          where s.dictnamespace = $schema and ('pg_ts_dict'::regclass, s.oid) not in (select * from member)
union all select 'casts', format_type(s.castsource, null) || ' as ' || format_type(s.casttarget, null) from pg_cast s
          where s.oid >= 16384 and ('pg_cast'::regclass, s.oid) not in (select * from member)
union all select 'triggers', quote_ident(t.tgname) || ' on ' || r.ident from relation r
          join pg_trigger t on t.tgrelid = r.oid and not t.tgisinternal
          join pg_proc p on p.oid = t.tgfoid
          join pg_namespace n on n.oid = p.pronamespace
          where n.nspname <> 'crossfade'
union all select 'event triggers', quote_ident(t.evtname) from pg_event_trigger t
          where ('pg_event_trigger'::regclass, t.oid) not in (select * from member)
union all select 'rules', quote_ident(w.rulename) || ' on ' || r.ident from relation r
          join pg_rewrite w on w.ev_class = r.oid and w.rulename <> '_RETURN'
union all select 'policies', quote_ident(p.polname) || ' on ' || r.ident from relation r join pg_policy p on p.polrelid = r.oid
union all select 'tables with row security', ident || case when relforcerowsecurity then ' (forced)' else '' end from relation where relrowsecurity
union all select 'extended statistics', quote_ident(s.stxname) from pg_statistic_ext s where s.stxnamespace = $schema
union all select 'publications', quote_ident(p.pubname) from pg_publication p
union all select 'subscriptions', quote_ident(s.subname) from pg_subscription s
          where s.subdbid = (select d.oid from pg_database d where d.datname = current_database())
union all select 'foreign servers', quote_ident(s.srvname) from pg_foreign_server s
          where ('pg_foreign_server'::regclass, s.oid) not in (select * from member)
union all select 'unlogged tables (read as ordinary ones)', ident from relation where relkind in ('r', 'm', 'p') and relpersistence = 'u'
union all select 'storage parameters', ident || ' (' || array_to_string(reloptions, ', ') || ')' from relation
          where relkind in ('r', 'm') and reloptions is not null
union all select 'options of views', ident || ' (' || array_to_string(reloptions, ', ') || ')' from relation
          where relkind = 'v' and reloptions is not null
union all select 'storage parameters', r.ident || ' (' || array_to_string(r.reloptions, ', ') || ')' from relation r
          join pg_constraint k on k.conindid = r.oid and k.contype in ('p', 'u', 'x') where r.relkind = 'i' and r.reloptions is not null
union all select 'tablespaces', r.ident || ' in ' || quote_ident(s.spcname) from relation r join pg_tablespace s on s.oid = r.reltablespace
          where r.relkind in ('r', 'm', 'i', 'p')
union all select 'access methods', r.ident || ' (' || m.amname || ')' from relation r join pg_am m on m.oid = r.relam
          where r.relkind in ('r', 'm') and m.amname <> 'heap'
union all select 'replica identities', ident from relation where relkind in ('r', 'p') and relreplident <> 'd'
union all select 'clustered tables', r.ident || ' by ' || quote_ident(i.relname) from relation r
          join pg_index x on x.indrelid = r.oid and x.indisclustered join pg_class i on i.oid = x.indexrelid
union all select 'indexes that are not valid', quote_ident(i.relname) || ' on ' || r.ident from relation r
          join pg_index x on x.indrelid = r.oid and not (x.indisvalid and x.indisready) join pg_class i on i.oid = x.indexrelid
          where r.relkind = 'r'
union all select 'indexes of materialized views', quote_ident(i.relname) || ' on ' || r.ident from relation r
          join pg_index x on x.indrelid = r.oid join pg_class i on i.oid = x.indexrelid where r.relkind = 'm'
union all select 'rules for rows that came before, not validated', quote_ident(k.conname) || ' on ' || r.ident from relation r
          join pg_constraint k on k.conrelid = r.oid and not k.convalidated and k.contype in ('c', 'f', 'n') where r.relkind = 'r'
union all select 'checks that heirs do not have (no inherit)', quote_ident(k.conname) || ' on ' || r.ident from relation r
          join pg_constraint k on k.conrelid = r.oid and k.connoinherit and k.contype = 'c' where r.relkind = 'r'
union all select 'covering columns of exclusions', quote_ident(k.conname) || ' on ' || r.ident from relation r
          join pg_constraint k on k.conrelid = r.oid and k.contype = 'x' join pg_index x on x.indexrelid = k.conindid and x.indnatts > x.indnkeyatts
union all select 'triggers that are constraints and internal rules switched off', quote_ident(t.tgname) || ' on ' || r.ident from relation r
          join pg_trigger t on t.tgrelid = r.oid and t.tgisinternal and t.tgenabled <> 'O' where r.relkind = 'r'
union all select 'statistics targets, storage and options of columns', r.ident || '.' || quote_ident(a.attname) from relation r
          join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
          join pg_type t on t.oid = a.atttypid
          where r.relkind in ('r', 'm')
                and (coalesce(a.attstattarget, -1) >= 0 or a.attoptions is not null or a.attcompression <> '' or a.attstorage <> t.typstorage)
union all select 'defaults of views', r.ident || '.' || quote_ident(a.attname) from relation r
          join pg_attribute a on a.attrelid = r.oid join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum where r.relkind = 'v'
union all select 'comments on columns of views', r.ident || '.' || quote_ident(a.attname) from relation r
          join pg_attribute a on a.attrelid = r.oid
          join pg_description d on d.objoid = r.oid and d.classoid = 'pg_class'::regclass and d.objsubid = a.attnum and a.attnum > 0
          where r.relkind in ('v', 'm')
union all select 'comments on constraints', quote_ident(k.conname) || ' on ' || r.ident from relation r
          join pg_constraint k on k.conrelid = r.oid
          join pg_description d on d.objoid = k.oid and d.classoid = 'pg_constraint'::regclass
union all select 'comments on indexes of constraints', r.ident from relation r
          join pg_constraint k on k.conindid = r.oid and k.contype in ('p', 'u', 'x')
          join pg_description d on d.objoid = r.oid and d.classoid = 'pg_class'::regclass where r.relkind = 'i'
union all select 'security labels', l.provider || ' on ' || l.classoid::regclass::text || ' ' || l.objoid::text from pg_seclabel l
union all select 'grants', name from grantee
union all select 'default privileges', d.defaclrole::regrole::text || ' (' || d.defaclobjtype::text || ')' from pg_default_acl d
          where d.defaclnamespace in (0, $schema)
union all select 'other schemas', quote_ident(n.nspname) from pg_namespace n
          where n.oid <> $schema and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'crossfade')
                and ('pg_namespace'::regclass, n.oid) not in (select * from member)
                and (exists (select from pg_class c where c.relnamespace = n.oid
                             and ('pg_class'::regclass, c.oid) not in (select * from member))
                     or exists (select from pg_proc p where p.pronamespace = n.oid
                                and ('pg_proc'::regclass, p.oid) not in (select * from member)))
order by 1, 2
