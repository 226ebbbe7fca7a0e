//! Connections: at most so many, each set up alike, none waited for without end.

use super::address::PostgresUrl;
use super::fault::Fault;
use super::names::KnownNames;
use super::{PostgresOptions, tls};
use crate::StoreError;
use deadpool_postgres::{
    GenericClient, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError,
    RecyclingMethod, Runtime, Timeouts,
};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// A connection on which nothing was heard for so long is asked whether it is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// A pool of connections to `url`. Opens none yet.
pub(super) fn open(
    url: &PostgresUrl,
    options: &PostgresOptions,
    names: &Arc<KnownNames>,
) -> Result<Pool, StoreError> {
    let mut config = url.config.clone();
    config
        .connect_timeout(options.connect_timeout)
        .keepalives(true)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES)
        .tcp_user_timeout(KEEPALIVE_IDLE);
    let connector = tls::connector(url)?;
    let manager_config = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(config, connector, manager_config);
    let set_up = set_up_statements(options);
    let names = Arc::clone(names);
    let hook = Hook::async_fn(move |client, _| {
        let set_up = set_up.clone();
        names.forget();
        Box::pin(async move {
            let client: &deadpool_postgres::ClientWrapper = client;
            client
                .batch_execute(&set_up)
                .await
                .map_err(HookError::Backend)
        })
    });
    Pool::builder(manager)
        .max_size(options.max_connections)
        .timeouts(Timeouts {
            wait: Some(options.statement_timeout),
            create: Some(options.connect_timeout),
            recycle: Some(options.connect_timeout),
        })
        .runtime(Runtime::Tokio1)
        .post_create(hook)
        .build()
        .map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// What every connection is told first. A commit that is acknowledged is on disk, whatever the
/// settings of role or database say; who asks for more, such as `remote_apply`, keeps it.
fn set_up_statements(options: &PostgresOptions) -> String {
    let limit_ms = options.statement_timeout.as_millis();
    format!(
        "SET statement_timeout = {limit_ms};
         SET idle_in_transaction_session_timeout = {limit_ms};
         SET lock_timeout = {limit_ms};
         SET timezone = 'UTC';
         SELECT set_config('synchronous_commit', 'on', false)
         WHERE current_setting('synchronous_commit') IN ('off', 'local');"
    )
}

/// A connection of the pool.
pub(super) async fn take(pool: &Pool) -> Result<Object, StoreError> {
    pool.get().await.map_err(|error| match error {
        PoolError::Timeout(what) => StoreError::Unavailable(format!(
            "no connection to PostgreSQL in time (waiting to {what:?})"
        )),
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            match Fault::from(error).tell() {
                // Nothing that happens while a connection is made is the fault of a row.
                StoreError::Corrupt(why) => StoreError::Unavailable(why),
                told => told,
            }
        }
        error => StoreError::Unavailable(error.to_string()),
    })
}

/// `work`, unless it takes longer than `limit`: a server that vanished says nothing.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or(Err(Fault::TooLate))
}

/// The rows of a query, prepared once per connection.
pub(super) async fn query(
    client: &impl GenericClient,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, Fault> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query(&statement, parameters).await?)
}

/// The only row of a query, if there is one.
pub(super) async fn query_opt(
    client: &impl GenericClient,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Option<Row>, Fault> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query_opt(&statement, parameters).await?)
}

/// How many rows a statement changed.
pub(super) async fn execute(
    client: &impl GenericClient,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<u64, Fault> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.execute(&statement, parameters).await?)
}
