//! Throw-away PostgreSQL servers: found, started on a socket in a folder of their own, stopped and removed.
//!
//! A server lives as long as the value that stands for it. Should this process be killed, a small watcher process (a shell
//! that waits for the end of a pipe) stops the server and removes the folder in its place.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::postgres::{Address, Failure, Session, socket_path};

/// How long a server may take to accept its first connection.
const START_BUDGET: Duration = Duration::from_secs(60);
/// Pause between two attempts to connect to a server that is starting.
const CONNECT_PAUSE: Duration = Duration::from_millis(20);
/// The port in the socket's name. The folder is private, so it never collides.
const PORT: u16 = 5432;

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

/// The programs of one PostgreSQL installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The folder with `postgres` and `initdb`.
    pub programs: PathBuf,
    /// The major version, such as 15.
    pub major: u32,
}

/// All PostgreSQL installations of this machine, one a major version, oldest first.
///
/// Looked for in the folders of `CROSSFADE_POSTGRES_BIN` (separated by colons), in `PATH`, below `/usr/lib/postgresql`, and
/// in `*/bin` below `CROSSFADE_SERVERS`, `~/.cache/crossfade/servers` and `/var/cache/crossfade/servers`. The first one of
/// a major version wins.
pub fn installations() -> Vec<Installation> {
    let mut found: Vec<Installation> = Vec::new();
    for programs in candidate_folders() {
        if !programs.join("initdb").is_file() {
            continue;
        }
        let Some(major) = major_version(&programs.join("postgres")) else { continue };
        if !found.iter().any(|installation| installation.major == major) {
            found.push(Installation { programs, major });
        }
    }
    found.sort_by_key(|installation| installation.major);
    found
}

fn candidate_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for variable in ["CROSSFADE_POSTGRES_BIN", "PATH"] {
        if let Some(list) = std::env::var_os(variable) {
            folders.extend(std::env::split_paths(&list));
        }
    }
    let mut parents = vec![PathBuf::from("/usr/lib/postgresql")];
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

/// Reads `postgres (PostgreSQL) 15.18 (Debian …)` and `postgres (PostgreSQL) 18beta1`.
fn major_version(program: &Path) -> Option<u32> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// A running throw-away server. Dropping it stops the server and removes its folder.
#[derive(Debug)]
pub struct Server {
    installation: Installation,
    folder: PathBuf,
    owner: Option<u32>,
    process: Option<Running>,
}

#[derive(Debug)]
struct Running {
    server: Child,
    watcher: Child,
    /// A line written here tells the watcher that there is nothing left to do; its end without a line, that we died.
    leash: Option<ChildStdin>,
}

