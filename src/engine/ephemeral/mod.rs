//! Throw-away database servers: found, started on a socket in a folder of their own, stopped and removed.
//!
//! A server lives as long as the value that stands for it. Should this process be killed, a small watcher process (a shell
//! that waits for the end of a pipe) stops the server and removes the folder in its place.

#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgres")]
pub mod postgres;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::Failure;

/// How long a server may take to accept its first connection.
const START_BUDGET: Duration = Duration::from_secs(60);
/// Pause between two attempts to connect to a server that is starting.
const CONNECT_PAUSE: Duration = Duration::from_millis(20);

/// What can go wrong with a throw-away server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program could not be started, or a file not be written.
    #[error("{action}: {source}")]
    Io {
        /// What was being done.
        action: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("{program} failed:\n{output}")]
    Program {
        /// The program.
        program: String,
        /// What it said.
        output: String,
    },
    /// The server does not accept connections.
    #[error("the server did not accept a connection within {} s: {last}\n{log}", START_BUDGET.as_secs())]
    NotReady {
        /// The last refusal.
        last: Box<Failure>,
        /// The end of the server's log.
        log: String,
    },
    /// This process is root, which PostgreSQL refuses, and there is no other user to start it as.
    #[error("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody` to run it as")]
    NoOtherUser,
}

/// Where programs may be: the folders of the variable and of `PATH`, those of this system, and `*/bin` below the folders that
/// servers are unpacked in.
fn candidate_folders(variable: &str, system: &[&str]) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for variable in [variable, "PATH"] {
        if let Some(list) = std::env::var_os(variable) {
            folders.extend(std::env::split_paths(&list));
        }
    }
    let mut parents: Vec<PathBuf> = system.iter().map(PathBuf::from).collect();
    parents.extend(std::env::var_os("CROSSFADE_SERVERS").map(PathBuf::from));
    parents.extend(std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/crossfade/servers")));
    parents.push(PathBuf::from("/var/cache/crossfade/servers"));
    for parent in parents {
        let Ok(entries) = fs::read_dir(parent) else { continue };
        let mut children: Vec<PathBuf> = entries.flatten().map(|entry| entry.path().join("bin")).collect();
        children.sort();
        folders.extend(children);
    }
    folders
}

#[derive(Debug)]
struct Running {
    server: Child,
    /// The signal that ends the server at once, by its name.
    signal: &'static str,
    watcher: Child,
    /// A line written here tells the watcher that there is nothing left to do; its end without a line, that we died.
    leash: Option<ChildStdin>,
}

impl Running {
    fn watch(mut server: Child, folder: &Path, signal: &'static str) -> Result<Self, Error> {
        let watcher = Command::new("sh")
            .args(["-c", r#"if read -r line; then exit 0; fi; kill -"$3" "$1" && sleep 1; rm -rf "$2""#, "watcher"])
            .arg(server.id().to_string())
            .arg(folder)
            .arg(signal)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: Ctrl-C at the terminal must not end the watcher before its work.
            .process_group(0)
            .spawn();
        match watcher {
            Ok(mut watcher) => {
                let leash = watcher.stdin.take();
                Ok(Self { server, signal, watcher, leash })
            }
            Err(source) => {
                let _ = server.kill();
                let _ = server.wait();
                Err(Error::Io { action: "start the watcher".to_owned(), source })
            }
        }
    }

    /// Waits until an attempt to connect succeeds (`None`: it is too early to try). A server that never answers is stopped.
    fn wait_until_ready(
        &mut self,
        program: &str,
        log: &Path,
        mut connect: impl FnMut() -> Option<Result<(), Failure>>,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + START_BUDGET;
        loop {
            match connect() {
                Some(Ok(())) => return Ok(()),
                Some(Err(last)) if Instant::now() > deadline => {
                    self.stop();
                    return Err(Error::NotReady { last: Box::new(last), log: end_of(log) });
                }
                Some(Err(_)) | None => {}
            }
            let ended = self.server.try_wait().map_err(io_error("watch the server"))?.is_some();
            if ended || Instant::now() > deadline {
                self.stop();
                return Err(Error::Program { program: program.to_owned(), output: end_of(log) });
            }
            std::thread::sleep(CONNECT_PAUSE);
        }
    }

    fn stop(&mut self) {
        // The standard library alone can only send SIGKILL.
        if matches!(self.server.try_wait(), Ok(None)) {
            let asked =
                Command::new("kill").args([format!("-{}", self.signal), self.server.id().to_string()]).stderr(Stdio::null()).status();
            if !asked.is_ok_and(|status| status.success()) {
                let _ = self.server.kill();
            }
        }
        let _ = self.server.wait();
        if let Some(mut leash) = self.leash.take() {
            let _ = leash.write_all(b"done\n");
        }
        let _ = self.watcher.wait();
    }
}

/// The number of a user, by default of the one that this process runs as.
fn user_id(name: Option<&str>) -> Option<u32> {
    let output = Command::new("id").arg("-u").args(name).stdin(Stdio::null()).output().ok()?;
    if !output.status.success() {
        return None;
    }
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

/// Where servers live: in memory if the system offers that, else in the system's temporary folder. (Copying a database is
/// twenty times faster in memory, where nothing waits for a journal.)
fn parent_folder() -> PathBuf {
    const MEMORY: &str = "/dev/shm";
    const ENOUGH_KILOBYTES: u64 = 4 * 1024 * 1024;
    let free = Command::new("df").args(["-Pk", MEMORY]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok().and_then(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().nth(1)?.split_whitespace().nth(3)?.parse::<u64>().ok()
    });
    if free.is_some_and(|kilobytes| kilobytes >= ENOUGH_KILOBYTES) { PathBuf::from(MEMORY) } else { std::env::temp_dir() }
}

/// A folder of our own. Its name is short: a socket's path has at most 107 bytes.
fn fresh_folder(owner: Option<u32>) -> Result<PathBuf, Error> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let parent = parent_folder();
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("crossfade-{}-{number}", std::process::id()));
        match fs::create_dir(&folder) {
            Ok(()) => {
                let ready = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).and_then(|()| chown(&folder, owner, None));
                return ready.map(|()| folder).map_err(io_error("hand over the server's folder"));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::Io { action: format!("make {}", folder.display()), source }),
        }
    }
}

fn io_error(action: &str) -> impl FnOnce(io::Error) -> Error + use<> {
    let action = action.to_owned();
    move |source| Error::Io { action, source }
}

fn end_of(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// All that a program printed.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}
