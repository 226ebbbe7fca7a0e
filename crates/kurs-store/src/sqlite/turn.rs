//! Whose turn it is to write: one Writer per file at a time, held by a lock that the system
//! releases when its process ends, however it ends.

use crate::StoreError;
use parking_lot::Mutex;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// Why the turn could not be taken.
#[derive(Debug)]
pub(super) enum NoTurn {
    /// Another Writer has it.
    Taken,
    /// The lock could not be tried.
    Disk(std::io::Error),
}

impl From<NoTurn> for StoreError {
    fn from(why: NoTurn) -> Self {
        Self::Unavailable(match why {
            NoTurn::Taken => {
                "another kurs writes to this database; this one waits until it ends".to_owned()
            }
            NoTurn::Disk(error) => format!("the lock of the Writer cannot be taken: {error}"),
        })
    }
}

/// The right to be the Writer of a file.
#[derive(Debug)]
pub(super) struct Turn {
    /// `None` in memory, which nobody shares.
    path: Option<PathBuf>,
    held: Mutex<Option<File>>,
}

impl Turn {
    /// Nobody's turn yet. The lock stands beside the database: SQLite locks that file itself.
    pub(super) fn of(database: Option<&Path>) -> Self {
        let path = database.map(|path| {
            let mut name = path.as_os_str().to_owned();
            name.push("-writer");
            PathBuf::from(name)
        });
        Self {
            path,
            held: Mutex::new(None),
        }
    }

    /// Takes the turn, or keeps it.
    ///
    /// # Errors
    /// [`NoTurn::Taken`] while another Writer has it, [`NoTurn::Disk`].
    pub(super) fn take(&self) -> Result<(), NoTurn> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let mut held = self.held.lock();
        if held.is_some() {
            return Ok(());
        }
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(NoTurn::Disk)?;
        match file.try_lock() {
            Ok(()) => *held = Some(file),
            Err(TryLockError::WouldBlock) => return Err(NoTurn::Taken),
            Err(TryLockError::Error(error)) => return Err(NoTurn::Disk(error)),
        }
        Ok(())
    }
}
