//! PostgreSQL: a throw-away server with a connection to make databases from.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossfade::engine::ephemeral::postgres::Server;
use crossfade::engine::postgres::{Failure, Session};
use crossfade::sql::Dialect;

use super::{Engine, Inspect, Part, Table};
use crate::support::servers::MAJORS;
use crate::support::shape::{Column, Shape};

pub struct Postgres {
    pub server: Server,
    pub psql: Option<PathBuf>,
    admin: Mutex<Session>,
}

impl Postgres {
    pub fn new(server: Server, psql: Option<PathBuf>) -> Result<Self, Failure> {
        let admin = Session::connect(&server.address("postgres"))?;
        Ok(Self { server, psql, admin: Mutex::new(admin) })
    }

    fn create_from(&self, name: &str, template: &str) -> Result<(), String> {
        // The server refuses to copy a database while another copy of it is being made.
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        admin
            .run(&format!("create database {name} template {template} strategy file_copy"))
            .map(drop)
            .map_err(|failure| failure.to_string())
    }
}

impl Engine for Postgres {
    type Session = Session;
    type Recipe = ();

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn turn(&self) -> (usize, usize) {
        let major = self.server.installation().major;
        (MAJORS.iter().position(|one| *one == major).unwrap_or(0), MAJORS.len())
    }

    fn create(&self, name: &str) -> Result<(), String> {
        self.create_from(name, "template1")
    }

    fn copy(&self, from: &str, to: &str, (): &mut ()) -> Result<(), String> {
        self.wait_alone(from)?;
        self.create_from(to, from)
    }

    fn remove(&self, name: &str) {
        // The server would look for connections only ten times a second.
        let _ = self.wait_alone(name);
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        // A database that stays goes with its server.
        let _ = admin.run(&format!("drop database if exists {name} with (force)"));
    }

    fn connect(&self, name: &str) -> Result<Session, Failure> {
        Session::connect(&self.server.address(name))
    }

    fn enter(&self, session: &mut Session, _name: &str, version: Option<&str>) -> Result<(), Failure> {
        let namespace = version.map_or("public".to_owned(), |version| format!("public_{version}"));
        session.run(&format!("set search_path = {namespace}")).map(drop)
    }

    fn reset(&self, session: &mut Session) -> bool {
        // Refused within a transaction: such a connection is closed, and the server rolls back.
        session.run("discard all").is_ok()
    }

    /// A closed connection is gone a moment after it was closed.
    fn wait_alone(&self, name: &str) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let others = self
                .admin
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .value(&format!("select count(*) from pg_stat_activity where datname = '{name}'"))
                .map_err(|failure| failure.to_string())?;
            if others.as_deref() == Some("0") {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("somebody stays connected to {name}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn client(&self, name: &str, script: &str) -> Result<(i32, String), String> {
        let file = tempfile::NamedTempFile::with_suffix(".sql").map_err(|error| error.to_string())?;
        std::fs::write(file.path(), script).map_err(|error| error.to_string())?;
        let psql = self.psql.as_ref().ok_or("there is no psql on this machine: run scripts/setup-servers.sh")?;
        let address = self.server.address(name);
        let output = std::process::Command::new(psql)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h"])
            .arg(&address.socket_folder)
            .args(["-p", &address.port.to_string(), "-U", &address.user, "-d", &address.database, "-f"])
            .arg(file.path())
            .stdin(std::process::Stdio::null())
            .output()
            .map_err(|error| format!("psql: {error}"))?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Ok((output.status.code().unwrap_or(-1), said))
    }
}

impl Inspect for Session {
    fn catalog(&mut self) -> Result<Vec<(Part, String)>, Failure> {
        // With an empty search path the server's printing functions qualify every name.
        self.run("set search_path = ''")?;
        let rows = self.run(QUERY)?.rows;
        self.run("reset search_path")?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let line = row[1].clone().unwrap_or_else(|| "(null)".to_owned());
                (part(row[0].as_deref().unwrap_or_default(), &line), line)
            })
            .collect())
    }

    fn shape(&mut self) -> Result<Shape, Failure> {
        let rows = self
            .run(
                "select c.relname, c.relkind in ('r', 'p'), a.attname, a.attgenerated <> '' or a.attidentity = 'a'
                 from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') order by c.relname, a.attnum",
            )?
            .rows;
        let mut shape = Shape::default();
        for row in rows {
            let [Some(relation), Some(table), Some(name), Some(read_only)] = &row[..] else { continue };
            shape.push(relation, table == "t", Column { name: name.clone(), read_only: read_only == "t" });
        }
        Ok(shape)
    }

    fn tables(&mut self) -> Result<Vec<Table>, Failure> {
        let rows = self
            .run(
                "select n.nspname, c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname
                 from pg_class c join pg_namespace n on n.oid = c.relnamespace
                      left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                 where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'crossfade')
                 order by 1, 2, 4",
            )?
            .rows;
        let mut tables: Vec<Table> = Vec::new();
        for row in rows {
            let [Some(schema), Some(relation), Some(sql), column] = &row[..] else { continue };
            let name = format!("{schema}.{relation}");
            if tables.last().is_none_or(|table| table.name != name) {
                tables.push(Table { name, relation: relation.clone(), sql: sql.clone(), columns: Vec::new() });
            }
            if let (Some(table), Some(column)) = (tables.last_mut(), column) {
                table.columns.push((column.clone(), Self::shown(column)));
            }
        }
        Ok(tables)
    }

    fn stands(&mut self) -> Result<Vec<Vec<Option<String>>>, Failure> {
        if self.value("select to_regclass('crossfade.version')")?.is_none() {
            return Ok(Vec::new());
        }
        Ok(self.run("select old_version, new_version, phase, revision from crossfade.version")?.rows)
    }

    fn written(&mut self) -> Result<Option<String>, Failure> {
        self.value("select pg_current_wal_insert_lsn()")
    }

    fn quoted(name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn shown(column: &str) -> String {
        format!("{}::text", Self::quoted(column))
    }

    fn refused_with(failure: &Failure, expected: &str) -> bool {
        failure.code.as_deref() == Some(expected)
    }
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
