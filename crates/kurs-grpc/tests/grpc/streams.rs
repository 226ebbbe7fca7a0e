//! Streams.

use crate::harness::{GUARD, HOUR, Harness, Listening, short, until};
use kurs_grpc::GrpcConfig;
use kurs_grpc::proto::SubscribeRequest;
use kurs_grpc::proto::event::Told as Say;
use kurs_grpc::proto::rates_client::RatesClient;
use kurs_grpc::proto::source_changed::What;
use kurs_stream::StreamConfig;
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn a_stream_tells_how_everything_stands_and_then_every_update() {
    let server = Harness::start().await;
    server.rate("BTC-USD", "100");
    let mut one = server.subscribe(&["rate:btc/usd"], "").await;
    let mut all = server.subscribe(&[], "").await;
    server.listeners(2).await;
    server.rate("BTC-USD", "101");
    server.rate("ETH-USD", "7");
    let told = ["hello", "snapshot BTC-USD 100 fresh", "BTC-USD 101 fresh"];
    assert_eq!(one.hear(3).await, told);
    assert_eq!(one.position, "0.1-2");
    assert_eq!(all.hear(4).await[..3], told);
    assert_eq!(all.position, "0.1-3");
    drop((one, all));
    server.listeners(0).await;
}

#[tokio::test]
async fn sources_and_what_has_no_rate_are_told_as_well() {
    let server = Harness::start().await;
    server.status("sim:binance");
    server.source_price("sim:binance", "BTC-USDT", "99");
    let topics = ["top:binance:BTC-USDT", "sources", "rate:BTC-USD"];
    let mut listening = server.subscribe(&topics, "").await;
    assert_eq!(listening.hear(1).await, ["hello"]);
    let Some(Say::Snapshot(snapshot)) = listening.next().await.unwrap() else {
        panic!("no snapshot")
    };
    assert!(snapshot.last);
    assert_eq!(snapshot.errors[0].code, "no-rate-yet");
    assert_eq!(snapshot.errors[0].topic, "rate:BTC-USD");
    assert_eq!(snapshot.prices[0].value, "99");
    assert_eq!(snapshot.prices[0].valid_for_ms, 3_600_000);
    assert_eq!(snapshot.sources[0].lag_ms, Some(-3));
    server.source_price("sim:binance", "BTC-USDT", "98");
    server.status("sim:binance");
    let mut next = async || match listening.next().await.unwrap() {
        Some(Say::Source(changed)) => changed,
        other => panic!("{other:?}"),
    };
    let price = next().await;
    assert_eq!(price.topic, "top:sim:binance:BTC-USDT");
    assert!(matches!(price.what, Some(What::Price(price)) if price.value == "98"));
    let status = next().await;
    assert_eq!(status.topic, "sources");
    assert!(matches!(status.what, Some(What::Status(status)) if status.source == "sim:binance"));
}

/// Two Readers hear the same updates; a client is cut again and again and comes back to the other
/// one.
#[tokio::test]
async fn whoever_goes_on_at_another_instance_hears_every_update_once() {
    let servers = [Harness::start().await, Harness::start().await];
    let publish = |value: u32| {
        for server in &servers {
            server.rate("BTC-USD", &value.to_string());
        }
    };
    publish(100);
    let mut listening = servers[0].subscribe(&["rate:BTC-USD"], "").await;
    assert_eq!(listening.hear(2).await[1], "snapshot BTC-USD 100 fresh");
    let mut heard = Vec::new();
    for round in 0..10_u32 {
        let first = 101 + round * 3;
        publish(first);
        heard.extend(listening.hear(1).await);
        let position = listening.position.clone();
        drop(listening);
        // Nobody listens meanwhile.
        publish(first + 1);
        let other = &servers[(round as usize + 1) % 2];
        listening = other.subscribe(&["rate:BTC-USD"], &position).await;
        assert_eq!(listening.hear(1).await, ["hello again"]);
        publish(first + 2);
        heard.extend(listening.hear(2).await);
    }
    let expect: Vec<String> = (101..131).map(|n| format!("BTC-USD {n} fresh")).collect();
    assert_eq!(heard, expect);
}

#[tokio::test]
async fn a_place_that_is_not_known_any_more_is_a_gap_and_a_snapshot() {
    let server = Harness::start().await;
    server.rate("BTC-USD", "100");
    server.rate("BTC-USD", "101");
    server.streams.lost("fell behind");
    let mut listening = server.subscribe(&["rate:BTC-USD"], "0.1-1").await;
    assert_eq!(
        listening.hear(3).await,
        ["hello", "gap resume", "snapshot BTC-USD 101 fresh"]
    );
}

#[tokio::test]
async fn what_cannot_be_listened_to_is_refused_with_every_mistake() {
    let server = Harness::with(|_, streams| streams.topics = 3).await;
    let mut client = server.client().await;
    let mut refused = async |topics: &[&str], resume: &str| {
        let listening = Listening::try_of(&mut client, topics, resume).await;
        let status = listening.err().expect("it was let in");
        assert_eq!(status.code(), Code::InvalidArgument);
        let fields = status.get_details_bad_request().unwrap().field_violations;
        fields.into_iter().map(|one| one.field).collect::<Vec<_>>()
    };
    let long = format!("top:{}:BTC-USD", "x".repeat(10_000));
    let wrong = ["rate:", "rates", &long];
    assert_eq!(refused(&wrong, "").await, ["topics[0]", "topics[2]"]);
    assert_eq!(refused(&["rates"; 4], "").await, ["topics"]);
    assert_eq!(refused(&["rates"], "7").await, ["resume_from"]);
}

