//! Connections that send nothing, a byte now and then, or half a head: the real limits close them,
//! and nobody else is harmed.

use crate::support::{Kurs, PATIENCE};
use kurs_sim::{Sim, SimConfig};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const HEAD: &[u8] = b"GET /api/v1/rates/BTC/USDT HTTP/1.1\r\nHost: localhost\r\n";
/// What is promised.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);
/// Longer only on a machine that does much else.
const CLOSED_AT_LAST: Duration = Duration::from_secs(40);

fn count() -> usize {
    let text = std::env::var("SLOW_CLIENTS").unwrap_or_else(|_| "500".to_owned());
    text.parse().unwrap()
}

/// Behaves badly until the server closes; how long that took.
async fn hold(address: SocketAddr, kind: usize) -> Duration {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let began = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let send = async {
        match kind {
            0 => {}
            1 => drop(writer.write_all(&HEAD[..HEAD.len() / 2]).await),
            _ => {
                for byte in HEAD {
                    if writer.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_secs(10)).await;
                }
            }
        }
        std::future::pending::<()>().await;
    };
    let mut rest = Vec::new();
    tokio::select! {
        () = send => {}
        _ = reader.read_to_end(&mut rest) => {}
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hold_a_connection_are_closed_and_a_healthy_one_is_unharmed() {
    let sim = Sim::start(SimConfig::default(), ([127, 0, 0, 1], 0).into())
        .await
        .unwrap();
    let settings = [("KURS_HTTP__LIMITS__CONNECTIONS_PER_ADDRESS", "10000")];
    let kurs = Kurs::start(&sim, &settings, None).await;
    kurs.until("BTC-USDT", |rate| rate["state"] == "fresh")
        .await;
    let address: SocketAddr = kurs.url("").trim_start_matches("http://").parse().unwrap();
    let count = count();

    let mut slow = JoinSet::new();
    for number in 0..count {
        slow.spawn(hold(address, number % 3));
        // The queue of the listener is short: nobody else shall wait behind all of them.
        if number % 50 == 49 {
            tokio::task::yield_now().await;
        }
    }
    let (mut longest, mut asked) = (Duration::ZERO, Vec::new());
    let all_closed = async {
        while !slow.is_empty() {
            let began = Instant::now();
            let reply = kurs.rate("BTC-USDT").await;
            assert_eq!(reply.status, 200, "{}", reply.json);
            asked.push(began.elapsed());
            while let Some(held) = slow.try_join_next() {
                longest = longest.max(held.unwrap());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ended = tokio::time::timeout(PATIENCE + CLOSED_AT_LAST, all_closed).await;
    assert!(ended.is_ok(), "some are open still");
    asked.sort_unstable();
    let p99 = asked[asked.len() * 99 / 100];
    println!(
        "{count} connections, the last closed after {longest:?} (promised: {CLOSED_WITHIN:?}); \
         {} healthy requests meanwhile, p99 {p99:?}",
        asked.len()
    );
    assert!(longest >= CLOSED_WITHIN / 2, "cut too early: {longest:?}");
    assert!(longest < CLOSED_AT_LAST, "{longest:?}");
    let metrics = reqwest::get(kurs.url("/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let cut: u64 = metrics
        .lines()
        .filter(|line| line.contains("head_timeout"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    // A healthy client may have opened a connection that it did not need in the end.
    assert!(
        cut >= count as u64,
        "each for the head that did not come: {cut}"
    );
}
