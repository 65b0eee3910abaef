//! Throw-away MySQL and MariaDB servers.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Error, Running, candidate_folders, end_of, fresh_folder, io_error, said, user_id};
use crate::engine::mysql::{Address, Session};

/// Which of the two families a server belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flavour {
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
}

impl Flavour {
    /// The name of the server's program.
    fn server(self) -> &'static str {
        match self {
            Flavour::Mysql => "mysqld",
            Flavour::Mariadb => "mariadbd",
        }
    }

    /// The name of its client's program.
    fn client(self) -> &'static str {
        match self {
            Flavour::Mysql => "mysql",
            Flavour::Mariadb => "mariadb",
        }
    }
}

/// The programs of one MySQL or MariaDB installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The folder with the server's program.
    pub programs: PathBuf,
    /// MySQL or MariaDB.
    pub flavour: Flavour,
    /// The version's first two numbers, such as `(10, 11)`.
    pub version: (u32, u32),
}

impl Installation {
    /// Its command-line client: beside the server, or where the system keeps what everybody may run.
    pub fn client(&self) -> Option<PathBuf> {
        let name = self.flavour.client();
        [self.programs.join(name), self.programs.join("../bin").join(name)].into_iter().find(|program| program.is_file())
    }

    /// The folder with a server's messages and set-up scripts, and the folder above it that the server calls its base.
    fn share(&self) -> Option<(PathBuf, PathBuf)> {
        let above = self.programs.parent()?;
        [above.join("usr"), above.to_owned()].into_iter().find_map(|base| {
            ["share/mysql", "share/mariadb", "share"]
                .into_iter()
                .map(|share| base.join(share))
                .find(|share| share.join("english/errmsg.sys").is_file())
                .map(|share| (base.clone(), share))
        })
    }
}

/// All MySQL and MariaDB installations of this machine, one a version, MySQL first, oldest first.
///
/// Looked for in the folders of `CROSSFADE_MYSQL_BIN` (separated by colons), in `PATH`, in `/usr/sbin`, and in `*/bin` below
/// `CROSSFADE_SERVERS`, `~/.cache/crossfade/servers` and `/var/cache/crossfade/servers`. The first one of a version wins.
pub fn installations() -> Vec<Installation> {
    let mut found: Vec<Installation> = Vec::new();
    let mut folders = candidate_folders("CROSSFADE_MYSQL_BIN", &[]);
    folders.push(PathBuf::from("/usr/sbin"));
    for programs in folders {
        for flavour in [Flavour::Mysql, Flavour::Mariadb] {
            let program = programs.join(flavour.server());
            if !program.is_file() {
                continue;
            }
            let Some(version) = version(&program, flavour) else { continue };
            if !found.iter().any(|known| known.flavour == flavour && known.version == version) {
                found.push(Installation { programs: programs.clone(), flavour, version });
            }
        }
    }
    found.sort_by_key(|installation| (installation.flavour, installation.version));
    found
}

