//! Updates a second and latency over a private server, beside the bare client library, and how
//! soon the flow goes on after a restart. `cargo run --release -p kurs-nats --example measure`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    reason = "a measurement for people"
)]

use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, consumer::push};
use futures_util::StreamExt;
use kurs_bus::conformance::rate;
use kurs_bus::{Bus, BusEvent, Subscription, Update, wire};
use kurs_nats::{NatsBus, NatsOptions};
use kurs_testkit::NatsServer;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

const COUNT: u64 = 20_000;
const ROUNDS: u64 = 5;
/// Of the measurement of latency: below what either way can carry.
const PER_SECOND: u64 = 1_000;
const LATENCIES: u64 = 4_000;

#[tokio::main]
async fn main() {
    let server = NatsServer::start();
    for round in 0..ROUNDS {
        let ours = ours(&server, round).await;
        // Without the last values and without ids, and with both as we have them.
        let plain = bare(&server, round, false).await;
        let same = bare(&server, round, true).await;
        let parts = (ours / plain, ours / same);
        println!(
            "round {round}: kurs-nats {ours:.0}/s, bare {plain:.0}/s, bare with last values and ids {same:.0}/s"
        );
        println!("  {:.2} x of bare, {:.2} x of the same", parts.0, parts.1);
    }
    restart(&server).await;
}

async fn open(server: &NatsServer, prefix: &str) -> NatsBus {
    let mut options = NatsOptions::new(&server.url()).unwrap();
    options.config.prefix = prefix.to_owned();
    options.config.buffer = 1 << 17;
    let bus = NatsBus::new(options);
    let mut state = bus.monitor().follow_state();
    state.wait_for(|state| state.is_connected).await.unwrap();
    bus
}

fn updates(count: u64) -> Vec<Arc<Update>> {
    let pairs = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"];
    let pair = |seq: u64| pairs[usize::try_from(seq % 4).unwrap()];
    (1..=count).map(|seq| rate(pair(seq), seq)).collect()
}

async fn hear(subscription: &mut Box<dyn Subscription>) -> Arc<Update> {
    match subscription.next().await.unwrap() {
        BusEvent::Update(update) => update,
        BusEvent::Gap { lost } => panic!("{lost} lost"),
    }
}

async fn ours(server: &NatsServer, round: u64) -> f64 {
    let prefix = format!("ours{round}");
    let (writer, reader) = (open(server, &prefix).await, open(server, &prefix).await);
    let mut subscription = reader.subscribe().await.unwrap();
    let all = updates(COUNT + LATENCIES);
    let (flood, paced) = all.split_at(usize::try_from(COUNT).unwrap());
    let begin = Instant::now();
    for update in flood {
        writer.publish(Arc::clone(update)).unwrap();
    }
    for _ in flood {
        hear(&mut subscription).await;
    }
    let seconds = begin.elapsed().as_secs_f64();
    writer.flush().await.unwrap();
    let listener = tokio::spawn(async move {
        let mut at = Vec::new();
        for _ in 0..LATENCIES {
            hear(&mut subscription).await;
            at.push(Instant::now());
        }
        at
    });
    let mut sent = Vec::new();
    for update in paced {
        pace(&sent).await;
        sent.push(Instant::now());
        writer.publish(Arc::clone(update)).unwrap();
    }
    show("kurs-nats", &sent, &listener.await.unwrap());
    COUNT as f64 / seconds
}

