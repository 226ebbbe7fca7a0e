//! One symbol's market: an order book that changes by chance around the reference price, and
//! what its streams say about it.

use super::catalog::SymbolSpec;
use super::reference::{Reference, hash_name, mix, wander};
use super::{
    DepthDiff, DepthPace, Habit, Level, MarketEvent, MarketEventKind, Snapshot, Summary, Trade,
    Trading,
};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// A venue's own noise wanders from one chance value to the next in this time, milliseconds.
const NOISE_PERIOD_MS: u64 = 20_000;

/// The best bid and ask with the id of the change that made them so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Top {
    /// Id of the last change of the book.
    pub id: u64,
    /// Best bid and its size.
    pub bid: Level,
    /// Best ask and its size.
    pub ask: Level,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Bid,
    Ask,
}

/// Changes since the last diff of one pace.
#[derive(Debug, Clone, Default)]
struct Collected {
    first_id: Option<u64>,
    bids: BTreeMap<u64, u64>,
    asks: BTreeMap<u64, u64>,
}

/// One symbol's book, in ticks and lots, and the clockwork that changes it.
#[derive(Debug, Clone)]
pub struct SymbolMarket {
    /// What is fixed about it.
    pub spec: SymbolSpec,
    /// Whether it is traded.
    pub trading: Trading,
    /// First, highest, lowest, last.
    pub summary: Summary,
    /// The newest trade.
    pub last_trade: Trade,
    habit: Habit,
    noise_key: u64,
    dice: fastrand::Rng,
    mean_interval: u64,
    next_change: u64,
    step: u64,
    id: u64,
    trade_id: u64,
    bids: BTreeMap<u64, u64>,
    asks: BTreeMap<u64, u64>,
    pinned: Option<(u64, u64)>,
    fast: Collected,
    slow: Collected,
    summary_changed: bool,
}

impl SymbolMarket {
    pub(super) fn new(
        spec: SymbolSpec,
        reference: &Reference,
        step: u64,
        activity_percent: u32,
        habit: Habit,
    ) -> Self {
        let zero = Decimal::ZERO;
        let mut seed = mix(
            hash_name(&spec.name),
            hash_name(&reference.usd("BTC", 0).to_string()),
        );
        if habit.salt != 0 {
            seed = mix(seed, habit.salt);
        }
        let mean = spec.interval_ms.saturating_mul(100) / u64::from(activity_percent.max(1));
        let trade_id = 1_000_000 + seed % 3_000_000_000;
        let mut market = Self {
            habit,
            noise_key: seed,
            last_trade: Trade {
                id: trade_id,
                price: zero,
                quantity: zero,
                buyer_is_maker: true,
            },
            dice: fastrand::Rng::with_seed(seed),
            mean_interval: mean.max(1),
            next_change: step,
            step,
            id: 1_000_000_000 + seed % 90_000_000_000,
            trade_id,
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            pinned: None,
            fast: Collected::default(),
            slow: Collected::default(),
            summary_changed: false,
            trading: Trading::Trading,
            summary: Summary {
                open: zero,
                high: zero,
                low: zero,
                close: zero,
                volume: zero,
                quote_volume: zero,
            },
            spec,
        };
        market.fill(reference);
        market
    }

    fn fill(&mut self, reference: &Reference) {
        let (bid, ask) = self.wanted_top(reference);
        let (mut below, mut above) = (bid, ask);
        for _ in 0..self.spec.levels_max * 2 / 3 {
            let size = self.size();
            self.bids.insert(below, size);
            let size = self.size();
            self.asks.insert(above, size);
            above += self.dice.u64(1..=12);
            let gap = self.dice.u64(1..=12);
            if below <= gap {
                break;
            }
            below -= gap;
        }
        let middle = self.price(bid);
        self.summary.open = middle;
        self.summary.high = middle;
        self.summary.low = middle;
        self.summary.close = middle;
        self.last_trade.price = middle;
        self.last_trade.quantity = self.quantity((self.spec.size_lots / 20).max(1));
        self.schedule();
    }

    fn size(&mut self) -> u64 {
        let typical = self.spec.size_lots.max(1);
        self.dice
            .u64(1..=typical)
            .min(self.dice.u64(1..=typical * 2))
    }

    /// Half to one and a half mean intervals from now.
    fn schedule(&mut self) {
        let mean = self.mean_interval;
        self.next_change = self.step + self.dice.u64(mean.div_ceil(2)..=mean + mean / 2).max(1);
    }