#[tokio::test]
async fn an_address_has_so_many_streams() {
    let server = Harness::with(|_, streams| (streams.per_address, streams.max) = (2, 2)).await;
    let mut client = server.client().await;
    let first = Listening::of(&mut client, &[], "").await;
    let _second = Listening::of(&mut client, &[], "").await;
    let refused = Listening::try_of(&mut client, &[], "").await.err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(reason(&refused), "TOO_BUSY");
    assert_eq!(server.metrics.refused.address.get(), 1);
    drop(first);
    server.listeners(1).await;
    let _third = Listening::of(&mut client, &[], "").await;
}

#[tokio::test]
async fn a_slow_client_hears_a_gap_and_then_the_newest() {
    let server = Harness::start().await;
    let mut client = server.tight_client().await;
    let mut listening = Listening::of(&mut client, &["rates"], "").await;
    assert_eq!(listening.hear(2).await[0], "hello");
    // Far more than its room and all buffers on the way hold, while it does not read.
    flood(&server, 5_000).await;
    let mut gaps = 0;
    loop {
        let heard = listening.hear(1).await.remove(0);
        gaps += usize::from(heard == "gap slow");
        if heard == "BTC-USD 5000 fresh" {
            break;
        }
    }
    assert!(gaps > 0);
}

/// Tells so many updates, and lets the server work meanwhile.
async fn flood(server: &Harness, count: u32) {
    for value in 1..=count {
        server.rate("BTC-USD", &value.to_string());
        if value % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn who_takes_nothing_is_cut_with_a_reason_and_harms_nobody() {
    let server = Harness::with(|_, streams| streams.write_ms = 300).await;
    let mut client = server.tight_client().await;
    let mut healthy = Listening::of(&mut client, &["rate:ETH-USD"], "").await;
    let mut lazy = Listening::of(&mut client, &["rates"], "").await;
    healthy.hear(2).await;
    flood(&server, 2_000).await;
    until(|| server.metrics.slow.get() == 1).await;
    server.listeners(1).await;
    server.rate("ETH-USD", "7");
    assert_eq!(healthy.hear(1).await, ["ETH-USD 7 fresh"]);
    // Whatever was on its way, and then the reason.
    let why = loop {
        match lazy.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("no reason"),
            Err(status) => break status,
        }
    };
    assert_eq!(why.code(), Code::ResourceExhausted);
    assert_eq!(reason(&why), "SLOW_READER");
}

#[tokio::test]
async fn a_connection_of_which_no_stream_is_taken_is_closed() {
    let change = |grpc: &mut GrpcConfig, streams: &mut StreamConfig| {
        (grpc.connections_per_address, streams.write_ms) = (1, 200);
    };
    let server = Harness::with(change).await;
    let mut client = server.tight_client().await;
    let _lazy = Listening::of(&mut client, &["rates"], "").await;
    flood(&server, 2_000).await;
    // Its place is another's as soon as it is closed.
    let let_in = async {
        loop {
            if let Ok(channel) = server.endpoint().connect().await
                && let Ok(other) = Listening::try_of(&mut RatesClient::new(channel), &[], "").await
            {
                break other;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut other = timeout(GUARD, let_in).await.unwrap();
    assert_eq!(other.hear(1).await, ["hello"]);
    assert_eq!(server.metrics.slow.get(), 1);
}

#[tokio::test]
async fn a_stream_ends_at_the_deadline_of_its_client() {
    let server = Harness::start().await;
    let mut client = server.client().await;
    let mut asked = Request::new(SubscribeRequest::default());
    asked
        .metadata_mut()
        .insert("grpc-timeout", "300m".parse().unwrap());
    let mut events = client.subscribe(asked).await.unwrap().into_inner();
    let ended = async {
        loop {
            match events.message().await {
                Ok(Some(_)) => {}
                other => break other,
            }
        }
    };
    let status = timeout(GUARD, ended).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    server.listeners(0).await;
}

#[tokio::test]
async fn an_instance_that_ends_says_bye_and_lets_calls_end() {
    let server = Harness::start().await;
    server.rate_for("BTC-USD", "100", HOUR);
    let mut listening = server.subscribe(&["rate:BTC-USD"], "").await;
    listening.hear(2).await;
    server.stop();
    let bye = listening.next().await.unwrap().unwrap();
    assert_eq!(short(&bye), "bye drain");
    let Say::Bye(bye) = bye else {
        panic!("{bye:?}")
    };
    assert!(bye.reconnect_after_ms <= 5_000);
    let status = listening.next().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(reason(&status), "DRAIN");
    assert_eq!(server.served.await.unwrap(), 0);
    assert!(server.health.is_draining());
}

#[tokio::test]
async fn rights_that_are_taken_back_end_a_stream() {
    use kurs_grpc::{Gate, Scope, Who};
    struct Named;
    impl Gate for Named {
        fn admit(&self, _: &http::HeaderMap, _: std::net::IpAddr, _: Scope) -> Result<Who, Status> {
            Ok(Who::owning(7, ()))
        }
    }
    let server = Harness::behind(std::sync::Arc::new(Named), |_, _| {}).await;
    let mut listening = server.subscribe(&[], "").await;
    listening.hear(2).await;
    assert_eq!(server.streams.end_where(|owner| owner == 7), 1);
    assert_eq!(listening.hear(1).await, ["bye revoked"]);
    let status = listening.next().await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    until(|| server.streams.listeners() == 0).await;
}
