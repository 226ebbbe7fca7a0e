//! Servers that are away, die, come back, or come back empty.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{HANG, Heard, connected, flushed, is_connected, last_values, next, open, options};
use kurs_bus::conformance::{rate, untrack, update};
use kurs_bus::counters::total;
use kurs_bus::{Body, Bus, BusError, BusEvent, Heartbeat, Reply};
use kurs_nats::NatsBus;
use kurs_testkit::{NatsServer, until};
use std::sync::Arc;
use std::time::Duration;

/// Publishes updates from `first` on, one a millisecond, until it is told to end; gives the
/// number of the last one.
struct Load {
    end: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<u64>,
}

impl Load {
    fn start(bus: Arc<NatsBus>, first: u64) -> Self {
        let (end, mut ended) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let mut seq = first;
            let mut ticks = tokio::time::interval(Duration::from_millis(1));
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    _ = &mut ended => return seq - 1,
                }
                let pair = ["BTC-USDT", "ETH-USDT", "SOL-USDT"][usize::try_from(seq % 3).unwrap()];
                bus.publish(rate(pair, seq)).unwrap();
                seq += 1;
            }
        });
        Self { end, task }
    }

    async fn end(self) -> u64 {
        self.end.send(()).unwrap();
        self.task.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_under_load_costs_no_update_and_no_order() {
    let server = NatsServer::start();
    let (writer, reader) = (open(&server.url()), open(&server.url()));
    let mut subscription = reader.subscribe().await.unwrap();
    let load = Load::start(Arc::clone(&writer), 1);
    let mut heard = Heard::default();
    for kill in 1..=3 {
        heard.until(&mut subscription, kill * 300).await;
        server.kill();
        is_connected(&reader, false).await;
        server.restart();
        let resumed = heard.last;
        heard.until(&mut subscription, resumed + 100).await;
    }
    let last = load.end().await;
    heard.until(&mut subscription, last).await;
    // Either every id was heard, or a gap was told; `Heard` sees to the order.
    assert_eq!(heard.updates + heard.lost, last, "{heard:?}");
    flushed(&writer).await;
    let values = last_values(&reader).await;
    let seqs: Vec<u64> = values.iter().map(|update| update.id.seq.0).collect();
    assert_eq!(seqs, [last - 2, last - 1, last]);
    assert!(total(&reader.monitor().counters().reconnects) >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_empty_has_the_last_values_again_and_subscribers_are_told() {
    let server = NatsServer::start();
    let (writer, reader) = (open(&server.url()), open(&server.url()));
    let mut subscription = reader.subscribe().await.unwrap();
    for seq in 1..=100 {
        writer
            .publish(rate(["BTC-USDT", "ETH-USDT"][usize::from(seq > 50)], seq))
            .unwrap();
    }
    let mut heard = Heard::default();
    heard.until(&mut subscription, 100).await;
    flushed(&writer).await;
    server.lose_everything();
    is_connected(&writer, false).await;
    server.restart();
    until("the last values", HANG, || {
        (total(&writer.monitor().counters().put_again) == 1).then_some(())
    })
    .await;
    flushed(&writer).await;
    assert_eq!(
        last_values(&reader).await,
        [rate("BTC-USDT", 50), rate("ETH-USDT", 100)]
    );
    // With the first update after it: until then there is nothing to be missed.
    writer.publish(rate("BTC-USDT", 101)).unwrap();
    let BusEvent::Gap { .. } = next(&mut subscription).await else {
        panic!("the loss was not told");
    };
    let BusEvent::Update(update) = next(&mut subscription).await else {
        panic!("told twice");
    };
    assert_eq!(update, rate("BTC-USDT", 101));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_deleted_are_made_and_filled_again() {
    let server = NatsServer::start();
    let bus = open(&server.url());
    bus.publish(rate("BTC-USDT", 1)).unwrap();
    flushed(&bus).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let jetstream = async_nats::jetstream::new(client);
    jetstream.delete_stream("KURS_LAST").await.unwrap();
    let again = || (total(&bus.monitor().counters().put_again) == 1).then_some(());
    until("the last values to be missed", HANG, again).await;
    flushed(&bus).await;
    assert_eq!(last_values(&bus).await, [rate("BTC-USDT", 1)]);
    jetstream.delete_stream("KURS_LAST").await.unwrap();
    jetstream.delete_stream("KURS_FLOW").await.unwrap();
    bus.publish(rate("ETH-USDT", 2)).unwrap();
    flushed(&bus).await;
    let values = kurs_testkit::wait::until_async("the last values", HANG, || async {
        let values = bus.last_values().await.ok()?;
        (values.len() == 2).then_some(())
    });
    values.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_at_the_start_is_waited_for_in_the_background() {
    let server = NatsServer::start();
    server.stop();
    let (writer, reader) = (open(&server.url()), open(&server.url()));
    for seq in 1..=1_000 {
        writer.publish(rate("BTC-USDT", seq)).unwrap();
    }
    assert_eq!(reader.subscribe().await.err(), Some(BusError::Unavailable));
    assert_eq!(
        reader.last_values().await.err(),
        Some(BusError::Unavailable)
    );
    let patience = Duration::from_millis(100);
    let asked = reader.request(untrack("BTCUSDT"), patience).await;
    assert_eq!(asked, Err(BusError::Unavailable));
    assert!(!writer.monitor().state().is_connected && !writer.monitor().state().why.is_empty());
    server.restart();
    flushed(&writer).await;
    assert_eq!(last_values(&reader).await, [rate("BTC-USDT", 1_000)]);
    assert!(writer.monitor().state().is_connected && writer.monitor().state().why.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_while_a_server_is_away_is_bounded() {
    const MANY: u64 = kurs_bus::outbox::OUTBOX_MAX as u64 + 1_000;
    let server = NatsServer::start();
    let (writer, reader) = (open(&server.url()), open(&server.url()));
    let mut subscription = reader.subscribe().await.unwrap();
    writer.publish(rate("BTC-USDT", 1)).unwrap();
    flushed(&writer).await;
    server.kill();
    is_connected(&writer, false).await;
    for seq in 2..=MANY {
        writer.publish(rate("BTC-USDT", seq)).unwrap();
    }
    assert!(writer.monitor().outbox().len() <= kurs_bus::outbox::OUTBOX_MAX);
    server.restart();
    let mut heard = Heard::default();
    heard.until(&mut subscription, MANY).await;
    assert!(heard.gaps > 0, "updates were dropped, which was not told");
    assert_eq!(last_values(&reader).await, [rate("BTC-USDT", MANY)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_for_a_while_is_taken_up_again() {
    let server = NatsServer::start();
    let (writer, reader) = (open(&server.url()), open(&server.url()));
    let mut subscription = reader.subscribe().await.unwrap();
    let load = Load::start(Arc::clone(&writer), 1);
    let mut heard = Heard::default();
    heard.until(&mut subscription, 100).await;
    server.freeze();
    is_connected(&writer, false).await;
    server.thaw();
    let last = load.end().await;
    heard.until(&mut subscription, last).await;
    assert_eq!((heard.updates, heard.gaps), (last, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_cannot_be_read_harm_nobody() {
    let server = NatsServer::start();
    let bus = connected(options(&server.url())).await;
    let mut subscription = bus.subscribe().await.unwrap();
    let mut requests = bus.requests().await.unwrap();
    let stranger = async_nats::connect(server.url()).await.unwrap();
    let subjects = [
        "kurs.v1.rate.BTC.USDT",
        "kurs.v1.tracked",
        "kurs.v1.command",
    ];
    let later = r#"{"v":2,"id":"0.1-1","kind":"rate","data":{}}"#;
    for text in ["", "{", "null", "[[[[", "\u{0}", later] {
        for subject in subjects {
            stranger.publish(subject, text.into()).await.unwrap();
            let asked = stranger.request(subject, text.into());
            // It may be taken by the stream, or by nobody.
            let _ = tokio::time::timeout(Duration::from_millis(5), asked).await;
        }
    }
    stranger.flush().await.unwrap();
    bus.publish(rate("ETH-USDT", 1)).unwrap();
    let mut heard = Heard::default();
    heard.until(&mut subscription, 1).await;
    assert_eq!((heard.updates, heard.gaps), (1, 0));
    assert_eq!(last_values(&bus).await, [rate("ETH-USDT", 1)]);
    assert!(total(&bus.monitor().counters().decode_errors) >= 10);
    assert!(total(&bus.monitor().counters().unknown) >= 2);
    let (reply, ()) = tokio::join!(bus.request(untrack("BTCUSDT"), HANG), async {
        let request = requests.next().await.unwrap();
        request
            .reply
            .send(Reply::Untracked { existed: true })
            .unwrap();
    });
    assert_eq!(reply, Ok(Reply::Untracked { existed: true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_make_the_streams_at_once_do_not_disturb_each_other() {
    let server = NatsServer::start();
    let mut buses = Vec::new();
    for number in 0..8_u64 {
        let mut options = options(&server.url());
        // The settings of the first one are those of the streams.
        options.config.flow_age_ms += number;
        buses.push(NatsBus::new(options));
    }
    for bus in &buses {
        is_connected(bus, true).await;
    }
    let mut subscription = buses[7].subscribe().await.unwrap();
    for (shard, bus) in (0..).zip(&buses) {
        let mut update = (*rate("BTC-USDT", 1)).clone();
        update.id.shard = shard;
        bus.publish(Arc::new(update)).unwrap();
    }
    for _ in &buses {
        assert!(matches!(next(&mut subscription).await, BusEvent::Update(_)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_come_again_from_another_program_are_not_swallowed() {
    // A store that begins anew gives the same ids within the server's memory of ids.
    let server = NatsServer::start();
    for text in ["one", "two"] {
        let bus = connected(options(&server.url())).await;
        let beat = Heartbeat {
            writer: text.into(),
            follows: None,
            ends: false,
        };
        bus.publish(update(1, Body::Heartbeat(beat))).unwrap();
        flushed(&bus).await;
        let values = last_values(&bus).await;
        let Body::Heartbeat(beat) = &values[0].body else {
            panic!("another kind came");
        };
        assert_eq!(&*beat.writer, text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_heard_again_after_a_restart() {
    let server = NatsServer::start();
    let (writer, reader) = (open(&server.url()), open(&server.url()));
    let mut requests = writer.requests().await.unwrap();
    let answers = tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let _ = request.reply.send(Reply::Untracked { existed: true });
        }
    });
    server.kill();
    is_connected(&reader, false).await;
    server.restart();
    let reply = kurs_testkit::wait::until_async("an answer", HANG, || async {
        reader.request(untrack("BTCUSDT"), HANG).await.ok()
    });
    assert_eq!(reply.await, Reply::Untracked { existed: true });
    drop(writer);
    // The listener ends with its bus.
    tokio::time::timeout(HANG, answers).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_made_and_its_password_is_never_shown() {
    let server = NatsServer::start_with(&["--user", "anna", "--pass", "geheim@1"]);
    let login = |password: &str| {
        let url = server
            .url()
            .replace("nats://", &format!("nats://anna:{password}@"));
        options(&url)
    };
    let right = login("geheim%401");
    assert!(!format!("{right:?}").contains("geheim"));
    let bus = connected(right).await;
    assert!(!format!("{bus:?}").contains("geheim"));
    bus.publish(rate("BTC-USDT", 1)).unwrap();
    flushed(&bus).await;
    let wrong = NatsBus::new(login("guessed"));
    let why = until("the refusal", HANG, || {
        let why = wrong.monitor().state().why;
        (!why.is_empty()).then_some(why)
    })
    .await;
    assert!(
        why.contains("authorization") && !why.contains("guessed"),
        "{why}"
    );
}
