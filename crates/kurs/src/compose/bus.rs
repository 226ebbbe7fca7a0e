//! The bus that is configured, and how its connection is told.

use crate::config::Config;
use crate::config::bus::Broker;
use crate::exit::{Exit, Failure};
use kurs_bus::memory::MemoryBus;
use kurs_bus::{Bus, Monitor, Options};
use kurs_nats::NatsBus;
use kurs_rabbitmq::RabbitBus;
use kurs_redis::RedisBus;
use kurs_telemetry::{Health, Status};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

/// Name of the check that tells whether the broker is reached.
const CHECK: &str = "broker";

/// Connects in the background: a broker that is late is waited for while everything else runs.
pub(super) fn open(
    config: &Config,
    name: &str,
    seed: u64,
    health: &Arc<Health>,
) -> Result<Arc<dyn Bus>, Failure> {
    let settings = &config.bus;
    let who = Who { name, seed };
    let opened: Arc<dyn Bus> = match settings.broker() {
        Some(Broker::Nats) => Arc::new(NatsBus::new(who.options(&settings.url, &settings.nats)?)),
        Some(Broker::Redis) => {
            Arc::new(RedisBus::new(who.options(&settings.url, &settings.redis)?))
        }
        Some(Broker::RabbitMq) => Arc::new(RabbitBus::new(
            who.options(&settings.url, &settings.rabbitmq)?,
        )),
        Some(Broker::Memory) | None => Arc::new(MemoryBus::new()),
    };
    if let Some(broker) = opened.broker() {
        tell(broker, health);
    }
    Ok(opened)
}

/// Who connects.
#[derive(Clone, Copy)]
pub(crate) struct Who<'a> {
    /// What the broker shows as the name of the connections.
    pub(crate) name: &'a str,
    /// Seed of the pauses between attempts.
    pub(crate) seed: u64,
}

impl Who<'_> {
    /// What a bus over a broker at this URL is made of.
    pub(crate) fn options<A, C>(self, url: &str, config: &C) -> Result<Options<A, C>, Failure>
    where
        A: FromStr<Err: Display>,
        C: Clone + Default,
    {
        let options = Options::new(url)
            .map_err(|error: A::Err| Failure::new(Exit::Failure, format!("bus.url: {error}")))?;
        Ok(Options {
            config: config.clone(),
            name: self.name.to_owned(),
            seed: self.seed,
            ..options
        })
    }
}

/// Tells the probes how the connection is. Without it rates go on: Readers ask the store, and
/// what the Writer publishes waits.
fn tell(broker: &Monitor, health: &Arc<Health>) {
    let (mut followed, health) = (broker.follow_state(), Arc::clone(health));
    tokio::spawn(async move {
        let mut was_connected = false;
        loop {
            let state = followed.borrow_and_update().clone();
            if state.is_connected {
                health.set(CHECK, Status::Ok, "");
            } else {
                let why = match &*state.why {
                    "" => "no connection yet",
                    why => why,
                };
                health.set(CHECK, Status::Degraded, why);
            }
            match (was_connected, state.is_connected) {
                (false, true) => tracing::info!("the broker is reached"),
                (true, false) => tracing::error!(why = %state.why, "the broker is away"),
                _ => {}
            }
            was_connected = state.is_connected;
            if followed.changed().await.is_err() {
                return;
            }
        }
    });
}