/// Reads `mysqld  Ver 9.7.4 for Linux …` and `mariadbd  Ver 10.11.18-MariaDB-… for …`.
fn version(program: &Path, flavour: Flavour) -> Option<(u32, u32)> {
    let output = Command::new(program).args(["--no-defaults", "--version"]).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // MariaDB's packages have a `mysqld` as well.
    if text.contains("MariaDB") != (flavour == Flavour::Mariadb) {
        return None;
    }
    let numbers = text.split("Ver ").nth(1)?;
    let mut parts = numbers.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// A running throw-away server. Dropping it stops the server and removes its folder.
#[derive(Debug)]
pub struct Server {
    installation: Installation,
    settings: Vec<String>,
    folder: PathBuf,
    process: Option<Running>,
}

impl Server {
    /// Makes a fresh data directory in a folder of its own and starts a server on it: a Unix socket only, the account `root`
    /// without a password, UTF-8, no binary log, and no care for a crash of the machine.
    ///
    /// # Errors
    /// When the folder can't be made, the server fails, or no connection succeeds within a minute.
    pub fn start(installation: &Installation) -> Result<Self, Error> {
        Self::start_with(installation, &[])
    }

    /// The same with further settings, such as `--performance-schema=ON`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(installation: &Installation, settings: &[&str]) -> Result<Self, Error> {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { installation: installation.clone(), settings, folder: fresh_folder(None)?, process: None };
        match installation.flavour {
            Flavour::Mysql => server.initialize()?,
            Flavour::Mariadb => server.bootstrap()?,
        }
        server.restart()?;
        Ok(server)
    }

    /// The installation that it runs.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Where a database of it is.
    pub fn address(&self, database: Option<&str>) -> Address {
        Address { socket: self.socket(), database: database.map(str::to_owned), user: "root".to_owned() }
    }

    /// Stops it as a crash would: the next start recovers from the log.
    pub fn kill_hard(&mut self) {
        if let Some(mut running) = self.process.take() {
            running.stop();
        }
    }

    /// Starts it (again) on the data that is there and waits until it accepts a connection. Does nothing when it runs.
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
        let mut command = self.command();
        command.arg(format!("--socket={}", self.socket().display()));
        command.arg(format!("--pid-file={}", self.folder.join("pid").display()));
        command.args([
            "--skip-networking",
            "--character-set-server=utf8mb4",
            "--secure-file-priv=",
            "--max-connections=200",
            "--innodb-buffer-pool-size=64M",
            "--innodb-flush-log-at-trx-commit=0",
            "--performance-schema=OFF",
        ]);
        // Two servers would give files of theirs one name.
        command.arg(format!("--tmpdir={}", self.folder.display()));
        match self.installation.flavour {
            Flavour::Mysql => command.args(["--mysqlx=OFF", "--skip-log-bin", "--innodb-doublewrite=OFF"]),
            Flavour::Mariadb => command.args(["--innodb-doublewrite=0"]),
        };
        command.args(&self.settings);
        let server = command.stdout(log).stderr(also).spawn().map_err(io_error("start the server"))?;
        // One process without children, which can't do anything about this signal.
        let mut running = Running::watch(server, &self.folder, "KILL")?;
        let socket = self.socket();
        running.wait_until_ready(self.installation.flavour.server(), &log_path, || {
            socket.exists().then(|| Session::connect(&self.address(None)).map(drop))
        })?;
        self.process = Some(running);
        Ok(())
    }

    /// The end of the server's log, for a failure's report.
    pub fn log(&self) -> String {
        end_of(&self.folder.join("log"))
    }

    /// MySQL makes its own system tables.
    fn initialize(&self) -> Result<(), Error> {
        let output = self.command().arg("--initialize-insecure").output().map_err(io_error("start mysqld"))?;
        if !output.status.success() {
            return Err(Error::Program { program: "mysqld --initialize-insecure".to_owned(), output: said(&output) });
        }
        Ok(())
    }

    /// MariaDB's system tables are made by scripts that its packages bring along.
    fn bootstrap(&self) -> Result<(), Error> {
        let share = self.installation.share().map(|(_, share)| share).unwrap_or_else(|| PathBuf::from("/usr/share/mysql"));
        let mut script =
            b"create database if not exists mysql;\nuse mysql;\nset @auth_root_socket = null;\nset @current_hostname = 'localhost';\n"
                .to_vec();
        for part in ["system_tables", "performance_tables", "system_tables_data"] {
            // The prefix was renamed with version 11.
            let file = ["mariadb", "mysql"].map(|prefix| share.join(format!("{prefix}_{part}.sql")));
            let file = file.iter().find(|file| file.is_file()).unwrap_or(&file[0]);
            script.extend(fs::read(file).map_err(io_error(&format!("read {}", file.display())))?);
            script.push(b'\n');
        }
        fs::create_dir(self.data()).map_err(io_error("make the data directory"))?;
        let mut command = self.command();
        command.arg(format!("--tmpdir={}", self.folder.display()));
        command.args(["--bootstrap", "--enforce-storage-engine="]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(io_error("start mariadbd"))?;
        let input = child.stdin.take();
        // The server says little while it reads, so that neither side waits for the other.
        let written = input.map(|mut input| input.write_all(&script));
        let output = child.wait_with_output().map_err(io_error("watch mariadbd"))?;
        if !output.status.success() {
            return Err(Error::Program { program: "mariadbd --bootstrap".to_owned(), output: said(&output) });
        }
        written.transpose().map(|_| ()).map_err(io_error("write to mariadbd"))
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.installation.programs.join(self.installation.flavour.server()));
        command.stdin(Stdio::null()).current_dir(&self.folder).env("LC_ALL", "C");
        // First, as both servers insist.
        command.arg("--no-defaults");
        if let Some((base, share)) = self.installation.share() {
            command.arg(format!("--basedir={}", base.display())).arg(format!("--lc-messages-dir={}", share.display()));
            let plugins = base.join("lib/mysql/plugin");
            if plugins.is_dir() {
                command.arg(format!("--plugin-dir={}", plugins.display()));
            }
        }
        if user_id(None) == Some(0) {
            // Both refuse to run as root unless they are told to.
            command.arg("--user=root");
        }
        command.arg(format!("--datadir={}", self.data().display()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Connection as _;

    #[test]
    fn each_installation_survives_a_crash_with_what_was_committed() -> Result<(), Box<dyn std::error::Error>> {
        let found = installations();
        if std::env::var_os("CROSSFADE_REQUIRE_ENGINES").is_some() {
            assert!(
                found.iter().any(|installation| installation.flavour == Flavour::Mysql),
                "no MySQL was found: run scripts/setup-servers.sh"
            );
            assert!(found.iter().any(|installation| installation.flavour == Flavour::Mariadb), "no MariaDB was found");
        }
        for installation in found {
            let mut server = Server::start(&installation)?;
            let folder = server.folder.clone();
            let mut session = Session::connect(&server.address(None))?;
            session.run("create database kept")?;
            session.run("set global innodb_flush_log_at_trx_commit = 1")?;
            session.run("create table kept.numbers (n int, b varbinary(2))")?;
            session.run("insert into kept.numbers values (1, 0xff00)")?;
            session.run("start transaction")?;
            session.run("insert into kept.numbers values (2, null)")?;
            server.kill_hard();
            assert!(session.run("commit").is_err());
            server.restart()?;
            let mut session = Session::connect(&server.address(Some("kept")))?;
            let rows = session.run("select n, b, null from numbers")?.rows;
            assert_eq!(rows, [[Some("1".to_owned()), Some("0xFF00".to_owned()), None]]);
            let refused = session.run("insert into numbers values ('x', null)").err().and_then(|failure| failure.code);
            assert_eq!(refused.as_deref(), Some("1366"));
            session.run("drop table if exists nothing")?;
            assert_eq!(session.warnings()?.len(), 1);
            drop(server);
            assert!(!folder.exists());
        }
        Ok(())
    }
}
