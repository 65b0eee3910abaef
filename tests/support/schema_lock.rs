//! `schema_lock: true`: what clients and the runner do to each other is the same on every server; how it is seen is not.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crossfade::engine::Connection;

use super::program::Ran;

/// A database before expand, as a test of the lock sees it.
pub struct SchemaLock<'f> {
    /// A command of the runner.
    pub command: &'f (dyn Fn(&[&str]) -> Command + Sync),
    /// The query by which a client shares the lock.
    pub share: &'f str,
    /// What the runner says of the client that has it.
    pub named: &'f [&'f str],
    /// Lets some time pass, and looks that the runner is not in the queue where nobody else would notice.
    pub turn: &'f dyn Fn(),
    /// Whether the runner waits for a table now, and has the lock.
    pub waits: &'f dyn Fn() -> bool,
}

impl SchemaLock<'_> {
    fn begin(&self, session: &mut impl Connection) -> String {
        session.run("begin").unwrap();
        session.value(self.share).unwrap().unwrap()
    }

    /// A client that shares the lock keeps the runner waiting, and is named, while `other` shares it at once; the runner never keeps
    /// a client waiting longer than it waits itself for `reader`, and leaves no lock when it is killed. Runs all phases.
    pub fn is_kept<C: Connection>(&self, client: &mut C, other: &mut C, reader: &mut C) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("crossfade.yaml"), "schema_lock: true\n").unwrap();
        let (make, path) = (self.command, folder.path());
        let command = |arguments: &[&str]| {
            let mut command = make(arguments);
            command.current_dir(path);
            command
        };
        let run = |arguments: &[&str]| Ran::of(&command(arguments).output().unwrap());
        for arguments in [&["expand", "--patience", "1"] as &[&str], &["contract", "--all-nodes-upgraded", "--patience", "1"]] {
            let before = self.begin(client);
            std::thread::scope(|scope| {
                let runner = scope.spawn(|| run(arguments).must(1).says("met the schema lock held by clients"));
                while !runner.is_finished() {
                    assert_eq!(self.begin(other), before);
                    other.run("commit").unwrap();
                    (self.turn)();
                }
                let ran = runner.join().unwrap();
                self.named.iter().fold(ran, |ran, words| ran.says(words));
            });
            client.run("commit").unwrap();
            if arguments[0] == "expand" {
                run(&["expand"]).must(0);
                run(&["migrate"]).must(0);
            }
        }
        // In its moment the runner meets a reader of the table: others wait as long as it does, and a kill ends that.
        reader.run("begin").unwrap();
        reader.run("select count(*) from users").unwrap();
        let mut runner = command(&["contract", "--all-nodes-upgraded"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let wait = || {
            let until = Instant::now() + Duration::from_secs(60);
            while !(self.waits)() {
                assert!(Instant::now() < until, "it never waited with the lock held");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        let mut share = |slowest: Duration| {
            let begun = Instant::now();
            self.begin(client);
            client.run("commit").unwrap();
            slowest.max(begun.elapsed())
        };
        wait();
        let slowest = share(Duration::ZERO);
        wait();
        let slowest = share(slowest);
        wait();
        runner.kill().unwrap();
        runner.wait().unwrap();
        let slowest = share(slowest);
        eprintln!("a client waited {slowest:?} for the runner's moment");
        // As long as the reader holds the table, a runner that kept the lock would keep the client.
        assert!(slowest < Duration::from_secs(20), "{slowest:?}");
        reader.run("commit").unwrap();
        run(&["contract", "--all-nodes-upgraded", "--wait", "30"]).must(0);
        assert_eq!(self.begin(client), "contract");
        client.run("commit").unwrap();
    }
}
