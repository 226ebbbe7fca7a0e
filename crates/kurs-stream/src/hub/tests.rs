use super::*;
use crate::mailbox::Item;
use kurs_bus::{Body, NoRate};
use kurs_core::{
    Choice, Clock, Epoch, ManualClock, Mono, Now, Price, Rate, Seq, SourceId, UpdateId, Wall,
};
use kurs_reader::ViewConfig;
use serde_json::Value;

struct Desk {
    hub: Arc<Hub>,
    clock: Arc<ManualClock>,
    seq: u64,
}

fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

fn rate_of(text: &str) -> Topic {
    Topic::Rate(pair(text))
}

/// What a listener has heard: kind and data, and the position after it.
struct Heard {
    kind: &'static str,
    data: Value,
    position: String,
}

impl Desk {
    fn new() -> Self {
        let start = Now {
            mono: Mono(5_000_000_000),
            wall: Wall::from_unix_seconds(1_800_000_000),
        };
        let clock = Arc::new(ManualClock::new(start));
        let view = RateView::new(Arc::clone(&clock) as Arc<dyn Clock>, ViewConfig::default());
        let config = StreamConfig {
            mailbox_events: 16,
            ..StreamConfig::default()
        };
        let hub = Hub::new(Arc::new(view), config, StreamMetrics::default(), 7);
        Self { hub, clock, seq: 0 }
    }

    fn send(&mut self, body: Body) {
        self.seq += 1;
        let id = UpdateId {
            shard: 0,
            epoch: Epoch(3),
            seq: Seq(self.seq),
        };
        let update = Arc::new(Update {
            id,
            body,
            cause: None,
            at: None,
        });
        let view = Arc::clone(&self.hub.view);
        assert!(Told::around(&*self.hub, &update, &mut || view.apply(&update)));
    }

    fn publish(&mut self, market: &str, value: &str) {
        let now = self.clock.now().wall;
        let source = SourceId::parse("binance").unwrap();
        let rate = Rate {
            pair: pair(market),
            value: Price::parse(value).unwrap(),
            bid: None,
            ask: None,
            confidence: None,
            source,
            state: RateState::Fresh,
            legs: None,
            observed_at: now,
            published_at: now,
            valid_for: Duration::from_secs(5),
            evidence: None,
            depeg: None,
            choice: Arc::new(Choice {
                source,
                since: now,
                reason: "first".into(),
                skipped: Vec::new(),
            }),
        };
        self.send(Body::Rate(rate));
    }

    fn listen(&self, topics: &[Topic], resume: Option<&str>) -> Listener {
        let resume = resume.map(|text| text.parse().unwrap());
        self.hub.listen(topics, resume).unwrap()
    }
}

fn heard(listener: &Listener) -> Vec<Heard> {
    let mut heard = Vec::new();
    while let Some(Item::Event(event)) = listener.next() {
        heard.push(Heard {
            kind: event.kind.as_str(),
            data: serde_json::from_slice(event.data()).unwrap(),
            position: event.position().to_owned(),
        });
    }
    heard
}

/// Kinds, and of rates the pair with its value.
fn short(listener: &Listener) -> Vec<String> {
    let tell = |heard: Heard| match heard.kind {
        "rate" => {
            let rate = &heard.data["rate"];
            let text = |key: &str| rate[key].as_str().unwrap().to_owned();
            format!("{} {} {}", text("pair"), text("value"), text("state"))
        }
        "snapshot" => {
            let rates = heard.data["rates"].as_array().unwrap();
            let values = rates.iter().map(|rate| rate["value"].as_str().unwrap());
            format!("snapshot {}", values.collect::<Vec<_>>().join(" "))
        }
        "gap" => format!("gap {}", heard.data["reason"].as_str().unwrap()),
        "error" => format!("error {}", heard.data["code"].as_str().unwrap()),
        kind => kind.to_owned(),
    };
    heard(listener).into_iter().map(tell).collect()
}

#[test]
fn a_listener_is_told_how_its_topics_stand_and_then_every_update_of_them() {
    let mut desk = Desk::new();
    desk.publish("BTC-USD", "100");
    desk.publish("ETH-USD", "10");
    let one = desk.listen(&[rate_of("BTC-USD")], None);
    let all = desk.listen(&[Topic::Rates], None);
    desk.publish("BTC-USD", "101");
    desk.publish("ETH-USD", "11");
    assert_eq!(short(&one), ["hello", "snapshot 100", "BTC-USD 101 fresh"]);
    assert_eq!(
        short(&all),
        [
            "hello",
            "snapshot 100 10",
            "BTC-USD 101 fresh",
            "ETH-USD 11 fresh"
        ]
    );
    assert_eq!(desk.hub.listeners(), 2);
    drop((one, all));
    assert_eq!(desk.hub.listeners(), 0);
    assert!(desk.hub.inner.lock().topics.is_empty());
}

