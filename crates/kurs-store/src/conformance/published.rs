//! What must hold of what was published.

use super::{all_published, all_published_pages, id, pair, published, rate};
use crate::{Batch, Published, PublishedEvent, PublishedQuery, Store, StoredRate};
use kurs_core::{Leg, Rate, SourceId, Wall};

const DAY_MS: i64 = 86_400_000;

fn write(events: Vec<Published>) -> Batch {
    Batch {
        published: events,
        ..Batch::default()
    }
}

/// Of each kind one, in order.
fn of_each_kind() -> Vec<Published> {
    let event = |seq: u64, event: PublishedEvent| Published {
        event,
        ..published(seq, i64::try_from(seq).unwrap() * 10, "1")
    };
    let StoredRate { rate: crossed, .. } = rate("BTC-USDT", id(3), "5424570.00");
    let leg = Leg {
        pair: pair("BTC-USD"),
        source: SourceId::parse("kraken").unwrap(),
        value: super::price("60000.10"),
        inverted: true,
        observed_at: Wall::from_unix_ms(20),
        expires_at: Wall::from_unix_ms(40),
    };
    let crossed = Rate {
        legs: Some([leg, leg].into()),
        published_at: Wall::from_unix_ms(30),
        ..crossed
    };
    let no_rate = |standing, withdraws| PublishedEvent::NoRate {
        why: "\"ключ\"\n is missing".into(),
        withdraws,
        standing,
    };
    vec![
        published(1, 10, "54000.1000"),
        event(
            2,
            no_rate(Some(Box::new(rate("BTC-USDT", id(1), "54000.1000"))), false),
        ),
        event(3, PublishedEvent::Rate(crossed)),
        event(4, no_rate(None, true)),
        event(5, PublishedEvent::Withdrawn),
    ]
}

pub(super) async fn events_are_kept_as_they_were(store: &dyn Store) {
    let events = of_each_kind();
    store.write(write(events.clone())).await.unwrap();
    for packs in [false, true] {
        if packs {
            let packing = store.pack(Wall::from_unix_ms(3 * DAY_MS)).await.unwrap();
            assert_eq!(packing.published, 5);
        }
        let read = all_published_pages(store, all_published(2)).await.unwrap();
        assert_eq!(read, events);
        assert_eq!(format!("{read:?}"), format!("{events:?}"), "trailing zeros");
        for event in &events {
            let last = store.published_at(event.published_at).await.unwrap();
            assert_eq!(last.as_slice(), std::slice::from_ref(event));
        }
    }
}

pub(super) async fn pages_of_events_are_ordered_and_bounded(store: &dyn Store) {
    let events = [
        published(9, 20, "9"),
        published(7, 20, "7"),
        published(8, 10, "8"),
        published(3, 40, "3"),
    ];
    store.write(write(events.to_vec())).await.unwrap();
    let seqs = async |query: PublishedQuery| -> Vec<u64> {
        let page = store.published(query).await.unwrap();
        page.events.iter().map(|event| event.id.seq.0).collect()
    };
    for packs in [false, true] {
        if packs {
            store.pack(Wall::from_unix_ms(3 * DAY_MS)).await.unwrap();
        }
        assert_eq!(seqs(all_published(10)).await, [8, 7, 9, 3]);
        assert_eq!(seqs(all_published(0)).await, [8], "at least one");
        let whole = store.published(all_published(4)).await.unwrap();
        assert_eq!(whole.next, None, "a page that is just full is the last one");
        let window = PublishedQuery {
            start: Wall::from_unix_ms(20),
            end: Wall::from_unix_ms(40),
            ..all_published(10)
        };
        assert_eq!(seqs(window.clone()).await, [7, 9]);
        let after = PublishedQuery {
            after: Some((Wall::from_unix_ms(20), id(7))),
            ..window
        };
        assert_eq!(seqs(after).await, [9]);
        let other = PublishedQuery {
            pair: pair("TON-USDT"),
            ..all_published(10)
        };
        assert!(seqs(other).await.is_empty());
        for limit in 1..5 {
            let read = all_published_pages(store, all_published(limit))
                .await
                .unwrap();
            let read: Vec<u64> = read.iter().map(|event| event.id.seq.0).collect();
            assert_eq!(read, [8, 7, 9, 3], "pages of {limit}");
        }
    }
}

pub(super) async fn the_last_event_of_a_moment_is_found_to_the_millisecond(store: &dyn Store) {
    let ether = |seq: u64, at_ms: i64| {
        let rate = rate("ETH-USDT", id(seq), "3000").rate;
        let published_at = Wall::from_unix_ms(at_ms);
        Published::rate(
            id(seq),
            Rate {
                published_at,
                ..rate
            },
        )
    };
    let events = vec![
        published(1, 100, "1"),
        published(6, 200, "6"),
        published(4, 200, "4"),
        ether(5, 200),
        published(7, 300, "7"),
    ];
    store.write(write(events)).await.unwrap();
    let seqs = async |at_us: i64| -> Vec<u64> {
        let events = store.published_at(Wall(at_us)).await.unwrap();
        events.iter().map(|event| event.id.seq.0).collect()
    };
    let days = Wall::from_unix_ms(3 * DAY_MS);
    for packs in [false, true] {
        if packs {
            assert_eq!(store.pack(days).await.unwrap().published, 5);
        }
        assert!(seqs(99_999).await.is_empty());
        assert_eq!(seqs(100_000).await, [1]);
        assert_eq!(seqs(199_999).await, [1]);
        assert_eq!(seqs(200_000).await, [6, 5], "the greatest id; by pair");
        assert_eq!(seqs(200_999).await, [6, 5], "all of the millisecond");
        assert_eq!(seqs(299_999).await, [6, 5]);
        assert_eq!(seqs(Wall::MAX.0).await, [7, 5]);
    }
    // A late one, in front of the block's last and behind it.
    let late = vec![published(2, 150, "2"), published(8, 400, "8")];
    store.write(write(late)).await.unwrap();
    assert_eq!(seqs(150_000).await, [2]);
    assert_eq!(seqs(200_000).await, [6, 5]);
    assert_eq!(seqs(400_000).await, [8, 5]);
}
