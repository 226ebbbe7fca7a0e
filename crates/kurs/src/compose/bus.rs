//! The bus that is configured, and how its connection is told.

use crate::config::bus::Broker;
use crate::config::{BusConfig, Config};
use crate::exit::{Exit, Failure};
use kurs_bus::Bus;
use kurs_bus::memory::MemoryBus;
use kurs_nats::{NatsBus, NatsOptions};
use kurs_rabbitmq::RabbitBus;
use kurs_redis::{RedisBus, RedisOptions};
use kurs_telemetry::{Health, Status};
use std::sync::Arc;
use tokio::sync::watch;

/// Name of the check that tells whether the broker is reached.
const CHECK: &str = "broker";

/// Connects in the background: a broker that is late is waited for while everything else runs.
pub(super) fn open(
    config: &Config,
    name: &str,
    seed: u64,
    health: &Arc<Health>,
) -> Result<Arc<dyn Bus>, Failure> {
    let bus = &config.bus;
    let wrong = |error: String| Failure::new(Exit::Failure, format!("bus.url: {error}"));
    Ok(match bus.broker() {
        Some(Broker::Nats) => {
            let options = NatsOptions {
                config: bus.nats.clone(),
                name: name.to_owned(),
                seed,
                ..NatsOptions::new(&bus.url).map_err(|error| wrong(error.to_string()))?
            };
            let nats = NatsBus::new(options);
            let told = |state: &kurs_nats::BusState| (state.is_connected, Arc::clone(&state.why));
            tell(nats.follow_state(), told, health);
            Arc::new(nats)
        }
        Some(Broker::Redis) => {
            let options = RedisOptions {
                config: bus.redis.clone(),
                name: name.to_owned(),
                seed,
                ..RedisOptions::new(&bus.url).map_err(|error| wrong(error.to_string()))?
            };
            let redis = RedisBus::new(options);
            let told = |state: &kurs_redis::BusState| (state.is_connected, Arc::clone(&state.why));
            tell(redis.follow_state(), told, health);
            Arc::new(redis)
        }
        Some(Broker::RabbitMq) => {
            let rabbit = rabbitmq(bus, seed).map_err(wrong)?;
            let told = |is_connected: &bool| (*is_connected, Arc::from("no connection"));
            tell(rabbit.connected(), told, health);
            Arc::new(rabbit)
        }
        Some(Broker::Memory) | None => Arc::new(MemoryBus::new()),
    })
}

fn rabbitmq(bus: &BusConfig, seed: u64) -> Result<RabbitBus, String> {
    RabbitBus::new(&bus.rabbitmq_options(seed)).map_err(|error| error.to_string())
}

/// Tells the probes how the connection is. Without it rates go on: Readers ask the store, and
/// what the Writer publishes waits.
fn tell<S: Send + Sync + 'static>(
    mut state: watch::Receiver<S>,
    told: impl Fn(&S) -> (bool, Arc<str>) + Send + 'static,
    health: &Arc<Health>,
) {
    let health = Arc::clone(health);
    tokio::spawn(async move {
        let mut was_connected = false;
        loop {
            let (is_connected, why) = told(&state.borrow_and_update());
            if is_connected {
                health.set(CHECK, Status::Ok, "");
            } else {
                health.set(CHECK, Status::Degraded, &why);
            }
            match (was_connected, is_connected) {
                (false, true) => tracing::info!("the broker is reached"),
                (true, false) => tracing::error!(%why, "the broker is away"),
                _ => {}
            }
            was_connected = is_connected;
            if state.changed().await.is_err() {
                return;
            }
        }
    });
}
