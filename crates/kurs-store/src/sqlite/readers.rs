//! Connections that only read, each used by one query at a time on a blocking thread.

use super::SqliteOptions;
use super::connection::{self, Opened, Place};
use super::fault::Fault;
use super::writer::check_schema;
use crate::StoreError;
use parking_lot::Mutex;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::Semaphore;

/// Hands out connections, and opens them as they are needed.
#[derive(Debug)]
pub(super) struct Readers {
    places: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Opened>>>,
    place: Place,
    options: SqliteOptions,
    schema_is_right: Arc<AtomicBool>,
}

impl Readers {
    pub(super) fn new(
        place: Place,
        options: SqliteOptions,
        schema_is_right: Arc<AtomicBool>,
    ) -> Self {
        Self {
            places: Arc::new(Semaphore::new(options.readers_max)),
            idle: Arc::new(Mutex::new(Vec::new())),
            place,
            options,
            schema_is_right,
        }
    }

    /// Runs one query. `any_schema`: also when the schema is not this program's.
    pub(super) async fn run<T, F>(&self, any_schema: bool, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let limit = self.options.statement_limit;
        let waiting = Arc::clone(&self.places).acquire_owned();
        let permit = match tokio::time::timeout(limit, waiting).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(StoreError::Unavailable("the store has ended".to_owned())),
            Err(_) => {
                return Err(StoreError::Unavailable(
                    "too many queries at once".to_owned(),
                ));
            }
        };
        let idle = Arc::clone(&self.idle);
        let place = self.place.clone();
        let options = self.options.clone();
        let schema_is_right = Arc::clone(&self.schema_is_right);
        let task = tokio::task::spawn_blocking(move || {
            // Held until the query is over, also when the caller has gone.
            let _permit = permit;
            let reused = idle.lock().pop().filter(|opened| !opened.lost_its_file());
            let opened = match reused {
                Some(opened) => Ok(opened),
                None => connection::open_reader(&place, &options),
            };
            let mut opened = opened.map_err(|fault| fault.tell())?;
            let outcome = connection::within(&mut opened.connection, limit, |connection| {
                if !any_schema {
                    check_schema(connection, &schema_is_right)?;
                }
                query(connection)
            });
            let is_fit = opened.connection.is_autocommit()
                && !outcome.as_ref().is_err_and(Fault::breaks_connection);
            if is_fit {
                idle.lock().push(opened);
            }
            outcome.map_err(|fault| fault.tell())
        });
        task.await.unwrap_or_else(|error| {
            Err(StoreError::Unavailable(format!("the query ended: {error}")))
        })
    }
}