#[test]
fn whoever_comes_back_to_any_instance_hears_what_it_missed_and_nothing_twice() {
    let (mut here, mut there) = (Desk::new(), Desk::new());
    for desk in [&mut here, &mut there] {
        desk.publish("BTC-USD", "100");
    }
    let listener = here.listen(&[rate_of("BTC-USD")], None);
    let position = heard(&listener).pop().unwrap().position;
    assert_eq!(position, "0.3-1");
    drop(listener);
    there.publish("BTC-USD", "101");
    there.publish("ETH-USD", "10");
    there.publish("BTC-USD", "102");
    let back = there.listen(&[rate_of("BTC-USD")], Some(&position));
    assert_eq!(
        short(&back),
        ["hello", "BTC-USD 101 fresh", "BTC-USD 102 fresh"]
    );
    there.publish("BTC-USD", "103");
    let last = heard(&back).pop().unwrap();
    assert_eq!(last.position, "0.3-5");
    // What has not changed since is no news.
    let all = there.listen(&[Topic::Rates], Some("0.3-5"));
    there.hub.tell_expired();
    assert_eq!(short(&all), ["hello"]);
    // The other instance is behind: what it tells later was heard already.
    let ahead = here.listen(&[rate_of("BTC-USD")], Some("0.3-4"));
    here.publish("BTC-USD", "101");
    here.publish("ETH-USD", "10");
    here.publish("BTC-USD", "102");
    here.publish("BTC-USD", "103");
    assert_eq!(short(&ahead), ["hello", "BTC-USD 103 fresh"]);
}

#[test]
fn an_instance_that_is_behind_never_takes_the_place_of_a_client_back() {
    let mut behind = Desk::new();
    behind.publish("BTC-USDT", "100");
    behind.publish("USDT-RUB", "80");
    let topics = [rate_of("BTC-USDT"), rate_of("BTC-RUB")];
    let listener = behind.listen(&topics, Some("0.3-9"));
    let _ = heard(&listener);
    behind.publish("USDT-RUB", "81");
    behind.hub.tell_derived();
    let beat = behind.hub.inner.lock().heartbeat();
    behind.hub.inner.lock().tell_all(&beat);
    for told in heard(&listener) {
        assert_eq!(told.position, "0.3-9", "{}", told.kind);
    }
}

#[test]
fn what_still_waits_at_the_end_is_told_elsewhere() {
    let (mut ends, mut stays) = (Desk::new(), Desk::new());
    for desk in [&mut ends, &mut stays] {
        desk.publish("BTC-USD", "100");
    }
    let listener = ends.listen(&[Topic::Rates], None);
    let heard_up_to = heard(&listener).pop().unwrap().position;
    for desk in [&mut ends, &mut stays] {
        desk.publish("BTC-USD", "101");
    }
    ends.hub.drain();
    let bye = heard(&listener).pop().unwrap();
    assert_eq!((bye.kind, &*bye.position), ("bye", ""));
    let back = stays.listen(&[Topic::Rates], Some(&heard_up_to));
    assert_eq!(short(&back), ["hello", "BTC-USD 101 fresh"]);
}

#[test]
fn a_place_that_is_not_known_any_more_is_told_as_a_gap_and_a_snapshot() {
    let mut desk = Desk::new();
    desk.publish("BTC-USD", "100");
    desk.publish("BTC-USD", "101");
    Hub::lost(&desk.hub, "fell behind");
    let back = desk.listen(&[rate_of("BTC-USD")], Some("0.3-1"));
    assert_eq!(short(&back), ["hello", "gap resume", "snapshot 101"]);
    Hub::lost(&desk.hub, "fell behind");
    assert_eq!(short(&back), ["gap lost", "snapshot 101"]);
}

#[test]
fn a_derived_rate_is_told_when_one_of_its_legs_changes() {
    let mut desk = Desk::new();
    desk.publish("BTC-USDT", "100");
    desk.publish("USDT-RUB", "80");
    let listener = desk.listen(&[rate_of("BTC-RUB")], None);
    assert_eq!(short(&listener), ["hello", "snapshot 8000"]);
    desk.publish("USDT-RUB", "81");
    desk.publish("BTC-USDT", "101");
    assert_eq!(short(&listener), [] as [&str; 0]);
    desk.hub.tell_derived();
    assert_eq!(short(&listener), ["BTC-RUB 8181 fresh"]);
    desk.hub.tell_derived();
    assert_eq!(short(&listener), [] as [&str; 0]);
    drop(listener);
    let inner = desk.hub.inner.lock();
    assert!(inner.made_of.is_empty() && inner.told.is_empty());
}

