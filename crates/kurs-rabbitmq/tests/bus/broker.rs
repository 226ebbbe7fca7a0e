//! What happens to the server, and to the way there.

use crate::{
    GUARD, beat, connected, flushed, insist, last_seqs, next, open, options, prefix, read_until,
};
use kurs_bus::conformance::{rate, untrack};
use kurs_bus::counters::total;
use kurs_bus::{Bus, BusError, BusEvent, Reply};
use kurs_rabbitmq::{RabbitBus, RabbitOptions};
use kurs_testkit::proxy::Weather;
use kurs_testkit::{Proxy, RabbitServer, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Publishes about one update a millisecond until it is told to stop; the last number.
fn load(bus: &Arc<RabbitBus>) -> (Arc<AtomicBool>, tokio::task::JoinHandle<u64>) {
    let (bus, stop) = (Arc::clone(bus), Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let task = tokio::spawn(async move {
        let mut seq = 0;
        while !stopped.load(Ordering::Relaxed) {
            seq += 1;
            bus.publish(rate(
                ["BTC-USDT", "ETH-USDT"][usize::from(seq % 3 == 0)],
                seq,
            ))
            .unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        seq
    });
    (stop, task)
}

/// The server's work is done by processes: waiting for them must not hold up the test's own tasks.
async fn apart(server: &Arc<RabbitServer>, what: impl FnOnce(&RabbitServer) + Send + 'static) {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || what(&server))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_or_comes_back_empty_costs_nothing_unnoticed() {
    let server = Arc::new(RabbitServer::start());
    let options = options(&server.url(), &prefix());
    let (writer, reader) = (open(&options), open(&options));
    connected(&writer).await;
    let mut subscription = insist(|| reader.subscribe()).await;
    let (stop, publishing) = load(&writer);
    read_until(&mut subscription, 1, 500).await;

    // Killed and restarted.
    let acknowledged = total(&writer.monitor().counters().acknowledged);
    apart(&server, RabbitServer::restart).await;
    let more =
        || (total(&writer.monitor().counters().acknowledged) > acknowledged + 1_000).then_some(());
    until("publishing goes on", GUARD, more).await;
    stop.store(true, Ordering::Relaxed);
    let last = publishing.await.unwrap();
    let lost = read_until(&mut subscription, 501, last).await;
    println!("killed: {lost} of {last} lost");
    flushed(&writer).await;
    let expected = |modulo: u64| {
        (1..=last)
            .rev()
            .find(|seq| (seq % 3 == 0) == (modulo == 0))
            .unwrap()
    };
    let mut expected = [expected(0), expected(1)];
    expected.sort_unstable();
    assert_eq!(last_seqs(&reader).await, expected);
    assert_eq!(total(&writer.monitor().counters().put_again), 0);

    // It has lost everything: what was published is there again, and the flow goes on.
    apart(&server, RabbitServer::lose_everything).await;
    writer.publish(beat(last + 1)).unwrap();
    let BusEvent::Update(update) = next(&mut subscription).await else {
        panic!("nothing was lost");
    };
    assert_eq!(update.id.seq.0, last + 1);
    flushed(&writer).await;
    let with_beat = [expected[0], expected[1], last + 1];
    assert_eq!(last_seqs(&reader).await, with_beat);
    assert_eq!(total(&writer.monitor().counters().put_again), 1);
    // A Reader that starts only now.
    let late = open(&options);
    assert_eq!(last_seqs(&late).await, with_beat);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_at_the_start_gets_everything_later() {
    let server = Arc::new(RabbitServer::start());
    apart(&server, RabbitServer::stop).await;
    let options = options(&server.url(), &prefix());
    let bus = open(&options);
    for seq in 1..=100 {
        bus.publish(rate("BTC-USDT", seq)).unwrap();
    }
    assert!(!bus.monitor().is_connected());
    let (subscribed, values, requests, reply) = tokio::join!(
        bus.subscribe(),
        bus.last_values(),
        bus.requests(),
        bus.request(untrack("BTCUSDT"), GUARD)
    );
    assert_eq!(subscribed.err(), Some(BusError::Unavailable));
    assert_eq!(values.err(), Some(BusError::Unavailable));
    assert_eq!(requests.err(), Some(BusError::Unavailable));
    assert_eq!(reply, Err(BusError::Unavailable));

    apart(&server, RabbitServer::restart).await;
    connected(&bus).await;
    flushed(&bus).await;
    assert_eq!(last_seqs(&bus).await, [100]);
    let mut subscription = insist(|| bus.subscribe()).await;
    // Commands that nobody took while it was away are not there; new ones go through.
    let mut requests = insist(|| bus.requests()).await;
    let (reply, ()) = tokio::join!(bus.request(untrack("ETHUSDT"), GUARD), async {
        let request = requests.next().await.unwrap();
        assert_eq!(request.command, untrack("ETHUSDT"));
        let _ = request.reply.send(Reply::Untracked { existed: true });
    });
    assert_eq!(reply, Ok(Reply::Untracked { existed: true }));

    // A restart in good order: listeners and subscribers go on by themselves.
    apart(&server, |server| {
        server.stop();
        server.restart();
    })
    .await;
    bus.publish(rate("BTC-USDT", 101)).unwrap();
    assert_eq!(read_until(&mut subscription, 101, 101).await, 0);
    connected(&bus).await;
    let reply = tokio::spawn({
        let bus = Arc::clone(&bus);
        async move { insist(|| bus.request(untrack("ETHUSDT"), GUARD)).await }
    });
    let request = tokio::time::timeout(GUARD, requests.next())
        .await
        .unwrap()
        .unwrap();
    let _ = request.reply.send(Reply::Untracked { existed: false });
    assert_eq!(reply.await.unwrap(), Reply::Untracked { existed: false });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_that_is_cut_or_silent_is_left_and_found_again() {
    let server = RabbitServer::shared();
    let proxy = Proxy::start(server.address()).await;
    let direct = options(&server.url(), &prefix());
    let through = options(&server.url_at(proxy.address()), &direct.config.prefix);
    for (far, near) in [(&through, &direct), (&direct, &through)] {
        let of_this = prefix();
        let with = |options: &RabbitOptions| {
            let mut options = options.clone();
            options.config.prefix = of_this.clone();
            options
        };
        let (writer, reader) = (open(&with(near)), open(&with(far)));
        connected(&writer).await;
        connected(&reader).await;
        let mut subscription = insist(|| reader.subscribe()).await;
        let (stop, publishing) = load(&writer);
        read_until(&mut subscription, 1, 50).await;
        proxy.cut();
        read_until(&mut subscription, 51, 500).await;
        connected(&writer).await;
        connected(&reader).await;
        // Half-open: only the missing signs of life tell.
        proxy.set(Weather {
            mute_server: true,
            mute_client: true,
            ..Weather::default()
        });
        let is_away = |bus: &RabbitBus| !bus.monitor().is_connected();
        let seen = || (is_away(&writer) || is_away(&reader)).then_some(());
        until("the silence is noticed", GUARD, seen).await;
        proxy.heal();
        connected(&writer).await;
        connected(&reader).await;
        let again = |bus: &RabbitBus| total(&bus.monitor().counters().reconnects);
        assert!(again(&writer) + again(&reader) >= 2, "cut, and silent");
        stop.store(true, Ordering::Relaxed);
        let last = publishing.await.unwrap();
        assert_eq!(
            read_until(&mut subscription, 501, last).await,
            0,
            "nothing is lost"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_several_make_at_once_is_there_for_each_of_them() {
    let server = RabbitServer::shared();
    for _ in 0..5 {
        let options = options(&server.url(), &prefix());
        let buses = [open(&options), open(&options), open(&options)];
        for bus in &buses {
            connected(bus).await;
        }
        let [one, two, three] = &buses;
        let joined = tokio::join!(one.subscribe(), two.subscribe(), three.subscribe());
        assert!(joined.0.is_ok() && joined.1.is_ok() && joined.2.is_ok());
    }
}
