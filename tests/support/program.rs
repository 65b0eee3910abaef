//! The program as its users run it: a command on a database, and what came of it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use super::case::{Access, Case};

/// What a run of the program came to.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: &Output) -> Ran {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    pub fn must(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, words: &str) -> Ran {
        assert!(self.out.contains(words) || self.err.contains(words), "`{words}` is not in:\n{}{}", self.out, self.err);
        self
    }
}

/// A run that is listened to while it goes on; its error output is piped.
pub struct Heard {
    child: Child,
    lines: BufReader<ChildStderr>,
    err: String,
}

impl Heard {
    pub fn of(mut child: Child) -> Heard {
        let lines = BufReader::new(child.stderr.take().expect("its error output is piped"));
        Heard { child, lines, err: String::new() }
    }

    /// Waits until it has said these words.
    #[track_caller]
    pub fn until(&mut self, words: &str) {
        while !self.err.contains(words) {
            assert!(self.lines.read_line(&mut self.err).expect("it can be read") > 0, "it ended without `{words}`:\n{}", self.err);
        }
    }

    /// Ctrl-C.
    #[track_caller]
    pub fn interrupt(&self) {
        assert!(Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().is_ok_and(|status| status.success()));
    }

    pub fn ended(mut self) -> Ran {
        self.lines.read_to_string(&mut self.err).expect("it can be read");
        let output = self.child.wait_with_output().expect("it ends");
        Ran { err: self.err, ..Ran::of(&output) }
    }
}

/// Tells others to stop as it goes, so that a test that fails ends.
pub struct Bell<'a>(pub &'a AtomicBool);

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A command between the two snapshots of a case, on the database of a URL. The first argument names it; what the command is about
/// (the version of a drain) follows it.
pub fn command(case: &Case, access: Access, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    let (before, behind) = arguments.split_at(if arguments[0] == "drain" { 2 } else { 1 });
    command.args(before).arg(case.folder.join("old.yaml")).arg(case.folder.join("new.yaml"));
    command.args(["--access", access.name(), "--url", url]).args(behind);
    for code in &case.file.allow {
        command.args(["--allow", code]);
    }
    command.stdin(Stdio::null()).env_remove("CROSSFADE_URL");
    command
}
