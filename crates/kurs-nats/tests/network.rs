//! Networks that are slow, cut or silent.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Heard, connected, is_connected, options};
use kurs_bus::conformance::rate;
use kurs_bus::{Bus, Subscription};
use kurs_nats::NatsBus;
use kurs_testkit::proxy::Weather;
use kurs_testkit::{NatsServer, Proxy};
use std::time::Duration;

/// A Writer and a Reader, each behind a proxy of its own.
struct Two {
    _server: NatsServer,
    to_writer: Proxy,
    to_reader: Proxy,
    writer: NatsBus,
    reader: NatsBus,
    subscription: Box<dyn Subscription>,
    heard: Heard,
    published: u64,
}

impl Two {
    async fn start() -> Self {
        let server = NatsServer::start();
        let to_writer = Proxy::start(server.address()).await;
        let to_reader = Proxy::start(server.address()).await;
        let url = |proxy: &Proxy| format!("nats://{}", proxy.address());
        let writer = connected(options(&url(&to_writer))).await;
        let reader = connected(options(&url(&to_reader))).await;
        let subscription = reader.subscribe().await.unwrap();
        Self {
            _server: server,
            to_writer,
            to_reader,
            writer,
            reader,
            subscription,
            heard: Heard::default(),
            published: 0,
        }
    }

    fn publish(&mut self, count: u64) {
        for _ in 0..count {
            self.published += 1;
            self.writer
                .publish(rate("BTC-USDT", self.published))
                .unwrap();
        }
    }

    /// Everything published was heard once and in order, without a gap.
    async fn hears_everything(&mut self) {
        self.heard
            .until(&mut self.subscription, self.published)
            .await;
        assert_eq!((self.heard.updates, self.heard.gaps), (self.published, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_only_makes_it_late() {
    let mut two = Two::start().await;
    let weather = Weather {
        latency: Duration::from_millis(100),
        ..Weather::default()
    };
    two.to_writer.set(weather);
    two.to_reader.set(weather);
    two.publish(2_000);
    two.hears_everything().await;
    assert_eq!(
        common::last_values(&two.reader).await,
        [rate("BTC-USDT", 2_000)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_cost_nothing() {
    let mut two = Two::start().await;
    for round in 0..5 {
        two.publish(1_000);
        if round % 2 == 0 {
            two.to_writer.cut();
        } else {
            two.to_reader.reset();
        }
        two.publish(1_000);
        two.hears_everything().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_whose_server_is_silent_catches_up_once_it_speaks() {
    let mut two = Two::start().await;
    two.publish(10);
    two.hears_everything().await;
    two.to_reader.set(Weather {
        mute_server: true,
        mute_client: true,
        ..Weather::default()
    });
    two.publish(1_000);
    is_connected(&two.reader, false).await;
    two.publish(1_000);
    two.to_reader.heal();
    two.hears_everything().await;
    is_connected(&two.reader, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_whose_answers_are_lost_sends_again_and_nobody_hears_it_twice() {
    let mut two = Two::start().await;
    two.publish(10);
    two.hears_everything().await;
    // The server gets the updates, and its confirmations do not come back.
    two.to_writer.set(Weather {
        mute_server: true,
        ..Weather::default()
    });
    two.publish(100);
    is_connected(&two.writer, false).await;
    two.publish(1_000);
    two.to_writer.heal();
    two.hears_everything().await;
    common::flushed(&two.writer).await;
}
