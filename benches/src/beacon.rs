//! Update-to-view latency from outside: a best price is written into the socket of one source,
//! and the rate is asked for over HTTP until its body has that price.

use crate::client::{self, Connection};
use crate::frames;
use crate::process::thread_waited;
use crate::relay::{self, Relay};
use anyhow::{Context as _, Result};
use kurs_core::Pair;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The pair whose prices are written; only the simulated Binance lists it.
pub(crate) const PAIR: &str = "S0036-USDT";
/// The simulated Binance's own best prices of it are held back.
pub(crate) const HIDDEN: &str = "\"s0036usdt@bookTicker\"";
/// From one price to the next on the average.
const PAUSE: Duration = Duration::from_millis(10);
/// Up to this much of the pause falls to chance, so that no rhythm is met again and again.
const CHANCE_US: u64 = 6_000;
/// A price that is not there after this long is lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of the prices.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// From before the write to the end of the first answer with the price, nanoseconds.
    pub(crate) latencies: Vec<u64>,
    /// What of it the measuring thread itself waited for its core, nanoseconds.
    pub(crate) waits: Vec<u64>,
    /// Prices that never came.
    pub(crate) lost: u64,
    /// Requests asked.
    pub(crate) requests: u64,
}

/// The way in and the way out.
pub(crate) struct Beacon {
    pair: Pair,
    out: Connection,
    request: Vec<u8>,
    number: u64,
}

impl Beacon {
    /// Asks at this address.
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let path = format!("/api/v1/rates/{}", PAIR.replace('-', "/"));
        Ok(Self {
            pair: Pair::parse(PAIR)?,
            out: Connection::open(address)?,
            request: client::request(&path, ""),
            number: 0,
        })
    }

    /// Writes prices for so long; `beside` is called before each.
    pub(crate) fn measure(
        &mut self,
        relay: &Relay,
        duration: Duration,
        mut beside: impl FnMut() -> Result<()>,
    ) -> Result<Seen> {
        let mut seen = Seen::default();
        let end = Instant::now() + duration;
        while Instant::now() < end {
            beside()?;
            self.once(relay, &mut seen)?;
            let chance = Duration::from_micros(self.number * 7_919 % CHANCE_US);
            std::thread::sleep(PAUSE - Duration::from_micros(CHANCE_US / 2) + chance);
        }
        Ok(seen)
    }

    fn once(&mut self, relay: &Relay, seen: &mut Seen) -> Result<()> {
        self.number += 1;
        // Low ids, so that the book of the pair is never found behind them.
        let text = frames::numbered(self.pair, self.number, self.number);
        let waited = thread_waited()?;
        let begin = relay.write(&relay::text(&text))?;
        loop {
            seen.requests += 1;
            let answer = self.out.ask(&self.request)?;
            let taken = begin.elapsed();
            if answer.status == 200 && number_in(&answer.body) == Some(self.number) {
                seen.latencies.push(nanoseconds(taken)?);
                seen.waits.push(nanoseconds(thread_waited()? - waited)?);
                return Ok(());
            }
            if taken > PATIENCE {
                seen.lost += 1;
                return Ok(());
            }
        }
    }
}

fn nanoseconds(taken: Duration) -> Result<u64> {
    u64::try_from(taken.as_nanos()).context("no such time")
}

/// The number that the bid of an answer tells.
fn number_in(body: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("\"bid\":\"")?;
    frames::number_of(rest.split('"').next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_the_number_of_its_price() {
        let body = br#"{"pair":"S0036-USDT","value":"1000.425","bid":"1000.42000000","ask":"1"}"#;
        assert_eq!(number_in(body), Some(42));
        assert_eq!(number_in(br#"{"bid":null}"#), None);
    }
}
