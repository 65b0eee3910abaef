//! The program as its users run it: a command on a database, and what came of it.
#![allow(clippy::unwrap_used)]

use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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

/// A run of the program that is listened to while it works: a test goes on when it has said something, and not after a while.
pub struct Heard {
    child: Child,
    err: tempfile::NamedTempFile,
}

impl Heard {
    #[track_caller]
    pub fn spawn(mut command: Command) -> Heard {
        let err = tempfile::NamedTempFile::new().unwrap();
        let child = command.stdout(Stdio::piped()).stderr(err.reopen().unwrap()).spawn().unwrap();
        Heard { child, err }
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.err.path()).unwrap()).into_owned()
    }

    /// Waits until it has said these words on stderr.
    #[track_caller]
    pub fn wait_for(&mut self, words: &str) {
        let until = Instant::now() + Duration::from_secs(60);
        while !self.said().contains(words) {
            let ended = self.child.try_wait().unwrap().is_some() && !self.said().contains(words);
            assert!(!ended && Instant::now() < until, "`{words}` is not in:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ctrl-C.
    #[track_caller]
    pub fn interrupt(&self) {
        assert!(Command::new("kill").args(["-INT", &self.id().to_string()]).status().unwrap().success());
    }

    /// Waits for its end.
    pub fn end(self) -> Ran {
        let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
        let Heard { child, err } = self;
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&std::fs::read(err.path()).unwrap()).into_owned();
        Ran { code: output.status.code().unwrap_or(-1), out: said(&output), err }
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
