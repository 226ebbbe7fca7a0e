mod books;
mod guard;
mod medians;
mod none;
mod priority;
mod properties;
mod rules;
mod sides;

use super::*;
use kurs_core::{Depth, Level, Price, Quote, Rate, RateState, SourceKind, Tick, Wall};

const HOLD: Duration = Duration::from_secs(10);
const STREAM: Duration = Duration::from_secs(5);
const TABLE: Duration = Duration::from_secs(70);
const DAY: Duration = Duration::from_secs(86_400);

/// An engine with its clock; every step collects what was published.
struct Desk {
    engine: Engine,
    now: Now,
    effects: Vec<Effect>,
}

fn source(name: &str) -> SourceId {
    SourceId::parse(name).unwrap()
}

fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

fn info(name: &str, kind: SourceKind, priority: u16) -> SourceInfo {
    SourceInfo {
        id: source(name),
        kind,
        priority,
        hold: HOLD,
    }
}

fn tick(market: &str, quote: Quote, valid_for: Duration) -> Tick {
    Tick {
        pair: pair(market),
        quote,
        sizes: None,
        observed_at: None,
        valid_for,
        event_id: None,
    }
}

impl Desk {
    /// Five exchanges and policies as a configuration file writes them, in JSON.
    fn with(directions: &[&str], policies: &[(&str, &str)]) -> Self {
        let sources = vec![
            info("binance", SourceKind::Exchange, 1),
            info("coinbase", SourceKind::Exchange, 2),
            info("kraken", SourceKind::Exchange, 3),
            info("bybit", SourceKind::Exchange, 4),
            info("okx", SourceKind::Exchange, 5),
            info("coingecko", SourceKind::Aggregator, 6),
            info("cbr", SourceKind::Bank, 10),
            info("ecb", SourceKind::Bank, 11),
        ];
        let directions = directions.iter().map(|text| pair(text)).collect();
        let mut config = EngineConfig::new(sources, directions);
        for (market, policy) in policies {
            let written: crate::WrittenPolicy = serde_json::from_str(policy).unwrap();
            config.policies.insert(pair(market), written.0);
        }
        Self {
            engine: Engine::new(config),
            ..Self::new(&[])
        }
    }

    fn depth(&mut self, name: &str, market: &str, bids: &str, asks: &str) -> &mut Self {
        let side = |text: &str| -> Box<[Level]> {
            let level = |part: &str| {
                let (at, size) = part.split_once('x').unwrap();
                Level {
                    price: price(at),
                    size: size.parse().unwrap(),
                }
            };
            text.split(' ').map(level).collect()
        };
        let depth = Some(Arc::new(Depth {
            bids: side(bids),
            asks: side(asks),
        }));
        let pair = pair(market);
        self.say(
            name,
            EventKind::Depth {
                pair,
                depth,
                valid_for: STREAM,
            },
        )
    }

    /// A tick whose bid and ask are half a percent of a percent around the value.
    fn near(&mut self, name: &str, market: &str, value: &str) -> &mut Self {
        let value: rust_decimal::Decimal = value.parse().unwrap();
        let around = value * rust_decimal::Decimal::new(5, 5);
        let (bid, ask) = ((value - around).to_string(), (value + around).to_string());
        self.stream(name, market, &bid, &ask)
    }

    fn evidence(&self, market: &str) -> &kurs_core::rate::Evidence {
        self.last(market).unwrap().evidence.as_ref().unwrap()
    }

    fn reason(&self, market: &str) -> &str {
        &self.last(market).unwrap().choice.reason
    }

    fn new(directions: &[&str]) -> Self {
        let sources = vec![
            info("binance", SourceKind::Exchange, 1),
            info("kraken", SourceKind::Exchange, 3),
            info("coingecko", SourceKind::Aggregator, 6),
            info("cbr", SourceKind::Bank, 10),
        ];
        let directions = directions.iter().map(|text| pair(text)).collect();
        let config = EngineConfig::new(sources, directions);
        let now = Now {
            mono: Mono(1_000_000_000),
            wall: Wall::from_unix_seconds(1_800_000_000),
        };
        Self {
            engine: Engine::new(config),
            now,
            effects: Vec::new(),
        }
    }

    fn say(&mut self, name: &str, kind: EventKind) -> &mut Self {
        let event = SourceEvent {
            source: source(name),
            received: self.now,
            kind,
        };
        self.engine.handle(self.now, &event, &mut self.effects);
        self
    }

    fn stream(&mut self, name: &str, market: &str, bid: &str, ask: &str) -> &mut Self {
        let quote = Quote::sides(price(bid), price(ask)).unwrap();
        self.say(name, EventKind::Tick(tick(market, quote, STREAM)))
    }

    fn table(&mut self, name: &str, valid_for: Duration, rows: &[(&str, &str)]) -> &mut Self {
        let ticks: Vec<Tick> = rows
            .iter()
            .map(|(market, value)| tick(market, Quote::Single(price(value)), valid_for))
            .collect();
        self.say(name, EventKind::Table(ticks.into()))
    }

    fn state(&mut self, name: &str, state: SourceState, why: &str) -> &mut Self {
        self.say(
            name,
            EventKind::State {
                state,
                why: why.into(),
            },
        )
    }

    /// Lets time pass in small steps, as the engine's thread does.
    fn wait(&mut self, duration: Duration) -> &mut Self {
        let step = Duration::from_millis(20);
        let mut left = duration;
        while !left.is_zero() {
            let now = step.min(left);
            self.now = self.now.plus(now);
            left -= now;
            self.engine.advance(self.now, &mut self.effects);
        }
        self
    }

    fn last(&self, market: &str) -> Option<&Rate> {
        self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Publish(rate) if rate.pair == pair(market) => Some(rate),
            _ => None,
        })
    }

    fn check(&self, market: &str, expect: &str) {
        let found = self
            .last(market)
            .map(|rate| format!("{} {} {}", rate.value, rate.source, rate.state.as_str()));
        assert_eq!(found.as_deref(), Some(expect), "{market}");
    }
}