#[test]
fn what_runs_out_without_a_word_is_told() {
    let mut desk = Desk::new();
    desk.publish("BTC-USDT", "100");
    desk.publish("USDT-RUB", "80");
    let one = desk.listen(&[rate_of("BTC-USDT"), rate_of("BTC-RUB")], None);
    let all = desk.listen(&[Topic::Rates], None);
    let _ = (short(&one), short(&all));
    desk.hub.tell_expired();
    assert_eq!(short(&one), [] as [&str; 0]);
    desk.clock.advance(Duration::from_secs(5));
    desk.hub.tell_expired();
    let told = short(&one);
    assert!(told.contains(&"BTC-USDT 100 stale".to_owned()), "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(short(&all).len(), 2);
    desk.hub.tell_expired();
    assert_eq!(short(&one), [] as [&str; 0], "once");
}

#[test]
fn a_pair_without_a_rate_is_an_error_of_its_topic() {
    let mut desk = Desk::new();
    desk.publish("BTC-USD", "100");
    let topics = [rate_of("BTC-USD"), rate_of("DOGE-USD")];
    let listener = desk.listen(&topics, None);
    let told = heard(&listener);
    assert_eq!(told[1].data["errors"][0]["code"], "no-rate-yet");
    assert_eq!(told[1].data["errors"][0]["topic"], "rate:DOGE-USD");
    let why = "too few sources".into();
    desk.send(Body::NoRate(NoRate {
        pair: pair("BTC-USD"),
        why,
        withdraws: true,
    }));
    assert_eq!(short(&listener), ["error no-rate"]);
}

#[test]
fn a_topic_can_be_joined_and_left_while_listening() {
    let mut desk = Desk::new();
    desk.publish("BTC-USD", "100");
    desk.publish("ETH-USD", "10");
    let mut listener = desk.listen(&[], None);
    assert_eq!(short(&listener), ["hello", "snapshot "]);
    listener.subscribe(&[rate_of("ETH-USD")]).unwrap();
    desk.publish("ETH-USD", "11");
    assert_eq!(short(&listener), ["snapshot 10", "ETH-USD 11 fresh"]);
    listener.unsubscribe(&[rate_of("ETH-USD")]);
    desk.publish("ETH-USD", "12");
    assert_eq!(short(&listener), [] as [&str; 0]);
    let many: Vec<Topic> = (0..501).map(|n| rate_of(&format!("A{n}-USD"))).collect();
    assert_eq!(listener.subscribe(&many), Err(Refused::TooManyTopics(500)));
}

#[test]
fn many_who_come_at_once_share_one_picture_of_all_rates() {
    let mut desk = Desk::new();
    for n in 0..1_200 {
        desk.publish(&format!("A{n}-USD"), "1");
    }
    let first = desk.listen(&[Topic::Rates], None);
    desk.publish("A7-USD", "2");
    let second = desk.listen(&[Topic::Rates], None);
    let (first, second) = (heard(&first), heard(&second));
    let kinds = |heard: &[Heard]| heard.iter().map(|one| one.kind).collect::<Vec<_>>();
    assert_eq!(
        kinds(&first),
        ["hello", "snapshot", "snapshot", "snapshot", "rate"]
    );
    assert_eq!(kinds(&first), kinds(&second));
    let is_last = |heard: &Heard| heard.data["last"].as_bool().unwrap();
    assert!(!is_last(&second[1]) && is_last(&second[3]));
    let rates: usize = second[1..4]
        .iter()
        .map(|part| part.data["rates"].as_array().unwrap().len())
        .sum();
    assert_eq!(rates, 1_200);
    assert_eq!(second[4].data["rate"]["value"], "2");
}

#[test]
fn when_this_instance_ends_everybody_is_sent_elsewhere_at_a_moment_of_its_own() {
    let desk = Desk::new();
    let listeners: Vec<Listener> = (0..20)
        .map(|_| desk.listen(&[Topic::Rates], None))
        .collect();
    for listener in &listeners {
        let _ = short(listener);
    }
    desk.hub.drain();
    let mut waits = std::collections::BTreeSet::new();
    for listener in &listeners {
        let told = heard(listener);
        assert_eq!(told[0].kind, "bye");
        waits.insert(told[0].data["reconnect_after_ms"].as_u64().unwrap());
        assert!(matches!(listener.next(), Some(Item::End(Ended::Drained))));
    }
    assert!(waits.len() > 15 && waits.iter().all(|wait| *wait <= 5_000));
    let refused = desk.hub.listen(&[Topic::Rates], None);
    assert_eq!(refused.unwrap_err(), Refused::Draining);
}

#[test]
fn a_silent_bus_is_told_and_what_comes_out_of_the_store_as_well() {
    let mut desk = Desk::new();
    desk.publish("BTC-USD", "100");
    let listener = desk.listen(&[rate_of("BTC-USD")], None);
    let _ = short(&listener);
    Hub::degraded(&desk.hub, "the bus is silent");
    Hub::degraded(&desk.hub, "the bus is silent");
    let told = heard(&listener);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].data["degraded"], "the bus is silent");
    Hub::restored(&desk.hub, &[pair("BTC-USD"), pair("ETH-USD")]);
    assert_eq!(short(&listener), ["BTC-USD 100 fresh"]);
    // Not every update was heard here: nobody goes on from before.
    let back = desk.listen(&[rate_of("BTC-USD")], Some("0.3-0"));
    assert_eq!(short(&back), ["hello", "gap resume", "snapshot 100"]);
}
