//! Throw-away PostgreSQL servers.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Error, Running, candidate_folders, end_of, fresh_folder, io_error, said, user_id};
use crate::engine::postgres::{Address, Session, socket_path};

/// The port in the socket's name. The folder is private, so it never collides.
const PORT: u16 = 5432;

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
    for programs in candidate_folders("CROSSFADE_POSTGRES_BIN", &["/usr/lib/postgresql"]) {
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
    settings: Vec<String>,
    folder: PathBuf,
    owner: Option<u32>,
    process: Option<Running>,
}

impl Server {
    /// Makes a fresh cluster in a folder of its own and starts it: a Unix socket only, every local role trusted, nothing
    /// synced to disk.
    ///
    /// # Errors
    /// When the folder can't be made, `initdb` or the server fails, or no connection succeeds within a minute.
    pub fn start(installation: &Installation) -> Result<Self, Error> {
        Self::start_with(installation, &[])
    }

    /// The same with further settings, such as `wal_level=logical`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(installation: &Installation, settings: &[&str]) -> Result<Self, Error> {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let owner = other_user()?;
        let folder = fresh_folder(owner)?;
        let mut server = Self { installation: installation.clone(), settings, folder, owner, process: None };
        let data = server.data();
        let output = server
            .command("initdb")
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .map_err(io_error("start initdb"))?;
        if !output.status.success() {
            return Err(Error::Program { program: "initdb".to_owned(), output: said(&output) });
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
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let server = command.stdout(log).stderr(also).spawn().map_err(io_error("start postgres"))?;
        // SIGQUIT is PostgreSQL's immediate shutdown; SIGKILL would leave the server's children behind for a moment.
        let mut running = Running::watch(server, &self.folder, "QUIT")?;
        running.wait_until_ready("postgres", &log_path, || {
            // Connecting before the socket is there would only make the log longer.
            socket_path(&self.folder, PORT).exists().then(|| Session::connect(&self.address("postgres")).map(drop))
        })?;
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

/// The user to start PostgreSQL as: none when this process is not root, else `postgres` or `nobody`.
fn other_user() -> Result<Option<u32>, Error> {
    if user_id(None) != Some(0) {
        return Ok(None);
    }
    ["postgres", "nobody"].into_iter().find_map(|name| user_id(Some(name))).map(Some).ok_or(Error::NoOtherUser)
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