impl Server {
    /// Makes a fresh cluster in a folder of its own and starts it: a Unix socket only, every local role trusted, nothing
    /// synced to disk.
    ///
    /// # Errors
    /// When the folder can't be made, `initdb` or the server fails, or no connection succeeds within a minute.
    pub fn start(installation: &Installation) -> Result<Self, Error> {
        let owner = other_user()?;
        let folder = fresh_folder(owner)?;
        let mut server = Self { installation: installation.clone(), folder, owner, process: None };
        let data = server.data();
        let output = server
            .command("initdb")
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .map_err(io_error("start initdb"))?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            return Err(Error::Program { program: "initdb".to_owned(), output: String::from_utf8_lossy(&said).into_owned() });
        }
        server.restart()?;
        Ok(server)
    }

    /// The installation that it runs.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Where a database of it is.
    pub fn address(&self, database: &str) -> Address {
        Address { socket_folder: self.folder.clone(), port: PORT, database: database.to_owned(), user: "postgres".to_owned() }
    }

    /// Stops it as a crash would: no process gets to clean up, and the next start recovers from the log.
    pub fn kill_hard(&mut self) {
        if let Some(mut running) = self.process.take() {
            running.stop();
        }
    }

    /// Starts it (again) on the cluster that is there and waits until it accepts a connection. Does nothing when it runs.
    ///
    /// # Errors
    /// When the server fails to start or accepts no connection within a minute.
    pub fn restart(&mut self) -> Result<(), Error> {
        if self.process.is_some() {
            return Ok(());
        }
        let log_path = self.folder.join("log");
        let log = fs::File::create(&log_path).map_err(io_error("write the server's log"))?;
        let also = log.try_clone().map_err(io_error("write the server's log"))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(&self.folder).args(["-p", &PORT.to_string()]);
        for setting in [
            "listen_addresses=",
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
            "autovacuum=off",
            // In the folder, which is removed, and not in the system's shared memory, where a crash would leave them.
            "dynamic_shared_memory_type=mmap",
            "wal_level=minimal",
            "max_wal_senders=0",
            "shared_buffers=16MB",
            "jit=off",
            "max_connections=100",
        ] {
            command.args(["-c", setting]);
        }
        let server = command.stdout(log).stderr(also).spawn().map_err(io_error("start postgres"))?;
        let mut running = Running::watch(server, &self.folder)?;
        let deadline = Instant::now() + START_BUDGET;
        loop {
            // Connecting before the socket is there would only make the log longer.
            let attempt = socket_path(&self.folder, PORT).exists().then(|| Session::connect(&self.address("postgres")));
            match attempt {
                Some(Ok(_)) => break,
                Some(Err(last)) if Instant::now() > deadline => {
                    running.stop();
                    return Err(Error::NotReady { last: Box::new(last), log: end_of(&log_path) });
                }
                Some(Err(_)) | None => {}
            }
            let ended = running.server.try_wait().map_err(io_error("watch postgres"))?.is_some();
            if ended || Instant::now() > deadline {
                running.stop();
                return Err(Error::Program { program: "postgres".to_owned(), output: end_of(&log_path) });
            }
            std::thread::sleep(CONNECT_PAUSE);
        }
        self.process = Some(running);
        Ok(())
    }

    /// The end of the server's log, for a failure's report.
    pub fn log(&self) -> String {
        end_of(&self.folder.join("log"))
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.installation.programs.join(program));
        command.stdin(Stdio::null()).current_dir(&self.folder).env_remove("PGDATA").env("LC_ALL", "C");
        if let Some(uid) = self.owner {
            command.uid(uid);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill_hard();
        // Nothing can be done about a folder that stays; it lies below the system's temporary folder.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Running {
    fn watch(mut server: Child, folder: &Path) -> Result<Self, Error> {
        let watcher = Command::new("sh")
            .args(["-c", r#"if read -r line; then exit 0; fi; kill -QUIT "$1" && sleep 1; rm -rf "$2""#, "watcher"])
            .arg(server.id().to_string())
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: Ctrl-C at the terminal must not end the watcher before its work.
            .process_group(0)
            .spawn();
        match watcher {
            Ok(mut watcher) => {
                let leash = watcher.stdin.take();
                Ok(Self { server, watcher, leash })
            }
            Err(source) => {
                let _ = server.kill();
                let _ = server.wait();
                Err(Error::Io { action: "start the watcher".to_owned(), source })
            }
        }
    }

    fn stop(&mut self) {
        // SIGQUIT is PostgreSQL's immediate shutdown; the standard library alone can only send SIGKILL, which would leave
        // the server's children behind for a moment.
        if matches!(self.server.try_wait(), Ok(None)) {
            let asked = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).stderr(Stdio::null()).status();
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

/// The user to start PostgreSQL as: none when this process is not root, else `postgres` or `nobody`.
fn other_user() -> Result<Option<u32>, Error> {
    if user_id(None) != Some(0) {
        return Ok(None);
    }
    ["postgres", "nobody"].into_iter().find_map(|name| user_id(Some(name))).map(Some).ok_or(Error::NoOtherUser)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_crash_with_what_was_committed() -> Result<(), Box<dyn std::error::Error>> {
        let Some(installation) = installations().pop() else {
            assert!(std::env::var_os("CROSSFADE_REQUIRE_ENGINES").is_none(), "no PostgreSQL was found: run scripts/setup-servers.sh");
            return Ok(());
        };
        let mut server = Server::start(&installation)?;
        let folder = server.folder.clone();
        let mut session = Session::connect(&server.address("postgres"))?;
        session.run("set synchronous_commit = on")?;
        session.run("create table kept (n int)")?;
        session.run("insert into kept values (1)")?;
        session.run("begin")?;
        session.run("insert into kept values (2)")?;
        server.kill_hard();
        assert!(session.run("commit").is_err());
        server.restart()?;
        let mut session = Session::connect(&server.address("postgres"))?;
        assert_eq!(session.value("select array_agg(n) from kept")?.as_deref(), Some("{1}"));
        let refused = session.run("select 1 / 0").err().and_then(|failure| failure.code);
        assert_eq!(refused.as_deref(), Some("22012"));
        session.run("do $$ begin raise notice 'seen'; end $$")?;
        assert_eq!(session.take_notices().pop().map(|notice| notice.message).as_deref(), Some("seen"));
        drop(server);
        assert!(!folder.exists());
        Ok(())
    }
}