    /// The top the reference price asks for, in ticks.
    fn wanted_top(&mut self, reference: &Reference) -> (u64, u64) {
        if let Some(pinned) = self.pinned {
            return pinned;
        }
        let base = reference.usd(&self.spec.base, self.step);
        let quote = reference.usd(&self.spec.quote, self.step);
        let noise = match self.habit.noise_e9 {
            0 => Decimal::ONE,
            most => {
                let noise = wander(self.noise_key, self.step, NOISE_PERIOD_MS, most);
                Decimal::from_i128_with_scale(i128::from(1_000_000_000 + noise), 9)
            }
        };
        let ticks = base
            .checked_div(quote)
            .and_then(|middle| middle.checked_mul(noise))
            .and_then(|middle| middle.checked_div(self.spec.tick()))
            .and_then(|ticks| u64::try_from(ticks.trunc().mantissa()).ok())
            .unwrap_or(0);
        let bid = ticks.clamp(2, u64::MAX / 4);
        (bid, bid + self.dice.u64(1..=self.spec.spread_ticks.max(1)))
    }

    /// A price counted in ticks.
    pub(crate) fn price(&self, ticks: u64) -> Decimal {
        Decimal::from_i128_with_scale(i128::from(ticks) * i128::from(self.spec.tick_e8), 8)
    }

    /// A size counted in lots.
    pub(crate) fn quantity(&self, lots: u64) -> Decimal {
        Decimal::from_i128_with_scale(i128::from(lots) * i128::from(self.spec.lot_e8), 8)
    }

    fn level(&self, (ticks, lots): (&u64, &u64)) -> Level {
        (self.price(*ticks), self.quantity(*lots))
    }

    /// Id of the last change of the book.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Bids in ticks and lots, best first.
    pub(crate) fn bids(&self) -> impl Iterator<Item = (u64, u64)> {
        self.bids.iter().rev().map(|(ticks, lots)| (*ticks, *lots))
    }

    /// Asks in ticks and lots, best first.
    pub(crate) fn asks(&self) -> impl Iterator<Item = (u64, u64)> {
        self.asks.iter().map(|(ticks, lots)| (*ticks, *lots))
    }

    /// The best bid and ask, if both sides have a level.
    #[must_use]
    pub fn top(&self) -> Option<Top> {
        Some(Top {
            id: self.id,
            bid: self.level(self.bids.last_key_value()?),
            ask: self.level(self.asks.first_key_value()?),
        })
    }

    /// The book, cut to so many levels a side.
    #[must_use]
    pub fn snapshot(&self, levels: usize) -> Snapshot {
        let level = |entry| self.level(entry);
        Snapshot {
            last_id: self.id,
            bids: self.bids.iter().rev().take(levels).map(level).collect(),
            asks: self.asks.iter().take(levels).map(level).collect(),
        }
    }

    pub(super) fn pin(&mut self, sides: Option<(Decimal, Decimal)>) -> bool {
        let Some((bid, ask)) = sides else {
            self.pinned = None;
            return true;
        };
        let tick = self.spec.tick();
        let ticks = |price: Decimal| {
            let count = price.checked_div(tick)?.normalize();
            if count.scale() != 0 {
                return None;
            }
            u64::try_from(count.mantissa())
                .ok()
                .filter(|count| *count < u64::MAX / 4)
        };
        let (Some(bid), Some(ask)) = (ticks(bid), ticks(ask)) else {
            return false;
        };
        if bid < 1 || bid >= ask {
            return false;
        }
        self.pinned = Some((bid, ask));
        self.next_change = self.step + 1;
        true
    }

    pub(super) fn advance_to(
        &mut self,
        until: u64,
        reference: &Reference,
        events: &mut Vec<MarketEvent>,
    ) {
        loop {
            let next_diff = (self.step / 100 + 1) * 100;
            let next = next_diff.min(self.next_change.max(self.step + 1));
            if next > until {
                break;
            }
            self.step = next;
            if next >= self.next_change {
                if self.trading == Trading::Trading {
                    self.change(reference, events);
                }
                self.schedule();
            }
            if next == next_diff {
                self.flush(DepthPace::Fast, events);
                if next.is_multiple_of(1_000) {
                    self.flush(DepthPace::Slow, events);
                    if std::mem::take(&mut self.summary_changed) && self.habit.diffs {
                        self.tell(MarketEventKind::Summary(self.summary), events);
                    }
                }
            }
        }
        self.step = until;
    }

    fn tell(&self, kind: MarketEventKind, events: &mut Vec<MarketEvent>) {
        events.push(MarketEvent {
            symbol: self.spec.name.clone(),
            step: self.step,
            kind,
        });
    }

