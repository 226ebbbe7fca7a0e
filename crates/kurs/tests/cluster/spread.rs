//! Three Writers share the pairs: each follows what it leads and stands by for.

use crate::support::PATIENCE;
use crate::world::{Node, World};
use kurs_testkit::wait::until_async;

const SHARDS: &str = "6";
const COINS: [&str; 7] = ["BTC", "ETH", "BNB", "SOL", "XRP", "TON", "TRX"];

/// A figure that a process tells of itself.
async fn figure(node: &Node, name: &str) -> u64 {
    node.door.metric(name).await.unwrap_or(0)
}

/// Waits until each of three Writers leads two shards and follows a part of the pairs.
async fn is_shared(writers: &[Node]) -> Vec<u64> {
    until_async("each leads two and follows a part", PATIENCE, || async {
        let mut followed = Vec::new();
        for writer in writers {
            if figure(writer, "kurs_lease_held ").await != 2 {
                return None;
            }
            followed.push(figure(writer, "kurs_pairs_followed ").await);
        }
        let sum: u64 = followed.iter().sum();
        // Each pair by the one that leads and by one that stands by.
        (sum == 2 * u64::try_from(COINS.len()).unwrap()).then_some(followed)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_writers_follow_each_pair_twice_and_a_killed_one_leaves_no_gap() {
    let world = World::start(521).await;
    let pairs = COINS.map(|coin| format!("{coin}-USDT"));
    let listed = pairs.join(",");
    let settings = [("KURS_WRITER__SHARDS", SHARDS), ("KURS_PAIRS", &*listed)];
    let mut writers = Vec::new();
    for name in ["writer-0", "writer-1", "writer-2"] {
        writers.push(world.node("writer", name, &settings).await);
    }
    let reader = world.reader("reader").await;
    let consumer = world.consumer().await;
    let followed = is_shared(&writers).await;
    println!("three Writers follow {followed:?} of {} pairs", COINS.len());
    for pair in &pairs {
        reader.until_fresh(pair).await;
    }
    // The book of a pair that the lead does not follow: it does when somebody asks.
    for coin in COINS {
        until_async("the book is shown", PATIENCE, || async {
            let path = format!("/api/v1/books/binance/{coin}USDT");
            let (status, answer) = reader.get(&path).await;
            assert!(status == 200 || status == 503, "{status} {answer}");
            (status == 200).then_some(())
        })
        .await;
    }
    let (status, _) = reader.get("/api/v1/books/binance/LTCUSDT").await;
    assert_eq!(status, 404, "it is not tracked");

    let killed = writers.remove(1);
    drop(killed.process.kill());
    until_async("two Writers lead all", PATIENCE, || async {
        let mut held = 0;
        for writer in &writers {
            held += figure(writer, "kurs_lease_held ").await;
        }
        (held == 6).then_some(())
    })
    .await;
    until_async("two Writers follow everything", PATIENCE, || async {
        for writer in &writers {
            if figure(writer, "kurs_pairs_followed ").await < 7 {
                return None;
            }
        }
        Some(())
    })
    .await;
    for pair in &pairs {
        reader.until_fresh(pair).await;
    }
    let of_content = |told: &String| told.contains("missing") || told.contains("twice");
    let mut complaints = consumer.complaints();
    complaints.retain(of_content);
    assert_eq!(complaints, Vec::<String>::new());
}
