//! Frames as Binance writes them, invented in memory or taken from captures.

use anyhow::{Context as _, Result};
use flate2::read::GzDecoder;
use kurs_core::{Asset, Pair, PairParser};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

/// Markets that frames are invented for; the simulated Binance lists them all.
pub(crate) const MARKETS: [&str; 10] = [
    "BTC-USDT",
    "ETH-USDT",
    "BNB-USDT",
    "SOL-USDT",
    "XRP-USDT",
    "TON-USDT",
    "TRX-USDT",
    "USDC-USDT",
    "EUR-USDT",
    "BTC-USDC",
];

/// Least price of an invented frame, in hundredths.
const LEAST_CENTS: u64 = 100_000;

/// The markets as pairs.
pub(crate) fn pairs() -> Result<Vec<Pair>> {
    MARKETS
        .iter()
        .map(|name| Pair::parse(name).map_err(Into::into))
        .collect()
}

/// A best-price frame whose bid tells its number, and whose price differs from those beside it.
pub(crate) fn invent(pair: Pair, number: u64) -> String {
    numbered(pair, 40_000_000_000 + number, number)
}

/// The same under another update id.
pub(crate) fn numbered(pair: Pair, update_id: u64, number: u64) -> String {
    let price = |cents: u64| format!("{}.{:02}000000", cents / 100, cents % 100);
    let (base, quote) = (pair.base.as_str(), pair.quote.as_str());
    let stream = format!("{base}{quote}").to_lowercase();
    let bid = LEAST_CENTS + number;
    format!(
        r#"{{"stream":"{stream}@bookTicker","data":{{"u":{},"s":"{base}{quote}","b":"{}","B":"0.{:05}000","a":"{}","A":"1.{:05}000"}}}}"#,
        update_id,
        price(bid),
        (number * 7_919) % 100_000,
        price(bid + 1),
        (number * 104_729) % 100_000,
    )
}

/// The number of an invented frame, from the text of its bid.
pub(crate) fn number_of(bid: &str) -> Option<u64> {
    let (whole, fraction) = bid.split_once('.').unwrap_or((bid, ""));
    let cents = format!("{fraction:0<2}").get(..2)?.parse::<u64>().ok()?;
    (whole.parse::<u64>().ok()? * 100 + cents).checked_sub(LEAST_CENTS)
}

/// Best-price frames of a capture, as they were received, with the pairs they are of.
pub(crate) fn captured(file: &Path) -> Result<(Vec<String>, Vec<Pair>)> {
    #[derive(Deserialize)]
    struct Line<'a> {
        dir: &'a str,
        #[serde(borrow)]
        frame: Option<&'a RawValue>,
    }
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let parser = PairParser::new(
        ["BTC", "ETH", "BNB", "USDT", "USDC", "BUSD", "USD"]
            .iter()
            .filter_map(|name| Asset::parse(name).ok()),
    );
    let (mut frames, mut pairs): (Vec<String>, Vec<Pair>) = (Vec::new(), Vec::new());
    for line in BufReader::new(GzDecoder::new(opened)).lines() {
        let line = line?;
        let parsed: Line<'_> = serde_json::from_str(&line).context("not a line of a capture")?;
        let Some(frame) = parsed
            .frame
            .map(RawValue::get)
            .filter(|_| parsed.dir == "rx")
        else {
            continue;
        };
        let is_ticker = frame.contains("@bookTicker\"") || frame.starts_with("{\"u\":");
        let symbol = frame
            .split_once("\"s\":\"")
            .and_then(|(_, rest)| rest.split('"').next());
        let Some(pair) = symbol
            .filter(|_| is_ticker)
            .and_then(|symbol| parser.parse(symbol).ok())
        else {
            continue;
        };
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
        frames.push(frame.to_owned());
    }
    Ok((frames, pairs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Feed;
    use kurs_core::{EventKind, Now};

    #[test]
    fn an_invented_frame_is_read_by_the_real_decoder_and_tells_its_number() {
        let mut feed = Feed::new(&pairs().unwrap(), 5_000).unwrap();
        for (pair, number) in pairs()
            .unwrap()
            .into_iter()
            .zip([0, 1, 9, 10, 99, 100, 12_345, 99_999, 1_000_000, 7])
        {
            let text = invent(pair, number);
            let mut said = Vec::new();
            feed.frame(Now::default(), &text, &mut said);
            let Some(EventKind::Tick(tick)) = said.last().map(|event| &event.kind) else {
                panic!("{text}")
            };
            assert_eq!(tick.pair, pair);
            assert_eq!(
                number_of(&tick.quote.bid().unwrap().to_string()),
                Some(number)
            );
        }
    }
}
