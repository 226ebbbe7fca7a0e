//! The one thread that writes. Whatever waits is committed together, and every caller is
//! answered only after the commit, so that an answer means durable.

use super::connection::{self, Opened, Place};
use super::fault::Fault;
use super::names::Names;
use super::{SqliteOptions, migrate};
use crate::StoreError;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait; a caller beyond them waits for a place.
const JOBS_MAX: usize = 256;
/// Rows of one commit, about: a job is never split.
const GROUP_ROWS: usize = 1_000;
/// How long a caller waits for its answer. The work may still be done afterwards, which no
/// repeat harms.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for a migration, which may have to wait for another one and rewrite tables.
const PATIENCE_MIGRATION: Duration = Duration::from_secs(600);

/// The sending side: hands jobs to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// A piece of work with its answer.
struct Job {
    kind: Kind,
    rows: usize,
    work: Box<dyn Work>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Shares a transaction with others.
    Grouped,
    /// Runs outside any transaction and needs the right schema.
    Alone,
    /// Runs outside any transaction, whatever the schema.
    Maintenance,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Job")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

/// Work whose result type is forgotten.
trait Work: Send {
    fn apply(&mut self, connection: &Connection, names: &mut Names) -> Result<(), Fault>;
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Typed<F, T> {
    /// Gone once it ran.
    act: Option<F>,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Work for Typed<F, T>
where
    F: FnOnce(&Connection, &mut Names) -> Result<T, Fault> + Send,
    T: Send,
{
    fn apply(&mut self, connection: &Connection, names: &mut Names) -> Result<(), Fault> {
        if let Some(act) = self.act.take() {
            self.result = Some(act(connection, names)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        let answer = outcome.and_then(|()| result.ok_or_else(ended));
        // The caller may have lost patience; the work is done all the same.
        let _ = reply.send(answer);
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("the writing thread has ended".to_owned())
}

impl Writer {
    /// Starts the thread on an open connection.
    pub(super) fn start(
        opened: Opened,
        place: Place,
        options: SqliteOptions,
        schema_is_right: Arc<AtomicBool>,
    ) -> Result<Self, StoreError> {
        let (jobs, waiting) = mpsc::channel(JOBS_MAX);
        let session = Session {
            opened: Some(opened),
            names: Names::default(),
            place,
            options,
            schema_is_right,
        };
        let thread = std::thread::Builder::new()
            .name("kurs-store".to_owned())
            .spawn(move || session.run(waiting))
            .map_err(|error| StoreError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Does `act` in the next commit, which it fills by `rows`.
    pub(super) async fn grouped<T, F>(&self, rows: usize, act: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &mut Names) -> Result<T, Fault> + Send + 'static,
    {
        self.hand_over(Kind::Grouped, rows, PATIENCE, act).await
    }

    /// Does `act` outside any transaction.
    pub(super) async fn alone<T, F>(&self, act: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        self.hand_over(Kind::Alone, 0, PATIENCE, move |connection, _| {
            act(connection)
        })
        .await
    }

    /// Does `act` outside any transaction, whatever the version of the schema.
    pub(super) async fn maintenance<T, F>(&self, act: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let act = move |connection: &Connection, _: &mut Names| act(connection);
        self.hand_over(Kind::Maintenance, 0, PATIENCE_MIGRATION, act)
            .await
    }

    async fn hand_over<T, F>(
        &self,
        kind: Kind,
        rows: usize,
        patience: Duration,
        act: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &mut Names) -> Result<T, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(Typed {
            act: Some(act),
            result: None,
            reply,
        });
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        let asked = async {
            jobs.send(Job { kind, rows, work })
                .await
                .map_err(|_| ended())?;
            answer.await.unwrap_or_else(|_| Err(ended()))
        };
        tokio::time::timeout(patience, asked)
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::Unavailable(format!(
                    "no answer from the disk within {patience:?}"
                )))
            })
    }
}

impl Drop for Writer {
    /// Waits for the running commit, so that the file is closed cleanly. Callers that still
    /// waited are told that the store has ended.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct Session {
    /// `None` after a failure that makes a connection unfit.
    opened: Option<Opened>,
    names: Names,
    place: Place,
    options: SqliteOptions,
    schema_is_right: Arc<AtomicBool>,
}

impl Session {
    fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        let mut held_back = None;
        while let Some(first) = held_back.take().or_else(|| waiting.blocking_recv()) {
            if first.kind != Kind::Grouped {
                self.run_alone(first);
                continue;
            }
            let mut rows = first.rows;
            let mut group = vec![first];
            while rows < GROUP_ROWS {
                match waiting.try_recv() {
                    Ok(job) if job.kind == Kind::Grouped && rows + job.rows <= GROUP_ROWS => {
                        rows += job.rows;
                        group.push(job);
                    }
                    Ok(job) => {
                        held_back = Some(job);
                        break;
                    }
                    Err(_) => break,
                }
            }
            self.run_group(group);
        }
    }

    fn run_alone(&mut self, mut job: Job) {
        let outcome = self.open().and_then(|()| match job.kind {
            Kind::Maintenance => Ok(()),
            Kind::Grouped | Kind::Alone => self.check_schema(),
        });
        let outcome = outcome.and_then(|()| {
            let Some(opened) = self.opened.as_mut() else {
                return Err(ended().into());
            };
            let connection = &mut opened.connection;
            let names = &mut self.names;
            match job.kind {
                // A migration takes as long as it takes.
                Kind::Maintenance => job.work.apply(connection, names),
                Kind::Grouped | Kind::Alone => {
                    connection::within(connection, self.options.statement_limit, |connection| {
                        job.work.apply(connection, names)
                    })
                }
            }
        });
        let outcome = outcome.map_err(|fault| self.failed(&fault));
        job.work.answer(outcome);
    }

    /// One transaction. A job that fails by itself is undone alone; when the transaction is
    /// lost, nobody's work is acknowledged.
    fn run_group(&mut self, group: Vec<Job>) {
        let mut outcomes = Vec::with_capacity(group.len());
        let mut group = group;
        match self.try_group(&mut group, &mut outcomes) {
            Ok(()) => {
                for (job, outcome) in group.into_iter().zip(outcomes) {
                    job.work.answer(outcome);
                }
            }
            Err(fault) => {
                let told = self.failed(&fault);
                for job in group {
                    job.work.answer(Err(told.clone()));
                }
            }
        }
    }

    fn try_group(
        &mut self,
        group: &mut [Job],
        outcomes: &mut Vec<Result<(), StoreError>>,
    ) -> Result<(), Fault> {
        self.open()?;
        self.check_schema()?;
        let Some(opened) = self.opened.as_ref() else {
            return Err(ended().into());
        };
        let connection = &opened.connection;
        let names = &mut self.names;
        run(connection, "BEGIN IMMEDIATE")?;
        for job in group {
            run(connection, "SAVEPOINT job")?;
            let outcome = job.work.apply(connection, names);
            match outcome {
                Ok(()) => {
                    run(connection, "RELEASE job")?;
                    outcomes.push(Ok(()));
                }
                Err(fault) if fault.ends_transaction() => return Err(fault),
                Err(fault) => {
                    run(connection, "ROLLBACK TO job")?;
                    run(connection, "RELEASE job")?;
                    names.forget();
                    outcomes.push(Err(fault.tell()));
                }
            }
        }
        run(connection, "COMMIT")
    }

    /// After a failure: no transaction stays open, nothing uncommitted stays known, and an
    /// unfit connection is closed. Returns what callers are told.
    fn failed(&mut self, fault: &Fault) -> StoreError {
        self.names.forget();
        let mut is_unfit = fault.breaks_connection();
        if let Some(opened) = self.opened.as_ref()
            && !opened.connection.is_autocommit()
        {
            is_unfit |= opened.connection.execute_batch("ROLLBACK").is_err();
        }
        let told = fault.tell();
        if is_unfit {
            tracing::warn!(error = %told, "the database connection failed and is opened again");
            self.opened = None;
        }
        told
    }

    fn open(&mut self) -> Result<(), Fault> {
        if self.opened.as_ref().is_some_and(Opened::lost_its_file) {
            tracing::warn!("the database file was removed or replaced; it is opened again");
            self.opened = None;
        }
        if self.opened.is_none() {
            if self.place == Place::Memory {
                return Err(Fault::Told(StoreError::Unavailable(
                    "the database in memory was lost".to_owned(),
                )));
            }
            self.names.forget();
            // It may be another file, say a restored copy.
            self.schema_is_right.store(false, Ordering::Release);
            self.opened = Some(connection::open_writer(&self.place, &self.options)?);
        }
        Ok(())
    }

    fn check_schema(&self) -> Result<(), Fault> {
        match self.opened.as_ref() {
            Some(opened) => check_schema(&opened.connection, &self.schema_is_right),
            None => Err(ended().into()),
        }
    }
}

/// Refuses to work on another version of the schema. Looked up until it is right once: a later
/// version that a newer program brings keeps older programs working for one release.
pub(super) fn check_schema(connection: &Connection, is_right: &AtomicBool) -> Result<(), Fault> {
    if is_right.load(Ordering::Acquire) {
        return Ok(());
    }
    migrate::check(connection, migrate::MIGRATIONS)?;
    is_right.store(true, Ordering::Release);
    Ok(())
}

fn run(connection: &Connection, sql: &str) -> Result<(), Fault> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
