//! The lock of runners of a file: the system's lock on a file beside it, which goes with the process that holds it. What that file
//! holds says who that is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// One connection's side of it.
pub(super) struct RunnerLock {
    path: PathBuf,
    name: String,
    held: Mutex<Option<File>>,
}

impl RunnerLock {
    /// The lock of a database file, for a connection of this name.
    pub(super) fn beside(database: &Path, name: &str) -> RunnerLock {
        let mut path = database.as_os_str().to_owned();
        path.push("-crossfade");
        RunnerLock { path: path.into(), name: name.to_owned(), held: Mutex::new(None) }
    }

    /// Takes it if it is free: whether it was.
    ///
    /// # Errors
    /// When the file can't be made.
    pub(super) fn take(&self) -> io::Result<bool> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return Ok(true);
        }
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&self.path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(why)) => return Err(why),
        }
        // Who held it before may have taken the file away since it was opened here.
        if !is_still_there(&file, &self.path)? {
            return Ok(false);
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let user = std::env::var("USER").unwrap_or_else(|_| "?".to_owned());
        let told = serde_json::json!({ "process": std::process::id(), "user": user, "name": self.name, "since": since });
        file.set_len(0)?;
        file.write_all(told.to_string().as_bytes())?;
        *held = Some(file);
        Ok(true)
    }

    /// Lets go of it.
    pub(super) fn release(&self) {
        let Some(file) = self.held.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        // While it is held, so that nobody else's is taken away. What can't be taken away is only left over.
        if cfg!(unix) {
            let _ = std::fs::remove_file(&self.path);
        }
        drop(file);
    }

    /// Who holds it, as JSON.
    pub(super) fn holder(&self) -> Option<String> {
        let file = File::open(&self.path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                io::read_to_string(file).ok().filter(|text| serde_json::from_str::<serde_json::Value>(text).is_ok())
            }
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }
}

impl Drop for RunnerLock {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(unix)]
fn is_still_there(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let own = file.metadata()?;
    Ok(std::fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())))
}

#[cfg(not(unix))]
fn is_still_there(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}
