//! The catalog of a PostgreSQL database.

use super::{Line, Part};
use crate::engine::{Connection, Failure};

/// The catalog of a PostgreSQL database, sorted.
///
/// # Errors
/// When it can't be read.
pub fn postgres(session: &mut dyn Connection) -> Result<Vec<Line>, Failure> {
    // With an empty search path the server's printing functions qualify every name.
    session.run("set search_path = ''")?;
    let rows = session.run(QUERY)?.rows;
    session.run("reset search_path")?;
    let mut lines: Vec<Line> = rows
        .into_iter()
        .map(|row| {
            let mut cells = row.into_iter();
            let schema = cells.next().flatten().unwrap_or_default();
            let line = cells.next().flatten().unwrap_or_else(|| "(null)".to_owned());
            (part(&schema, &line), line)
        })
        .collect();
    lines.sort();
    Ok(lines)
}

/// What a line is about: everything in schema `crossfade` but the version tables and their view helps.
fn part(schema: &str, line: &str) -> Part {
    if schema != "crossfade" {
        return Part::Product;
    }
    let mut words = line.split_whitespace();
    let (kind, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let relation = name.split('.').nth(1).unwrap_or_default();
    let stays = match kind {
        "schema" => true,
        "table" | "column" | "constraint" | "index" | "sequence" => {
            relation == "version" || ["revision", "journal", "checkpoint", "failing_row"].iter().any(|table| relation.starts_with(table))
        }
        "view" | "viewdef" => relation == "version",
        _ => false,
    };
    if stays { Part::Version } else { Part::Helper }
}

/// Two columns: the schema, and the line. Without `offset 0` the server would look for the extension of each of its own 3200 functions
/// first, which takes longer than all the rest.
const QUERY: &str = r"
with space as (
    select oid, nspname, nspacl from pg_catalog.pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
), rel as (
    select c.*, s.nspname, s.nspname || '.' || c.relname as full_name
    from pg_catalog.pg_class c join space s on s.oid = c.relnamespace
    where not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
)
select nspname, 'schema ' || nspname || coalesce(' grants ' || nspacl::text, '') || coalesce(' comment ' || pg_catalog.obj_description(oid, 'pg_namespace'), '')
from space
union all
select nspname, case relkind when 'r' then 'table ' when 'p' then 'partitioned table ' when 'v' then 'view ' when 'm' then 'materialized view '
                             when 'S' then 'sequence ' when 'f' then 'foreign table ' else 'relation ' end || full_name
       || ' persistence ' || relpersistence::text || coalesce(' options ' || reloptions::text, '') || case when relrowsecurity then ' row security' else '' end
       || case when relforcerowsecurity then ' forced row security' else '' end || ' replica identity ' || relreplident::text
       || case when relkind = 'm' and not relispopulated then ' unpopulated' else '' end
       || coalesce(' grants ' || relacl::text, '') || coalesce(' comment ' || pg_catalog.obj_description(oid, 'pg_class'), '')
from rel where relkind in ('r', 'p', 'v', 'm', 'S', 'f')
union all
select r.nspname, 'column ' || r.full_name || '.' || a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
       || case when a.attnotnull then ' not null' else '' end
       || coalesce(case when a.attgenerated = '' then ' default ' else ' generated (' || a.attgenerated::text || ') ' end || pg_catalog.pg_get_expr(d.adbin, d.adrelid), '')
       || case when a.attidentity = '' then '' else ' identity ' || a.attidentity::text end
       || case when a.attcollation = t.typcollation then '' else ' collation ' || a.attcollation::pg_catalog.regcollation::text end
       || coalesce(' options ' || a.attoptions::text, '') || coalesce(' grants ' || a.attacl::text, '')
       || coalesce(' comment ' || pg_catalog.col_description(r.oid, a.attnum), '')
from rel r join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
     join pg_catalog.pg_type t on t.oid = a.atttypid
     left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where r.relkind in ('r', 'p', 'v', 'm', 'f')
union all
select r.nspname, 'constraint ' || r.full_name || '.' || c.conname || ' ' || pg_catalog.pg_get_constraintdef(c.oid)
       || case when c.convalidated then '' else ' (not validated)' end || coalesce(' comment ' || pg_catalog.obj_description(c.oid, 'pg_constraint'), '')
from rel r join pg_catalog.pg_constraint c on c.conrelid = r.oid
union all
select r.nspname, 'index ' || i.full_name || ' ' || pg_catalog.pg_get_indexdef(x.indexrelid)
       || case when x.indisvalid then '' else ' INVALID' end || case when x.indisready then '' else ' NOT READY' end
       || case when x.indisclustered then ' clustered' else '' end || case when x.indisreplident then ' replica identity' else '' end
       || coalesce(' comment ' || pg_catalog.obj_description(x.indexrelid, 'pg_class'), '')
from rel r join pg_catalog.pg_index x on x.indrelid = r.oid join rel i on i.oid = x.indexrelid
union all
select r.nspname, 'trigger ' || r.full_name || ' ' || pg_catalog.pg_get_triggerdef(t.oid) || ' enabled ' || t.tgenabled::text
from rel r join pg_catalog.pg_trigger t on t.tgrelid = r.oid and not t.tgisinternal
union all
select r.nspname, 'rule ' || r.full_name || ' ' || pg_catalog.pg_get_ruledef(w.oid)
from rel r join pg_catalog.pg_rewrite w on w.ev_class = r.oid and w.rulename <> '_RETURN'
union all
select r.nspname, 'viewdef ' || r.full_name || ' ' || pg_catalog.pg_get_viewdef(r.oid, true) from rel r where r.relkind in ('v', 'm')
union all
select r.nspname, 'policy ' || r.full_name || ' ' || p.polname || ' ' || p.polcmd::text || ' ' || p.polpermissive::text || ' '
       || coalesce(pg_catalog.pg_get_expr(p.polqual, p.polrelid), '') || ' ' || coalesce(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), '')