    /// Sets a level; every call that changes something is one change with its own id.
    fn set(&mut self, side: Side, ticks: u64, lots: u64) {
        let book = if side == Side::Bid {
            &mut self.bids
        } else {
            &mut self.asks
        };
        let before = if lots == 0 {
            book.remove(&ticks)
        } else {
            book.insert(ticks, lots)
        };
        if before.unwrap_or(0) == lots {
            return;
        }
        self.id += 1;
        if !self.habit.diffs {
            return;
        }
        for collected in [&mut self.fast, &mut self.slow] {
            collected.first_id.get_or_insert(self.id);
            let changed = if side == Side::Bid {
                &mut collected.bids
            } else {
                &mut collected.asks
            };
            changed.insert(ticks, lots);
        }
    }

    fn change(&mut self, reference: &Reference, events: &mut Vec<MarketEvent>) {
        let before = (
            self.bids.last_key_value().map(|(a, b)| (*a, *b)),
            self.asks.first_key_value().map(|(a, b)| (*a, *b)),
        );
        let (bid, ask) = self.wanted_top(reference);
        let moves = before.0.is_none_or(|(ticks, _)| ticks != bid)
            || before.1.is_none_or(|(ticks, _)| ticks != ask);
        if moves || self.dice.u8(0..100) < 60 {
            self.move_top(bid, ask);
        }
        for _ in 0..self.dice.u8(0..4) {
            self.change_deep(bid, ask);
        }
        self.prune();
        let after = (
            self.bids.last_key_value().map(|(a, b)| (*a, *b)),
            self.asks.first_key_value().map(|(a, b)| (*a, *b)),
        );
        if before != after
            && let Some(top) = self.top()
        {
            self.tell(MarketEventKind::Top(top), events);
            if self.dice.u8(0..100) < 35 {
                self.trade(top, events);
            }
        }
    }

    fn move_top(&mut self, bid: u64, ask: u64) {
        while let Some((&ticks, _)) = self
            .asks
            .first_key_value()
            .filter(|(ticks, _)| **ticks < ask)
        {
            self.set(Side::Ask, ticks, 0);
        }
        while let Some((&ticks, _)) = self
            .bids
            .last_key_value()
            .filter(|(ticks, _)| **ticks > bid)
        {
            self.set(Side::Bid, ticks, 0);
        }
        let lots = self.size();
        self.set(Side::Bid, bid, lots);
        let lots = self.size();
        self.set(Side::Ask, ask, lots);
    }

    fn change_deep(&mut self, bid: u64, ask: u64) {
        let away = self.dice.u64(1..=200);
        let lots = if self.dice.u8(0..100) < 35 {
            0
        } else {
            self.size()
        };
        if self.dice.bool() {
            if bid > away {
                self.set(Side::Bid, bid - away, lots);
            }
        } else {
            self.set(Side::Ask, ask + away, lots);
        }
    }

    /// Far levels leave the book, as changes of their own, so that it stays bounded.
    fn prune(&mut self) {
        while self.bids.len() > self.spec.levels_max {
            let Some((&ticks, _)) = self.bids.first_key_value() else {
                break;
            };
            self.set(Side::Bid, ticks, 0);
        }
        while self.asks.len() > self.spec.levels_max {
            let Some((&ticks, _)) = self.asks.last_key_value() else {
                break;
            };
            self.set(Side::Ask, ticks, 0);
        }
    }

    fn trade(&mut self, top: Top, events: &mut Vec<MarketEvent>) {
        let buyer_is_maker = self.dice.bool();
        let price = if buyer_is_maker { top.bid.0 } else { top.ask.0 };
        let lots = self.dice.u64(1..=(self.spec.size_lots / 20).max(1));
        let quantity = self.quantity(lots);
        self.trade_id += 1;
        let summary = &mut self.summary;
        summary.high = summary.high.max(price);
        summary.low = summary.low.min(price);
        summary.close = price;
        summary.volume = summary.volume.saturating_add(quantity);
        let paid = price.checked_mul(quantity).unwrap_or_default().round_dp(8);
        summary.quote_volume = summary.quote_volume.saturating_add(paid);
        self.summary_changed = true;
        let trade = Trade {
            id: self.trade_id,
            price,
            quantity,
            buyer_is_maker,
        };
        self.last_trade = trade;
        self.tell(MarketEventKind::Trade(trade), events);
    }

    fn flush(&mut self, pace: DepthPace, events: &mut Vec<MarketEvent>) {
        let collected = std::mem::take(match pace {
            DepthPace::Fast => &mut self.fast,
            DepthPace::Slow => &mut self.slow,
        });
        let Some(first_id) = collected.first_id else {
            return;
        };
        let level = |entry| self.level(entry);
        let diff = DepthDiff {
            pace,
            first_id,
            last_id: self.id,
            bids: collected.bids.iter().rev().map(level).collect(),
            asks: collected.asks.iter().map(level).collect(),
        };
        self.tell(MarketEventKind::Depth(diff), events);
    }
}
