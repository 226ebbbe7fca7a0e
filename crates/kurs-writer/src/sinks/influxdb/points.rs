//! What becomes a point, and with which tags and fields.

use super::config::InfluxConfig;
use super::line::{Line, Measurement, Precision};
use kurs_bus::{Body, SourcePrice, Update};
use kurs_core::{Depth, Pair, Price, Rate, SourceId, UpdateId, Wall};

/// Makes lines of updates and books.
#[derive(Debug, Clone)]
pub struct Points {
    rates: bool,
    prices: bool,
    exact: bool,
    precision: Precision,
    /// Keys of the fields of a book: bid price, bid size, ask price, ask size of each level.
    levels: Vec<[String; 4]>,
}

/// One order book at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Book<'a> {
    /// Whose.
    pub source: SourceId,
    /// The market.
    pub pair: Pair,
    /// Its best levels.
    pub depth: &'a Depth,
    /// When its last message was received.
    pub at: Wall,
}

impl Points {
    /// Points as they are configured.
    #[must_use]
    pub fn new(config: &InfluxConfig) -> Self {
        let keys = |level: usize| {
            let key = |side: &str, part: &str| format!("{side}{level}{part}");
            [
                key("bid", ""),
                key("bid", "_size"),
                key("ask", ""),
                key("ask", "_size"),
            ]
        };
        Self {
            rates: config.rates,
            prices: config.prices,
            exact: config.exact,
            precision: config.precision,
            levels: (0..config.book_levels).map(keys).collect(),
        }
    }

    /// The line of an update, if it is one that is written.
    #[must_use]
    pub fn of_update(&self, update: &Update) -> Option<Box<str>> {
        match &update.body {
            Body::Rate(rate) if self.rates => self.of_rate(update.id, rate),
            Body::SourcePrice(price) if self.prices => self.of_price(price),
            _ => None,
        }
    }

    fn of_rate(&self, id: UpdateId, rate: &Rate) -> Option<Box<str>> {
        let mut line = Line::new(Measurement::Rate)
            .tag("pair", &rate.pair.to_string())
            .tag("source", rate.source.as_str())
            .tag("state", rate.state.as_str());
        line = self.quoted(line, rate.value, rate.bid, rate.ask);
        if let Some(confidence) = rate.confidence {
            line = line.number("confidence", confidence);
        }
        line.whole("epoch", id.epoch.0)
            .whole("seq", id.seq.0)
            .end(rate.published_at, self.precision)
    }

    fn of_price(&self, price: &SourcePrice) -> Option<Box<str>> {
        let line = Line::new(Measurement::Price)
            .tag("pair", &price.pair.to_string())
            .tag("source", price.source.as_str())
            .tag("state", price.state.as_str());
        self.quoted(line, price.value, price.bid, price.ask)
            .end(price.received_at, self.precision)
    }

    fn quoted(&self, line: Line, value: Price, bid: Option<Price>, ask: Option<Price>) -> Line {
        let mut line = line.number("value", value.value());
        if self.exact {
            line = line.text("value_text", &value.to_string());
        }
        for (key, side) in [("bid", bid), ("ask", ask)] {
            if let Some(side) = side {
                line = line.number(key, side.value());
            }
        }
        line
    }

