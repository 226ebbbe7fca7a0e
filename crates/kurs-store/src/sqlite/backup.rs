//! A copy of the database while it is written to, and the way back.

use super::SqliteOptions;
use super::connection::{self, APPLICATION_ID, Place};
use super::fault::Fault;
use super::migrate;
use super::turn::{NoTurn, Turn};
use crate::StoreError;
use kurs_core::Wall;
use rusqlite::types::FromSql;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// What is in a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Its size, bytes.
    pub bytes: u64,
    /// Its schema version.
    pub schema: u32,
}

/// Where a copy is written before it is whole.
#[must_use]
pub fn part_of(to: &Path) -> PathBuf {
    beside(to, ".part")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Copies the database `from` into the new file `to`, as of one moment, compacted, while others
/// go on reading and writing. `to` is there when this returns, whole and on the disk, or not at
/// all. Blocks for as long as it takes.
///
/// # Errors
/// [`StoreError::Unavailable`] when a file cannot be read or written, [`StoreError::Corrupt`]
/// when what was copied is damaged.
pub fn backup(from: &Path, to: &Path) -> Result<Copied, StoreError> {
    if !from.exists() {
        let why = format!("there is no database {}", from.display());
        return Err(StoreError::Unavailable(why));
    }
    let part = part_of(to);
    let made = copy(from, &part).and_then(|()| {
        let copied = examine(&part)?;
        put_in_place(&part, to)?;
        Ok(copied)
    });
    if made.is_err() {
        // Half a copy is of no use to anybody.
        let _ = fs::remove_file(&part);
    }
    made.map_err(|fault| fault.tell())
}

fn copy(from: &Path, part: &Path) -> Result<(), Fault> {
    make_private(part)?;
    let place = Place::of(from);
    let opened = connection::open_reader(&place, &SqliteOptions::default())?;
    // It writes into the copy alone.
    opened.connection.pragma_update(None, "query_only", false)?;
    let name = part.to_str().ok_or_else(|| {
        Fault::Told(StoreError::Unavailable(
            "the name of the copy is not UTF-8".to_owned(),
        ))
    })?;
    // One read transaction: the copy is of one moment, and writers are not held up.
    opened.connection.execute("VACUUM INTO ?1", [name])?;
    Ok(())
}

/// An empty file that only its owner can read, whatever was there.
fn make_private(part: &Path) -> Result<(), Fault> {
    let failed = |error: io::Error| cannot("write", part, &error);
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(part).map_err(failed)?;
    Ok(())
}

fn in_use(path: &Path) -> StoreError {
    StoreError::Unavailable(format!("{} is in use: stop kurs first", path.display()))
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Fault {
    let why = format!("cannot {what} {}: {error}", path.display());
    Fault::Told(StoreError::Unavailable(why))
}

/// Whose database it is, whether it is whole, and its version.
fn examine(path: &Path) -> Result<Copied, Fault> {
    let metadata = fs::metadata(path).map_err(|error| cannot("read", path, &error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    let foreign = || Fault::corrupt(format!("{} is not a database of kurs", path.display()));
    let id = database.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0));
    if id.map_err(|_| foreign())? != APPLICATION_ID {
        return Err(foreign());
    }
    let verdict: String = database
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(|error| Fault::corrupt(format!("{} is damaged: {error}", path.display())))?;
    if verdict != "ok" {
        // It tells of every page; the first says enough.
        let first = verdict.lines().find(|line| !line.starts_with("***"));
        return Err(Fault::corrupt(format!(
            "{} is damaged: {}",
            path.display(),
            first.unwrap_or("quick_check failed")
        )));
    }
    Ok(Copied {
        bytes: metadata.len(),
        schema: migrate::found(&database)?,
    })
}

/// The file under its name, and both on the disk.
fn put_in_place(part: &Path, to: &Path) -> Result<(), Fault> {
    let failed = |error: io::Error| cannot("write", to, &error);
    File::open(part)
        .and_then(|file| file.sync_all())
        .map_err(failed)?;
    fs::rename(part, to).map_err(failed)?;
    let folder = match to.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What is in the database now.
    pub copied: Copied,
    /// Where the database went that was there before.
    pub set_aside: Option<PathBuf>,
}

/// Puts a copy in the place of the database `to`, which is set aside under a name with `now` in
/// it. The Writer's epochs go on from the greater of both: what was published since the copy was
/// made keeps its numbers. Blocks for as long as it takes.
///
/// # Errors
/// [`StoreError::Unavailable`] while a kurs uses the database, or when a file cannot be read or
/// written; [`StoreError::Corrupt`] when the copy is damaged or of another program;
/// [`StoreError::Schema`] when a newer kurs made it. Then the database is as it was.
pub fn restore(copy: &Path, to: &Path, now: Wall) -> Result<Restored, StoreError> {
    let turn = Turn::of(Some(to));
    turn.take().map_err(|why| match why {
        NoTurn::Taken => in_use(to),
        why @ NoTurn::Disk(_) => why.into(),
    })?;
    let part = beside(to, ".restoring");
    let made = bring_back(copy, to, &part, now);
    if made.is_err() {
        let _ = fs::remove_file(&part);
    }
    made.map_err(|fault| fault.tell())
}

fn bring_back(copy: &Path, to: &Path, part: &Path, now: Wall) -> Result<Restored, Fault> {
    let copied = examine(copy)?;
    let needed = migrate::needed(migrate::MIGRATIONS);
    if copied.schema > needed {
        return Err(Fault::Told(StoreError::Schema {
            found: copied.schema,
            needed,
        }));
    }
    make_private(part)?;
    fs::copy(copy, part).map_err(|error| cannot("write", part, &error))?;
    let mut set_aside = None;
    if to.exists() {
        let epochs = close(to)?;
        let database = Connection::open(part)?;
        epochs.go_on_in(&database)?;
        drop(database);
        let aside = beside(to, &format!(".before-{}", now.unix_seconds()));
        // A second name first: at no moment is there no database.
        fs::hard_link(to, &aside)
            .or_else(|_| fs::copy(to, &aside).map(drop))
            .map_err(|error| cannot("write", &aside, &error))?;
        set_aside = Some(aside);
    }
    put_in_place(part, to)?;
    Ok(Restored { copied, set_aside })
}

/// What must not be forgotten with a database that is replaced.
#[derive(Debug, Default)]
struct Epochs {
    /// Shards with the epoch they have come to.
    present: Vec<[i64; 2]>,
    /// Rows of `ended_epochs`: what waits in a spool is still of one of them.
    ended: Vec<[Option<i64>; 4]>,
}

impl Epochs {
    fn of(database: &Connection) -> Self {
        // A file of another version or a damaged one has none to go on from.
        Self {
            present: all(database, "SELECT shard, epoch FROM lease").unwrap_or_default(),
            ended: all(
                database,
                "SELECT shard, epoch, heard_seq, ended_at FROM ended_epochs",
            )
            .unwrap_or_default(),
        }
    }

    fn go_on_in(&self, database: &Connection) -> Result<(), Fault> {
        for [shard, epoch] in &self.present {
            database.execute(
                "INSERT INTO lease (shard, epoch) VALUES (?1, ?2)
                 ON CONFLICT (shard) DO UPDATE SET epoch = max(epoch, excluded.epoch)",
                [shard, epoch],
            )?;
        }
        // A copy of an earlier version has no place for them.
        let insert = "INSERT INTO ended_epochs (shard, epoch, heard_seq, ended_at)
                      VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        if let Ok(mut insert) = database.prepare(insert) {
            for row in &self.ended {
                insert.execute(*row)?;
            }
        }
        Ok(())
    }
}

/// All rows of a query, each of so many numbers.
fn all<T: FromSql + Copy + Default, const COLUMNS: usize>(
    database: &Connection,
    sql: &str,
) -> rusqlite::Result<Vec<[T; COLUMNS]>> {
    let mut statement = database.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let mut columns = [T::default(); COLUMNS];
        for (place, column) in columns.iter_mut().enumerate() {
            *column = row.get(place)?;
        }
        Ok(columns)
    })?;
    rows.collect()
}