async fn bare(server: &NatsServer, round: u64, is_same: bool) -> f64 {
    let client = || async_nats::connect(server.url());
    let (writer, reader) = (client().await.unwrap(), client().await.unwrap());
    let name = format!("BARE{round}{is_same}");
    let (writer, reader) = (jetstream::new(writer), jetstream::new(reader));
    let config = jetstream::stream::Config {
        name: name.clone(),
        subjects: vec![format!("{name}.>")],
        max_age: Duration::from_secs(600),
        ..jetstream::stream::Config::default()
    };
    let stream = reader.create_stream(config).await.unwrap();
    if is_same {
        let source = jetstream::stream::Source {
            name: name.clone(),
            ..jetstream::stream::Source::default()
        };
        let config = jetstream::stream::Config {
            name: format!("{name}LAST"),
            sources: Some(vec![source]),
            max_messages_per_subject: 1,
            ..jetstream::stream::Config::default()
        };
        reader.create_stream(config).await.unwrap();
    }
    let config = push::OrderedConfig {
        deliver_subject: reader.client().new_inbox(),
        ..push::OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    let texts: Vec<bytes::Bytes> = updates(COUNT + LATENCIES)
        .iter()
        .map(|update| wire::encode(update).into())
        .collect();
    let (flood, paced) = texts.split_at(usize::try_from(COUNT).unwrap());
    let begin = Instant::now();
    let sender = tokio::spawn({
        let (writer, flood, name) = (writer.clone(), flood.to_vec(), name.clone());
        async move {
            let mut flying = VecDeque::new();
            for (number, text) in flood.into_iter().enumerate() {
                if flying.len() >= 512 {
                    let oldest: jetstream::context::PublishAckFuture = flying.pop_front().unwrap();
                    oldest.await.unwrap();
                }
                let subject = format!("{name}.{}", number % 4);
                let mut message = PublishMessage::build().payload(text);
                if is_same {
                    message = message.message_id(format!("a.0:0.1-{number}"));
                }
                flying.push_back(writer.send_publish(subject, message).await.unwrap());
            }
            for ack in flying {
                ack.await.unwrap();
            }
        }
    });
    for _ in flood {
        messages.next().await.unwrap().unwrap();
    }
    let seconds = begin.elapsed().as_secs_f64();
    sender.await.unwrap();
    let listener = tokio::spawn(async move {
        let mut at = Vec::new();
        for _ in 0..LATENCIES {
            messages.next().await.unwrap().unwrap();
            at.push(Instant::now());
        }
        at
    });
    let mut sent = Vec::new();
    for text in paced {
        pace(&sent).await;
        sent.push(Instant::now());
        drop(
            writer
                .publish(format!("{name}.0"), text.clone())
                .await
                .unwrap(),
        );
    }
    show(
        if is_same { "same" } else { "bare" },
        &sent,
        &listener.await.unwrap(),
    );
    COUNT as f64 / seconds
}

async fn pace(sent: &[Instant]) {
    let Some(first) = sent.first() else {
        return;
    };
    let due = Duration::from_secs(1) * u32::try_from(sent.len()).unwrap()
        / u32::try_from(PER_SECOND).unwrap();
    tokio::time::sleep_until((*first + due).into()).await;
}

fn show(what: &str, sent: &[Instant], at: &[Instant]) {
    let mut micros: Vec<u128> = sent
        .iter()
        .zip(at)
        .map(|(sent, at)| (*at - *sent).as_micros())
        .collect();
    micros.sort_unstable();
    let part = |percent: usize| micros[(micros.len() - 1) * percent / 100];
    println!("  {what}: latency p50 {} us, p99 {} us", part(50), part(99));
}

async fn restart(server: &NatsServer) {
    let (writer, reader) = (open(server, "again").await, open(server, "again").await);
    let mut subscription = reader.subscribe().await.unwrap();
    let mut seq = 0;
    for round in 0..10 {
        server.restart();
        let begin = Instant::now();
        seq += 1;
        writer.publish(rate("BTC-USDT", seq)).unwrap();
        hear(&mut subscription).await;
        let flow = begin.elapsed();
        let mut last = 0;
        while last != seq {
            let values = reader.last_values().await.unwrap_or_default();
            last = values.first().map_or(0, |update| update.id.seq.0);
        }
        let values = begin.elapsed();
        println!("restart {round}: flow after {flow:?}, last values after {values:?}");
    }
    let mut most = Duration::ZERO;
    for seq in seq + 1..seq + 200 {
        writer.publish(rate("BTC-USDT", seq)).unwrap();
        writer.flush().await.unwrap();
        let begin = Instant::now();
        assert_eq!(reader.last_values().await.unwrap()[0].id.seq.0, seq);
        most = most.max(begin.elapsed());
    }
    println!("last values of one key after a flush: at most {most:?}");
}