    /// The line of an order book; `None` for one without a level.
    #[must_use]
    pub fn of_book(&self, book: &Book<'_>) -> Option<Box<str>> {
        let (bids, asks) = (&book.depth.bids, &book.depth.asks);
        let mut line = Line::new(Measurement::Book)
            .tag("pair", &book.pair.to_string())
            .tag("source", book.source.as_str());
        let best = bids.first().zip(asks.first());
        if let Some(mid) = best.and_then(|(bid, ask)| Price::mid(bid.price, ask.price).ok()) {
            line = line.number("mid", mid.value());
        }
        for (index, [bid, bid_size, ask, ask_size]) in self.levels.iter().enumerate() {
            for (side, price, size) in [(bids, bid, bid_size), (asks, ask, ask_size)] {
                if let Some(level) = side.get(index) {
                    line = line
                        .number(price, level.price.value())
                        .number(size, level.size);
                }
            }
        }
        line.end(book.at, self.precision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_core::{Choice, Epoch, Level, RateState, Seq, SourceState};
    use rust_decimal::Decimal;
    use std::sync::Arc;
    use std::time::Duration;

    const AT: Wall = Wall(1_790_000_000_123_456);

    fn price(text: &str) -> Price {
        Price::parse(text).unwrap()
    }

    fn update(body: Body) -> Update {
        let id = UpdateId {
            shard: 0,
            epoch: Epoch(3),
            seq: Seq(17),
        };
        Update {
            id,
            body,
            cause: None,
            at: None,
        }
    }

    fn rate() -> Body {
        let source = SourceId::parse("sim:binance").unwrap();
        Body::Rate(Rate {
            pair: Pair::parse("BTC-USDT").unwrap(),
            value: price("64364.270"),
            bid: Some(price("64364.26")),
            ask: Some(price("64364.28")),
            confidence: Some(Decimal::new(1, 2)),
            source,
            state: RateState::Fresh,
            legs: None,
            observed_at: AT,
            published_at: AT,
            valid_for: Duration::from_secs(5),
            choice: Arc::new(Choice {
                source,
                since: AT,
                reason: "best".into(),
                skipped: Vec::new(),
            }),
            evidence: None,
            depeg: None,
        })
    }

    fn source_price() -> Body {
        Body::SourcePrice(SourcePrice {
            source: SourceId::parse("kraken").unwrap(),
            pair: Pair::parse("ETH-USD").unwrap(),
            value: price("0.00000012"),
            bid: None,
            ask: None,
            state: SourceState::Live,
            why: "".into(),
            observed_at: Wall(1),
            received_at: AT,
            published_at: Wall(2),
            valid_for: Duration::from_secs(5),
        })
    }

    fn check(config: &InfluxConfig, body: Body, expected: Option<&str>) {
        let line = Points::new(config).of_update(&update(body));
        assert_eq!(line.as_deref(), expected);
    }

    #[test]
    fn a_rate_is_written_with_every_digit_at_the_time_of_its_publication() {
        let with_text = InfluxConfig {
            exact: true,
            ..InfluxConfig::default()
        };
        check(
            &with_text,
            rate(),
            Some(
                "rate,pair=BTC-USDT,source=sim:binance,state=fresh \
                 value=64364.270,value_text=\"64364.270\",bid=64364.26,ask=64364.28,\
                 confidence=0.01,epoch=3i,seq=17i 1790000000123456\n",
            ),
        );
    }

    #[test]
    fn a_price_is_written_at_the_time_of_its_receipt() {
        let without_text = InfluxConfig {
            exact: false,
            precision: Precision::Ms,
            ..InfluxConfig::default()
        };
        check(
            &without_text,
            source_price(),
            Some("price,pair=ETH-USD,source=kraken,state=live value=0.00000012 1790000000123\n"),
        );
    }

    #[test]
    fn what_is_switched_off_and_what_has_no_number_is_not_written() {
        let nothing = InfluxConfig {
            rates: false,
            prices: false,
            ..InfluxConfig::default()
        };
        check(&nothing, rate(), None);
        check(&nothing, source_price(), None);
        let withdrawn = Body::Withdrawn(Pair::parse("BTC-USD").unwrap());
        check(&InfluxConfig::default(), withdrawn, None);
    }

    #[test]
    fn a_book_is_written_level_by_level_as_deep_as_configured() {
        let config = InfluxConfig {
            book_levels: 2,
            ..InfluxConfig::default()
        };
        let level = |price_text: &str, size: i64| Level {
            price: price(price_text),
            size: Decimal::new(size, 1),
        };
        let depth = Depth {
            bids: Box::new([level("99.5", 10), level("99", 25), level("98", 30)]),
            asks: Box::new([level("100.5", 7)]),
        };
        let book = Book {
            source: SourceId::parse("okx").unwrap(),
            pair: Pair::parse("BTC-USDT").unwrap(),
            depth: &depth,
            at: AT,
        };
        let expected = "book,pair=BTC-USDT,source=okx mid=100,bid0=99.5,bid0_size=1.0,\
                        ask0=100.5,ask0_size=0.7,bid1=99,bid1_size=2.5 1790000000123456\n";
        assert_eq!(
            Points::new(&config).of_book(&book).as_deref(),
            Some(expected)
        );
        let empty = Depth::default();
        let book = Book {
            depth: &empty,
            ..book
        };
        assert_eq!(Points::new(&config).of_book(&book), None);
    }
}
