//! A hundred thousand random requests, made from `/openapi.json` and then spoilt: whatever comes,
//! the answer is a declared one, every body is of its schema, and every refusal is a problem
//! document. `KURS_FUZZ_REQUESTS` asks for more, `KURS_FUZZ_SEED` for others.

mod judge;
mod plan;

use crate::client::Client;
use crate::harness::{HOUR, Harness};
use fastrand::Rng;
use judge::Judge;
use plan::{Asked, Plan};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

const REQUESTS: usize = 100_000;
const CONNECTIONS: u64 = 4;
/// Requests sent before the first answer is read.
const PIPELINED: usize = 50;

/// Sends its share of the requests over one connection after another.
async fn run(
    address: SocketAddr,
    (plan, judge): (Arc<Plan>, Arc<Judge>),
    mut rng: Rng,
    mut left: usize,
) -> HashMap<u16, usize> {
    let mut seen = HashMap::new();
    let mut waiting: Vec<Asked> = Vec::new();
    let mut barren = 0;
    while left > 0 || !waiting.is_empty() {
        let mut client = Client::connect(address).await;
        let mut answered = 0;
        'connection: loop {
            while waiting.len() < PIPELINED && left > 0 {
                waiting.push(plan.request(&mut rng));
                left -= 1;
            }
            if waiting.is_empty() {
                break;
            }
            let bytes: String = waiting.iter().map(|asked| asked.bytes.as_str()).collect();
            // A server that closes early may refuse the rest, which is sent again.
            let _ = client.try_send(&bytes).await;
            while !waiting.is_empty() {
                let Some(reply) = client.maybe_reply(waiting[0].is_head).await else {
                    break 'connection;
                };
                answered += 1;
                *seen.entry(reply.status).or_default() += 1;
                judge.judge(&plan, &waiting.remove(0), &reply);
                if reply.header("connection") == Some("close") || reply.is_stream() {
                    break 'connection;
                }
            }
        }
        barren = if answered == 0 { barren + 1 } else { 0 };
        assert!(barren < 3, "no answer at all to {}", waiting[0].bytes);
    }
    seen
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_random_requests_get_declared_answers() {
    let seed = number("KURS_FUZZ_SEED").unwrap_or(20_261_121);
    println!("KURS_FUZZ_SEED={seed}");
    let harness = Harness::with(|config| config.limits.connections_per_address = 20_000).await;
    harness.rate("BTC-USD", "54000.000123", "binance", HOUR);
    harness.writer(|command| match command {
        kurs_bus::Command::Track { symbol, pair, .. } => kurs_bus::Reply::Tracked {
            symbol: kurs_core::TrackedSymbol {
                symbol,
                pair,
                added_at: crate::harness::START,
            },
            created: true,
        },
        kurs_bus::Command::Untrack { .. } => kurs_bus::Reply::Untracked { existed: false },
        kurs_bus::Command::Book { source, pair, .. } => crate::books::shown(source, pair),
        kurs_bus::Command::Change { .. } => kurs_bus::Reply::Changed {
            version: 1,
            changed: true,
        },
    });
    let document = harness.get("/openapi.json").await.json();
    let plan = Arc::new(Plan::new(&document, seed));
    let judge = Arc::new(Judge::new(&document, &plan));
    let requests = number("KURS_FUZZ_REQUESTS").map_or(REQUESTS, |many| many.try_into().unwrap());
    let share = requests / usize::try_from(CONNECTIONS).unwrap();
    let runs: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            tokio::spawn(run(
                harness.address,
                (Arc::clone(&plan), Arc::clone(&judge)),
                Rng::with_seed(seed + number),
                share,
            ))
        })
        .collect();
    let mut seen: HashMap<u16, usize> = HashMap::new();
    for run in runs {
        for (status, count) in run.await.unwrap() {
            *seen.entry(status).or_default() += count;
        }
    }
    println!("{seen:?}");
    let asked = share * usize::try_from(CONNECTIONS).unwrap();
    assert_eq!(seen.values().sum::<usize>(), asked);
    for status in [
        200, 201, 204, 302, 304, 400, 401, 403, 404, 405, 406, 414, 415, 422,
    ] {
        assert!(
            seen.contains_key(&status),
            "{status} was never reached: {seen:?}"
        );
    }
}
