//! The guards that refuse the writes of one version, for as long as a drain lasts.
//!
//! They are no part of a script: they come and go beside the phases, and change nothing of a table.

use minijinja::context;

use super::EmitError;
use super::program::Program;
use super::templates::Templates;
use crate::plan::drain_trigger;
use crate::sql::Dialect;
use crate::sql::quote::{ident, literal};

/// The longest message that a trigger of MySQL or MariaDB can raise.
const MESSAGE: usize = 128;
/// The events that a row of MySQL and MariaDB is guarded against.
const EVENTS: [&str; 3] = ["insert", "update", "delete"];

/// The statements of a drain, in the order in which they run; and of its end. Each list of statements is about one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// Makes what the guards ask, which lets everybody pass yet.
    pub prepare: Vec<String>,
    /// Puts a guard on each table.
    pub guards: Vec<Vec<String>>,
    /// From here on all of them refuse.
    pub refuse: Vec<String>,
    /// From here on they let everybody pass again.
    pub let_pass: Vec<String>,
    /// Takes the guards away.
    pub unguard: Vec<Vec<String>>,
    /// Takes away what they asked.
    pub clear: Vec<String>,
}

/// The drain of one of the two versions of a program. `None`: on this dialect, or without namespaces, nothing tells who writes.
///
/// # Errors
/// When a template does not fit.
pub fn drain(program: &Program, version: &str) -> Result<Option<Drain>, EmitError> {
    let dialect = program.dialect;
    let Some(namespace) = &program.namespace else { return Ok(None) };
    let templates = Templates::new();
    let old = program.new_version != version;
    let other = if old { Some(program.new_version.as_str()) } else { program.old_version.as_deref() }.unwrap_or_default();
    let end = format!("crossfade drain {version} --undo");
    let mut message = format!("writes of version {version} are refused: it is drained ({end})");
    if dialect != Dialect::Postgres && message.chars().count() > MESSAGE {
        message = message.chars().take(MESSAGE).collect();
    }
    let hint = format!("Reads and the writes of version {other} go on. `{end}` lets version {version} write again.");
    let refused = context! { old, message => literal(&message, dialect), hint => literal(&hint, dialect) };
    let render = |part: &str, table: &str, trigger: &str, event: &str, refuses: bool| {
        let folder = if dialect == Dialect::Postgres { "postgres" } else { "mysql_like" };
        templates.render(
            &[folder, "/run/drain"].concat(),
            context! {
                part, table, trigger, event,
                namespace => literal(namespace, dialect),
                version => literal(&program.new_version, dialect),
                word => literal(&format!(" {} ", program.new_version), dialect),
                refused => refuses.then(|| refused.clone()),
            },
        )
    };
    let tables = || program.tables.iter().map(String::as_str);
    match dialect {
        Dialect::Postgres => {
            let each = |part: &str| tables().map(|table| Ok(vec![render(part, table, "", "", false)?])).collect::<Result<_, EmitError>>();
            Ok(Some(Drain {
                prepare: vec![render("state", "", "", "", false)?],
                guards: each("guard")?,
                refuse: vec![render("state", "", "", "", true)?],
                let_pass: vec![render("state", "", "", "", false)?],
                unguard: each("unguard")?,
                clear: vec![render("clear", "", "", "", false)?],
            }))
        }
        // No function can be replaced at once there: each guard refuses from the moment on that it is there.
        Dialect::Mysql | Dialect::Mariadb => {
            let each = |part: &str| {
                tables()
                    .map(|table| {
                        let plain = table.trim_matches('`').replace("``", "`");
                        let trigger = |event: &str| ident(&drain_trigger(&plain, event, dialect), dialect);
                        EVENTS.iter().map(|event| render(part, table, &trigger(event), event, true)).collect()
                    })
                    .collect::<Result<_, EmitError>>()
            };
            Ok(Some(Drain {
                prepare: Vec::new(),
                guards: each("guard")?,
                refuse: Vec::new(),
                let_pass: Vec::new(),
                unguard: each("unguard")?,
                clear: Vec::new(),
            }))
        }
        Dialect::Sqlite => Ok(None),
    }
}
