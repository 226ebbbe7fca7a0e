//! Connections to the server and their time limits.

use crate::keys::Keys;
use crate::{RedisOptions, value};
use kurs_bus::{Backoff, BusCounters};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind};
use redis::{RedisError, TlsCertificates, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Longest wait for an ordinary answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(3);
/// Time of silence after which the system asks whether the other end is still there.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// How long the server holds a read for which there is nothing.
pub(crate) const BLOCK: Duration = Duration::from_secs(1);
/// First bound of the pause before a next attempt; it doubles with each.
const RETRY_MIN: Duration = Duration::from_millis(250);
/// Last bound. Low, so that a server that is back is found within a second.
const RETRY_MAX: Duration = Duration::from_secs(1);

/// What all tasks of a bus share.
#[derive(Debug)]
pub(crate) struct Link {
    options: RedisOptions,
    pub(crate) keys: Keys,
    /// For logs, without the log-in.
    pub(crate) server: String,
    pub(crate) counters: Arc<BusCounters>,
    /// Its sender is gone when the bus has ended.
    ended: watch::Receiver<()>,
}

/// A connection that has answered already.
pub(crate) struct Connected {
    pub(crate) connection: MultiplexedConnection,
    /// The server's clock, milliseconds since 1970, a little before now.
    pub(crate) server_ms: u64,
}

impl Link {
    pub(crate) fn new(
        options: RedisOptions,
        counters: Arc<BusCounters>,
        ended: watch::Receiver<()>,
    ) -> Self {
        Self {
            keys: Keys::new(&options.config.prefix),
            server: options.address.to_string(),
            counters,
            options,
            ended,
        }
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Result<Connected, RedisError> {
        let patience = self.options.config.connect_timeout();
        match tokio::time::timeout(patience, self.open(patience)).await {
            Ok(opened) => opened,
            Err(_) => Err(RedisError::from((ErrorKind::Io, "no answer in time"))),
        }
    }

    async fn open(&self, patience: Duration) -> Result<Connected, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(patience))
            .set_response_timeout(Some(ANSWER));
        let client = self.client().await?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let time = redis::cmd("TIME");
        let told = ask(&mut connection, &time).await?;
        let server_ms = value::time_ms(told).ok_or_else(|| unexpected("TIME"))?;
        Ok(Connected {
            connection,
            server_ms,
        })
    }

    /// Made for each connection, so that a certificate that was replaced counts at once.
    async fn client(&self) -> Result<Client, RedisError> {
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE);
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(keepalive);
        let info = self.options.address.info.clone();
        let settings = info
            .redis_settings()
            .clone()
            .set_lib_name(&self.options.name, env!("CARGO_PKG_VERSION"));
        let info = info.set_tcp_settings(tcp).set_redis_settings(settings);
        let (ConnectionAddr::TcpTls { .. }, Some(file)) =
            (info.addr(), &self.options.config.ca_file)
        else {
            return Client::open(info);
        };
        let Ok(pem) = tokio::fs::read(file).await else {
            let problem = (ErrorKind::InvalidClientConfig, "ca_file cannot be read");
            return Err(RedisError::from(problem));
        };
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: Some(pem),
        };
        Client::build_with_tls(info, certificates)
    }

    /// Updates that may wait for a subscriber here.
    pub(crate) fn buffer(&self) -> usize {
        self.options.config.buffer.max(1)
    }

    /// Pauses between attempts. `salt` keeps the tasks of a process apart.
    pub(crate) fn backoff(&self, salt: u64) -> Backoff {
        let seed = self.options.seed.wrapping_add(salt);
        Backoff::new(seed, RETRY_MIN, RETRY_MAX)
    }

    /// Runs a task's work until the bus ends.
    pub(crate) async fn until_ended(self: Arc<Self>, work: impl Future<Output = ()>) {
        let mut ended = self.ended.clone();
        tokio::select! {
            () = work => {}
            // Nothing is ever sent: it only returns when the sender is gone.
            _ = ended.changed() => {}
        }
    }
}

/// An answer that no server of a known version gives.
pub(crate) fn unexpected(to: &'static str) -> RedisError {
    RedisError::from((ErrorKind::UnexpectedReturnType, to))
}

/// What is wrong in a few words, without anything of the log-in or of data in it.
pub(crate) fn complaint(error: &RedisError) -> String {
    match (error.kind(), error.code()) {
        (ErrorKind::InvalidClientConfig, _) => error.to_string(),
        (_, Some(code)) => format!("{} ({code:.32})", error.category()),
        (_, None) => error.category().to_owned(),
    }
}

/// Like [`MultiplexedConnection::send_packed_command`], with errors of the server as errors.
pub(crate) async fn ask(
    connection: &mut MultiplexedConnection,
    command: &redis::Cmd,
) -> Result<Value, RedisError> {
    connection
        .send_packed_command(command)
        .await?
        .extract_error()
}
