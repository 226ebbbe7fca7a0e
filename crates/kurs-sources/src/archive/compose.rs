//! Longer candles made of minutes, exactly: first open, last close, greatest high, least low of
//! the trades. Minutes in which nothing was traded, whose archive repeats the price before, count
//! only where nothing was traded in the whole of the longer candle.

use super::candle::ArchivedCandle;
use kurs_core::Wall;
use kurs_store::Interval;

/// One longer candle in the making.
#[derive(Debug, Clone)]
struct Building {
    interval: Interval,
    candle: Option<ArchivedCandle>,
}

/// Makes longer candles of minutes that come in rising order.
#[derive(Debug, Clone)]
pub struct Composer {
    buildings: Vec<Building>,
    /// Minutes before this are not there: a longer candle that begins earlier is not whole.
    from: Wall,
}

impl Composer {
    /// For these lengths; the first minute that will come begins at `from` or later, and all
    /// minutes from then on are asked for.
    #[must_use]
    pub fn new(intervals: &[Interval], from: Wall) -> Self {
        let building = |interval: &Interval| Building {
            interval: *interval,
            candle: None,
        };
        Self {
            buildings: intervals.iter().map(building).collect(),
            from,
        }
    }

    /// Takes all minutes before `through`, in rising order; gives the longer candles that end by
    /// then, with their lengths.
    pub fn take(
        &mut self,
        minutes: &[ArchivedCandle],
        through: Wall,
    ) -> Vec<(Interval, ArchivedCandle)> {
        let mut done = Vec::new();
        let from = self.from;
        for building in &mut self.buildings {
            for minute in minutes {
                let start = building.interval.start_of(minute.start);
                match &mut building.candle {
                    Some(candle) if candle.start == start => add(candle, minute),
                    open => {
                        let fresh = ArchivedCandle { start, ..*minute };
                        done.extend(open.replace(fresh).map(|whole| (building.interval, whole)));
                    }
                }
            }
            let ends = |candle: &ArchivedCandle| candle.start.plus(building.interval.length());
            if building
                .candle
                .as_ref()
                .is_some_and(|candle| ends(candle) <= through)
            {
                done.extend(
                    building
                        .candle
                        .take()
                        .map(|whole| (building.interval, whole)),
                );
            }
        }
        done.retain(|(_, candle)| candle.start >= from);
        done
    }
}

fn add(candle: &mut ArchivedCandle, minute: &ArchivedCandle) {
    match (candle.traded, minute.traded) {
        (_, false) => {}
        (false, true) => {
            let start = candle.start;
            *candle = ArchivedCandle { start, ..*minute };
        }
        (true, true) => {
            candle.high = candle.high.max(minute.high);
            candle.low = candle.low.min(minute.low);
            candle.close = minute.close;
            candle.count = candle.count.saturating_add(minute.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::candle::Texts;
    use super::*;

    fn minute(at: i64, texts: [&str; 4], count: u64) -> ArchivedCandle {
        let start = Wall::from_unix_seconds(at * 60);
        ArchivedCandle::read(start, Texts(texts), count, count > 0).unwrap()
    }

    fn at(minute: i64) -> Wall {
        Wall::from_unix_seconds(minute * 60)
    }

    #[test]
    fn a_longer_candle_is_made_of_its_minutes_whatever_the_pages() {
        let minutes = [
            minute(60, ["2", "3", "1", "2"], 5),
            minute(61, ["2", "2", "2", "2"], 0),
            minute(63, ["4", "5", "4", "4.5"], 2),
            minute(65, ["7", "7", "6", "6"], 1),
            minute(119, ["6", "9", "6", "8"], 1),
        ];
        let mut whole = Composer::new(&[Interval::FiveMinutes, Interval::Hour], at(60));
        let mut expect = whole.take(&minutes, at(120));
        let mut pieces = Composer::new(&[Interval::FiveMinutes, Interval::Hour], at(60));
        let mut found = pieces.take(&minutes[..2], at(62));
        assert!(found.is_empty(), "none is whole yet");
        found.extend(pieces.take(&minutes[2..3], at(64)));
        found.extend(pieces.take(&minutes[3..], at(120)));
        let order = |list: &mut Vec<(Interval, ArchivedCandle)>| {
            list.sort_by_key(|(interval, candle)| (*interval, candle.start));
        };
        order(&mut expect);
        order(&mut found);
        assert_eq!(found, expect);
        let texts: Vec<String> = found
            .iter()
            .map(|(interval, c)| {
                let at = c.start.unix_seconds() / 60;
                format!(
                    "{interval} {at} {} {} {} {} {}",
                    c.open, c.high, c.low, c.close, c.count
                )
            })
            .collect();
        assert_eq!(
            texts,
            [
                "5m 60 2 5 1 4.5 7",
                "5m 65 7 7 6 6 1",
                "5m 115 6 9 6 8 1",
                "1h 60 2 9 1 8 9"
            ]
        );
    }

    #[test]
    fn a_repeated_price_is_no_trade_unless_there_was_none_at_all() {
        let mut composer = Composer::new(&[Interval::FiveMinutes], at(60));
        let minutes = [
            minute(60, ["9", "9", "9", "9"], 0),
            minute(61, ["2", "3", "1", "2"], 4),
            minute(65, ["2", "2", "2", "2"], 0),
            minute(66, ["2", "2", "2", "2"], 0),
        ];
        let made = composer.take(&minutes, at(70));
        let opens: Vec<(String, u64)> = made
            .iter()
            .map(|(_, candle)| (candle.open.to_string(), candle.count))
            .collect();
        assert_eq!(opens, [("2".to_owned(), 4), ("2".to_owned(), 0)]);
    }

    #[test]
    fn a_candle_that_began_before_the_first_minute_is_not_whole() {
        let mut composer = Composer::new(&[Interval::Hour], at(90));
        let made = composer.take(&[minute(90, ["2", "3", "1", "2"], 4)], at(120));
        assert!(made.is_empty());
        let made = composer.take(&[minute(120, ["2", "3", "1", "2"], 4)], at(180));
        assert_eq!(made.len(), 1);
    }
}
