use super::*;
use kurs_core::{Epoch, Pair, Seq, UpdateId};

fn event(pair: &str, seq: u64) -> Arc<Event> {
    let id = UpdateId {
        shard: 0,
        epoch: Epoch(1),
        seq: Seq(seq),
    };
    let topic = Topic::Rate(Pair::parse(pair).unwrap());
    let document = serde_json::json!({"pair": pair, "seq": seq});
    Arc::new(Event::of(EventKind::Rate, &document, id.to_string().into()).about(topic, id))
}

fn mailbox(heard: Option<&str>) -> Arc<Mailbox> {
    let config = StreamConfig {
        mailbox_events: 8,
        ..StreamConfig::default()
    };
    let heard = heard.map(|text| text.parse().unwrap());
    Arc::new(Mailbox::new(&config, heard))
}

fn seqs(mailbox: &Mailbox) -> Vec<u64> {
    let mut seqs = Vec::new();
    while let Some(Item::Event(event)) = mailbox.next() {
        seqs.push(event.id.map_or(0, |id| id.seq.0));
    }
    seqs
}

#[test]
fn what_was_asked_for_is_never_left_out() {
    let mailbox = mailbox(None);
    let snapshot = || {
        Arc::new(Event::of(
            EventKind::Snapshot,
            &serde_json::json!({}),
            "".into(),
        ))
    };
    mailbox.say([snapshot()]);
    for seq in 1..=20 {
        mailbox.push(&event("BTC-USD", seq));
    }
    mailbox.say([snapshot()]);
    mailbox.push(&event("BTC-USD", 21));
    let mut kinds = Vec::new();
    while let Some(Item::Event(event)) = mailbox.next() {
        kinds.push(event.kind);
    }
    use EventKind::{Gap, Rate, Snapshot};
    assert_eq!(kinds, [Gap, Snapshot, Snapshot, Rate]);
}

#[test]
fn a_slow_listener_gets_the_newest_of_each_topic_and_is_told_how_much_it_missed() {
    let mailbox = mailbox(None);
    for seq in 1..=50 {
        let pair = if seq % 2 == 0 { "BTC-USD" } else { "ETH-USD" };
        mailbox.push(&event(pair, seq));
    }
    assert_eq!(mailbox.conflations(), 1);
    let Some(Item::Event(gap)) = mailbox.next() else {
        panic!("it was too slow")
    };
    assert_eq!(gap.kind, EventKind::Gap);
    assert_eq!(gap.data(), r#"{"reason":"slow","missed":48}"#.as_bytes());
    assert_eq!(seqs(&mailbox), [49, 50]);
    mailbox.push(&event("BTC-USD", 51));
    assert_eq!(seqs(&mailbox), [51], "it is quick again");
}

#[test]
fn what_was_heard_elsewhere_is_not_told_again() {
    let mailbox = mailbox(Some("0.1-10"));
    for seq in 8..=12 {
        mailbox.push(&event("BTC-USD", seq));
    }
    assert_eq!(seqs(&mailbox), [11, 12]);
    mailbox.passed(&"0.1-12".parse().unwrap());
    mailbox.push(&event("BTC-USD", 9));
    assert_eq!(seqs(&mailbox), [9], "the guard is only for the beginning");
}

#[test]
fn the_last_word_comes_first_and_nothing_after_it() {
    let mailbox = mailbox(None);
    mailbox.push(&event("BTC-USD", 1));
    let bye = Event::of(EventKind::Bye, &serde_json::json!({}), "".into());
    mailbox.end(Ended::Drained, Some(Arc::new(bye)));
    mailbox.push(&event("BTC-USD", 2));
    let Some(Item::Event(bye)) = mailbox.next() else {
        panic!("a last word")
    };
    assert_eq!(bye.kind, EventKind::Bye);
    for _ in 0..2 {
        assert!(matches!(mailbox.next(), Some(Item::End(Ended::Drained))));
    }
}

#[test]
fn many_large_events_do_not_wait_either() {
    let mailbox = Arc::new(Mailbox::new(&StreamConfig::default(), None));
    let large = serde_json::json!({"why": "x".repeat(10_000)});
    for seq in 1..=200 {
        let topic = Topic::Rate(Pair::parse("BTC-USD").unwrap());
        let id = event("BTC-USD", seq).id.unwrap();
        let event = Event::of(EventKind::Rate, &large, "".into()).about(topic, id);
        mailbox.push(&Arc::new(event));
    }
    let inner = mailbox.inner.lock();
    assert!(inner.bytes <= 1_048_576 && inner.queue.is_empty());
    assert_eq!(inner.newest.as_ref().unwrap().by_topic.len(), 1);
}
