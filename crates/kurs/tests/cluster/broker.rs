//! What the updates of a test travel through.

use kurs_bus::Bus;
use kurs_nats::{NatsBus, NatsOptions};
use kurs_rabbitmq::{RabbitBus, RabbitOptions};
use kurs_redis::{RedisBus, RedisOptions};
use kurs_testkit::{NatsServer, RabbitServer, RedisServer};
use std::net::SocketAddr;
use std::sync::Arc;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Nats,
    Redis,
    RabbitMq,
}

/// A private server of one kind.
pub(crate) enum Broker {
    Nats(NatsServer),
    Redis(RedisServer),
    RabbitMq(RabbitServer),
}

impl Broker {
    pub(crate) fn start(kind: Kind) -> Self {
        match kind {
            Kind::Nats => Self::Nats(NatsServer::start()),
            Kind::Redis => Self::Redis(RedisServer::start()),
            Kind::RabbitMq => Self::RabbitMq(RabbitServer::start()),
        }
    }

    /// What the setting `bus.url` says.
    pub(crate) fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// The same through another address, such as that of a proxy before it.
    pub(crate) fn url_at(&self, address: SocketAddr) -> String {
        match self {
            Self::Nats(_) => format!("nats://{address}"),
            Self::Redis(server) => server.url_at(address),
            Self::RabbitMq(server) => server.url_at(address),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Nats(server) => server.address(),
            Self::Redis(server) => server.address(),
            Self::RabbitMq(server) => server.address(),
        }
    }

    /// Kills it at once, as a crash does.
    pub(crate) fn kill(&self) {
        match self {
            Self::Nats(server) => server.kill(),
            Self::Redis(server) => server.kill(),
            Self::RabbitMq(server) => server.kill(),
        }
    }

    /// Starts it again with what it had; returns when it answers.
    pub(crate) fn restart(&self) {
        match self {
            Self::Nats(server) => server.restart(),
            Self::Redis(server) => server.restart(),
            Self::RabbitMq(server) => server.restart(),
        }
    }

    /// An end of the bus for a consumer that is no part of kurs.
    pub(crate) fn end(&self) -> Arc<dyn Bus> {
        let url = self.url();
        match self {
            Self::Nats(_) => Arc::new(NatsBus::new(NatsOptions::new(&url).unwrap())),
            Self::Redis(_) => Arc::new(RedisBus::new(RedisOptions::new(&url).unwrap())),
            Self::RabbitMq(_) => Arc::new(RabbitBus::new(RabbitOptions::new(&url).unwrap())),
        }
    }
}