/// Brings all of a database into its one file, and says which epochs it has come to.
fn close(path: &Path) -> Result<Epochs, Fault> {
    let database = Connection::open(path)?;
    let (busy, _, _): (i64, i64, i64) =
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    if busy != 0 {
        return Err(Fault::Told(in_use(path)));
    }
    let epochs = Epochs::of(&database);
    drop(database);
    for ending in ["-wal", "-shm"] {
        let log = beside(path, ending);
        match fs::metadata(&log) {
            Ok(metadata) if ending == "-wal" && metadata.len() > 0 => {
                return Err(Fault::Told(in_use(path)));
            }
            Ok(_) => fs::remove_file(&log).map_err(|error| cannot("remove", &log, &error))?,
            Err(_) => {}
        }
    }
    Ok(epochs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{all_pages, begin_epoch, everything, row};
    use crate::sqlite::SqliteStore;
    use crate::{Batch, Fence, Store};
    use kurs_core::Epoch;

    async fn filled(path: &Path, rows: u64) -> SqliteStore {
        let store = SqliteStore::open(path, SqliteOptions::default()).unwrap();
        store.migrate().await.unwrap();
        let rows = (0..rows).map(|seq| row("binance", seq, 1)).collect();
        store.append(rows).await.unwrap();
        store
    }

    async fn count(store: &SqliteStore) -> usize {
        all_pages(store, everything(1_000)).await.unwrap().len()
    }

    #[tokio::test]
    async fn a_copy_taken_while_writing_is_whole_and_of_one_moment() {
        let folder = tempfile::tempdir().unwrap();
        let (live, copy) = (folder.path().join("live.db"), folder.path().join("copy.db"));
        let store = std::sync::Arc::new(filled(&live, 2_000).await);
        let writing = {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move {
                // Two rows at once, or none.
                for n in 0..200 {
                    let seq = 10_000 + n * 2;
                    let both = vec![row("binance", seq, 2), row("binance", seq + 1, 2)];
                    store.append(both).await.unwrap();
                }
            })
        };
        let (from, to) = (live.clone(), copy.clone());
        let copied = tokio::task::spawn_blocking(move || backup(&from, &to))
            .await
            .unwrap()
            .unwrap();
        writing.await.unwrap();
        assert_eq!(count(&store).await, 2_400);
        assert_eq!(copied.bytes, fs::metadata(&copy).unwrap().len());
        assert!(!part_of(&copy).exists());
        let store = SqliteStore::open(&copy, SqliteOptions::default()).unwrap();
        let rows = count(&store).await;
        assert!((2_000..=2_400).contains(&rows) && rows % 2 == 0, "{rows}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&copy).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn a_restored_copy_has_its_rows_and_no_epoch_twice() {
        let folder = tempfile::tempdir().unwrap();
        let (live, copy) = (folder.path().join("live.db"), folder.path().join("copy.db"));
        let store = filled(&live, 10).await;
        assert_eq!(begin_epoch(&store, 0).await, Epoch(1));
        backup(&live, &copy).unwrap();
        begin_epoch(&store, 0).await;
        store.append(vec![row("binance", 99, 9)]).await.unwrap();
        let late = Batch {
            fence: Some(Fence {
                shard: 0,
                epoch: Epoch(1),
            }),
            ..Batch::of_rows(vec![row("binance", 100, 10)])
        };
        let refused = restore(&copy, &live, Wall::from_unix_seconds(7)).unwrap_err();
        assert!(refused.to_string().contains("is in use"), "{refused}");
        drop(store);

        let restored = restore(&copy, &live, Wall::from_unix_seconds(7)).unwrap();
        let aside = restored.set_aside.unwrap();
        assert!(aside.ends_with("live.db.before-7"), "{aside:?}");
        let store = SqliteStore::open(&live, SqliteOptions::default()).unwrap();
        assert_eq!(count(&store).await, 10);
        assert_eq!(begin_epoch(&store, 0).await, Epoch(3));
        // How an epoch ended that the copy knows nothing of is known.
        assert_eq!(store.salvage(late).await.unwrap().stored, 1);
        let before = SqliteStore::open(&aside, SqliteOptions::default()).unwrap();
        assert_eq!(count(&before).await, 11);
    }

    #[tokio::test]
    async fn what_is_no_copy_is_refused_and_the_database_stays() {
        let folder = tempfile::tempdir().unwrap();
        let live = folder.path().join("live.db");
        drop(filled(&live, 3).await);
        let foreign = folder.path().join("foreign.db");
        Connection::open(&foreign)
            .unwrap()
            .execute_batch("CREATE TABLE t (x)")
            .unwrap();
        let text = folder.path().join("text");
        fs::write(&text, "no database at all, but a longer text than a header").unwrap();
        let missing = folder.path().join("missing.db");
        for copy in [&foreign, &text, &missing] {
            let refused = restore(copy, &live, Wall(0));
            assert!(refused.is_err(), "{copy:?}");
        }
        assert!(backup(&missing, &folder.path().join("x.db")).is_err());
        let store = SqliteStore::open(&live, SqliteOptions::default()).unwrap();
        assert_eq!(count(&store).await, 3);
        assert!(!beside(&live, ".restoring").exists());
    }
}
