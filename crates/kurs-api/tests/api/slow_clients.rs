//! Clients that hold a connection without using it are closed, each by its own deadline
//! (conventions 56, research/reliability.md section 5).

use crate::client::Client;
use crate::harness::{Harness, assert_problem};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Deadlines short enough for tests, and far apart so that the right one is seen to act.
async fn harness(change: impl FnOnce(&mut kurs_api::Limits)) -> Harness {
    Harness::with(|config| {
        config.limits.head_ms = 1_000;
        config.limits.idle_ms = 200;
        config.limits.body_ms = 200;
        config.limits.write_ms = 200;
        change(&mut config.limits);
    })
    .await
}

fn cut(harness: &Harness, reason: &'static str) -> u64 {
    harness.metrics.http.cut(reason).get()
}

#[tokio::test]
async fn a_silent_client_is_closed() {
    let harness = harness(|limits| limits.idle_ms = 3_600_000).await;
    harness.client().await.closed().await;
    assert_eq!(cut(&harness, "head_timeout"), 1);
}

#[tokio::test]
async fn the_start_of_an_http2_preface_is_closed() {
    let harness = harness(|limits| limits.idle_ms = 3_600_000).await;
    let mut client = harness.client().await;
    client.send("PRI").await;
    client.closed().await;
    assert_eq!(cut(&harness, "head_timeout"), 1);
}

#[tokio::test]
async fn a_head_without_end_is_closed_however_many_bytes_come() {
    let harness = harness(|limits| limits.idle_ms = 3_600_000).await;
    let client = harness.client().await;
    let (mut reader, mut writer) = client.stream.into_split();
    let drip = tokio::spawn(async move {
        let _ = writer.write_all(b"GET / HTTP/1.1\r\n").await;
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        while writer.write_all(b"a: b\r\n").await.is_ok() {
            pause.tick().await;
        }
    });
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(
        crate::client::GUARD,
        tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut rest),
    )
    .await;
    assert!(ended.is_ok());
    drip.abort();
    assert_eq!(cut(&harness, "head_timeout"), 1);
}

#[tokio::test]
async fn idle_after_a_request_has_its_own_longer_deadline() {
    let harness = harness(|limits| limits.idle_ms = 5_000).await;
    let mut client = harness.client().await;
    assert_eq!(
        client.ask("GET", "/api/v1/rates/BTC/USD", "").await.status,
        200
    );
    // Longer than the deadline of a head: the connection must live on.
    let silent = tokio::time::timeout(Duration::from_millis(1_500), client.closed()).await;
    assert!(silent.is_err(), "closed by the deadline of a head");
    assert_eq!(client.ask("GET", "/livez", "").await.status, 200);
    client.closed().await;
    assert_eq!(
        (cut(&harness, "idle_timeout"), cut(&harness, "head_timeout")),
        (1, 0)
    );
}