from rel r join pg_catalog.pg_policy p on p.polrelid = r.oid
union all
select p.nspname, case when p.prokind = 'a' then 'aggregate ' || p.oid::pg_catalog.regprocedure::text else 'function ' || pg_catalog.pg_get_functiondef(p.oid) end
       || coalesce(' grants ' || p.proacl::text, '') || coalesce(' comment ' || pg_catalog.obj_description(p.oid, 'pg_proc'), '')
from (select p.*, s.nspname from space s join pg_catalog.pg_proc p on p.pronamespace = s.oid offset 0) p
where not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e')
union all
select s.nspname, 'type ' || s.nspname || '.' || t.typname || ' '
       || case t.typtype when 'e' then 'enum ' || (select pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = t.oid)
                         when 'd' then 'domain ' || pg_catalog.format_type(t.typbasetype, t.typtypmod) else t.typtype::text end
       || coalesce(' grants ' || t.typacl::text, '') || coalesce(' comment ' || pg_catalog.obj_description(t.oid, 'pg_type'), '')
from space s join pg_catalog.pg_type t on t.typnamespace = s.oid
where (t.typtype in ('e', 'd', 'r') or exists (select from pg_catalog.pg_class c where c.oid = t.typrelid and c.relkind = 'c'))
  and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.objid = t.oid and d.deptype = 'e')
union all
select r.nspname, 'sequence ' || r.full_name || ' ' || pg_catalog.format_type(q.seqtypid, null) || ' start ' || q.seqstart || ' increment ' || q.seqincrement
       || ' min ' || q.seqmin || ' max ' || q.seqmax || ' cache ' || q.seqcache || case when q.seqcycle then ' cycle' else '' end
       || coalesce((select ' owned by ' || d.refobjid::pg_catalog.regclass::text || '.' || a.attname || ' (' || d.deptype::text || ')'
                    from pg_catalog.pg_depend d join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                    where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = r.oid and d.deptype in ('a', 'i')
                      and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass), '')
from rel r join pg_catalog.pg_sequence q on q.seqrelid = r.oid
union all
select s.nspname, 'statistics ' || pg_catalog.pg_get_statisticsobjdef(x.oid) from space s join pg_catalog.pg_statistic_ext x on x.stxnamespace = s.oid
union all
select '', 'extension ' || extname from pg_catalog.pg_extension
union all
select '', 'event trigger ' || evtname from pg_catalog.pg_event_trigger
";
