//! Opening connections: pragmas, file mode, and whose file it is.

use super::SqliteOptions;
use super::fault::Fault;
use crate::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// `kurs` in ASCII, in the header of every database of this program.
pub(super) const APPLICATION_ID: i64 = 0x6b75_7273;

/// Virtual machine steps between two looks at the time.
const STEPS_PER_LOOK: i32 = 10_000;

/// Where the database lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In this process; gone with it.
    Memory,
    /// In a file with its `-wal` and `-shm` beside it.
    File(PathBuf),
}

impl Place {
    pub(super) fn of(path: &Path) -> Self {
        if path == Path::new(":memory:") {
            Self::Memory
        } else {
            Self::File(path.to_owned())
        }
    }
}

/// A connection and the file it was opened on.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    place: Place,
    file: Option<FileId>,
}

/// Device and inode.
type FileId = (u64, u64);

impl Opened {
    /// True when the file was removed or replaced under the connection. SQLite goes on writing
    /// into the removed file and calls that a success; nothing of it would be found again.
    pub(super) fn lost_its_file(&self) -> bool {
        self.file.is_some() && self.file != file_id(&self.place)
    }
}

#[cfg(unix)]
fn file_id(place: &Place) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    match place {
        Place::Memory => None,
        Place::File(path) => {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.dev(), metadata.ino()))
        }
    }
}

#[cfg(not(unix))]
fn file_id(_: &Place) -> Option<FileId> {
    None
}

/// Opens the writing connection and makes the file if there is none.
pub(super) fn create(place: &Place, options: &SqliteOptions) -> Result<Opened, Fault> {
    if let Place::File(path) = place {
        touch(path)?;
    }
    open_writer(place, options)
}

/// Opens the writing connection of a file that must be there: a database that vanished under a
/// running program is not silently replaced by an empty one.
pub(super) fn open_writer(place: &Place, options: &SqliteOptions) -> Result<Opened, Fault> {
    let opened = open(place, options)?;
    let connection = &opened.connection;
    patient(options, || {
        check_owner(connection)?;
        // Takes effect only on an empty file, before the first table: freed pages can be given
        // back in small steps instead of by one long VACUUM.
        connection.pragma_update(None, "auto_vacuum", 2)?;
        if matches!(place, Place::File(_)) {
            let mode: String =
                connection
                    .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
            if mode != "wal" {
                return Err(Fault::Told(StoreError::Unavailable(format!(
                    "the file system does not allow write-ahead logging (journal mode is {mode})"
                ))));
            }
        }
        Ok(())
    })?;
    // Acknowledged means durable: every commit waits for the disk.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    Ok(opened)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(place: &Place, options: &SqliteOptions) -> Result<Opened, Fault> {
    let opened = open(place, options)?;
    opened.connection.pragma_update(None, "query_only", true)?;
    Ok(opened)
}

fn open(place: &Place, options: &SqliteOptions) -> Result<Opened, Fault> {
    let file = file_id(place);
    let connection = match place {
        Place::Memory => Connection::open_in_memory()?,
        Place::File(path) => Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?,
    };
    connection.busy_timeout(options.busy_timeout)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(Opened {
        connection,
        place: place.clone(),
        file,
    })
}

/// Makes the file with a mode that lets only its owner read it. SQLite gives `-wal` and `-shm`
/// the mode of the file. A file that is there keeps the mode its owner chose.
fn touch(path: &Path) -> Result<(), Fault> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(Fault::Told(StoreError::Unavailable(format!(
            "cannot open {}: {error}",
            path.display()
        )))),
    }
}

/// Refuses the database of another program.
fn check_owner(connection: &Connection) -> Result<(), Fault> {
    let read_id = || -> Result<i64, Fault> {
        Ok(connection.pragma_query_value(None, "application_id", |row| row.get(0))?)
    };
    let id = read_id()?;
    if id == APPLICATION_ID {
        return Ok(());
    }
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    // Between the two readings another process may have made the schema; the id comes with it in
    // one commit, so who sees the tables sees the id now.
    if (id == 0 && tables == 0) || read_id()? == APPLICATION_ID {
        return Ok(());
    }
    Err(Fault::corrupt(
        "the file is the database of another program",
    ))
}

/// Tries again while others hold the lock. Switching to write-ahead logging is the one step for
/// which SQLite does not wait by itself.
fn patient<T>(
    options: &SqliteOptions,
    mut step: impl FnMut() -> Result<T, Fault>,
) -> Result<T, Fault> {
    let started = Instant::now();
    loop {
        match step() {
            Err(fault) if fault.is_busy() && started.elapsed() < options.busy_timeout => {
                std::thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
}

/// Runs `work` and ends its statements when they take longer than `limit`.
pub(super) fn within<T>(
    connection: &mut Connection,
    limit: Duration,
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let started = Instant::now();
    connection.progress_handler(STEPS_PER_LOOK, Some(move || started.elapsed() > limit))?;
    let outcome = work(connection);
    connection.progress_handler(0, None::<fn() -> bool>)?;
    outcome
}