#[tokio::test]
async fn a_second_head_without_end_is_closed() {
    let harness = harness(|limits| limits.idle_ms = 3_600_000).await;
    let mut client = harness.client().await;
    assert_eq!(client.ask("GET", "/livez", "").await.status, 200);
    client.send("GET /li").await;
    client.closed().await;
    assert_eq!(cut(&harness, "head_timeout"), 1);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_with_408() {
    let harness = harness(|limits| {
        limits.head_ms = 3_600_000;
        limits.idle_ms = 3_600_000;
    })
    .await;
    let mut client = harness.client().await;
    client.send("POST /api/v1/currency HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{").await;
    assert_problem(&client.reply(false).await, 408, "request-timeout");
    client.closed().await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed() {
    let harness = harness(|limits| {
        limits.head_ms = 3_600_000;
        limits.idle_ms = 3_600_000;
    })
    .await;
    let client = harness.client().await;
    let request = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (_reader, mut writer) = client.stream.into_split();
    // Answers pile up in the sockets' buffers until the server can write no more; it then stops
    // reading, and in the end closes, so that writing fails.
    let flood = async { while writer.write_all(request.as_bytes()).await.is_ok() {} };
    assert!(
        tokio::time::timeout(crate::client::GUARD, flood)
            .await
            .is_ok(),
        "still open"
    );
    assert_eq!(cut(&harness, "write_timeout"), 1);
}

#[tokio::test]
async fn connections_of_one_address_and_of_all_are_capped() {
    for (reason, change) in [
        (
            "address_capacity",
            (|limits| limits.connections_per_address = 2) as fn(&mut kurs_api::Limits),
        ),
        ("capacity", |limits| limits.connections = 2),
    ] {
        let harness = Harness::with(|config| change(&mut config.limits)).await;
        let mut kept: Vec<Client> = vec![harness.client().await, harness.client().await];
        for client in &mut kept {
            assert_eq!(client.ask("GET", "/livez", "").await.status, 200);
        }
        let mut refused = harness.client().await;
        assert_problem(
            &refused.reply(false).await,
            503,
            "temporary-reduced-capacity",
        );
        assert_eq!(cut(&harness, reason), 1);
        // A place that is given back can be taken again.
        kept.pop();
        loop {
            let mut again = harness.client().await;
            again
                .send("GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .await;
            if again
                .maybe_reply(false)
                .await
                .is_some_and(|reply| reply.status == 200)
            {
                break;
            }
        }
    }
}

/// How many connections of this process there may be, each with a socket on both sides.
fn most_connections(wanted: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok())
        .unwrap_or(1_024);
    wanted.min(files.saturating_sub(200) / 2)
}

/// Opens connections that send nothing, a byte now and then, and half of `beginning`; asks as an
/// ordinary client all the while; returns when all of them are closed.
async fn flood(
    count: usize,
    address: std::net::SocketAddr,
    beginning: &'static [u8],
    healthy: impl AsyncFn(),
) {
    let mut slow = tokio::task::JoinSet::new();
    for number in 0..count {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        slow.spawn(async move {
            let (mut reader, mut writer) = stream.into_split();
            let send = async {
                match number % 3 {
                    0 => {}
                    1 => drop(writer.write_all(&beginning[..beginning.len() / 2]).await),
                    _ => {
                        let mut pause = tokio::time::interval(Duration::from_millis(500));
                        for byte in beginning {
                            pause.tick().await;
                            if writer.write_all(&[*byte]).await.is_err() {
                                break;
                            }
                        }
                    }
                }
                std::future::pending::<()>().await;
            };
            let mut rest = Vec::new();
            tokio::select! {
                () = send => {}
                _ = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut rest) => {}
            }
        });
    }
    let all_closed = async {
        while !slow.is_empty() {
            healthy().await;
            while slow.try_join_next().is_some() {}
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = tokio::time::timeout(3 * crate::client::GUARD, all_closed).await;
    assert!(ended.is_ok(), "some are open still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_slow_clients_are_closed_and_others_are_unharmed() {
    let count = most_connections(5_000);
    let harness = harness(|limits| {
        limits.head_ms = 3_000;
        limits.idle_ms = 3_600_000;
        limits.connections_per_address = 10_000;
    })
    .await;
    let client = tokio::sync::Mutex::new(harness.client().await);
    let beginning = b"GET /api/v1/rates/BTC/USD HTTP/1.1\r\nHost: localhost\r\n";
    flood(count, harness.address, beginning, async || {
        let mut client = client.lock().await;
        let reply = client.ask("GET", "/api/v1/rates/BTC/USD", "").await;
        assert_eq!(reply.status, 200);
        // Who comes newly is served as well.
        assert_eq!(harness.get("/livez").await.status, 200);
    })
    .await;
    assert_eq!(cut(&harness, "head_timeout"), count as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_that_never_shake_hands_are_closed_and_others_are_unharmed() {
    let count = most_connections(1_000);
    let secure = crate::secure::Secure::with(
        |config| {
            config.limits.handshake_ms = 3_000;
            config.limits.connections_per_address = 10_000;
        },
        |_| {},
    )
    .await;
    let client = secure.reqwest(|builder| builder);
    // The beginning of a ClientHello of 512 bytes.
    let beginning = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 0, 0, 0, 0, 0];
    flood(count, secure.address, beginning, async || {
        let answer = client.get(secure.url("/livez")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    })
    .await;
    assert_eq!(secure.cut("handshake_timeout"), count as u64);
}
