//! Nonsense for the `garbage` flood: what no decoder expects, from empty texts to deep nesting.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;

/// A source of nonsense, repeatable by its seed.
#[derive(Debug)]
pub(crate) struct Garbage(fastrand::Rng);

/// Beginnings of frames that real venues send.
const TORN: [&str; 6] = [
    r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":17"#,
    r#"{"type":"l2update","product_id":"BTC-USD","changes":[["buy","1"#,
    r#"{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":"#,
    r#"{"topic":"orderbook.50.BTCUSDT","ts":1731035685326,"type":"delta","data":{"s":"#,
    r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":["#,
    r#"{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21"#,
];

/// Whole JSON that means nothing.
const SENSELESS: [&str; 8] = [
    "",
    "null",
    "[]",
    r#"{"type":"l2update","product_id":"","changes":[[]]}"#,
    r#"{"topic":"orderbook.50.","type":"delta","data":null}"#,
    r#"{"channel":"book","type":"update","data":[{"bids":[{"price":1e99999,"qty":-0}]}]}"#,
    r#"{"arg":{},"data":[{"asks":[["","",""]],"seqId":-9223372036854775808}]}"#,
    r#"{"stream":"@","data":{"e":"depthUpdate","U":18446744073709551616,"u":-1,"b":[["NaN","1"]]}}"#,
];

impl Garbage {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// The next message.
    pub(crate) fn next_message(&mut self) -> Message {
        let dice = &mut self.0;
        match dice.u8(0..6) {
            0 => Message::text(TORN.get(dice.usize(0..TORN.len())).copied().unwrap_or("{")),
            1 => {
                let index = dice.usize(0..SENSELESS.len());
                Message::text(SENSELESS.get(index).copied().unwrap_or("null"))
            }
            2 => Message::text("[".repeat(dice.usize(1..400))),
            3 => {
                let text: String = (0..dice.usize(0..300)).map(|_| dice.char(..)).collect();
                Message::text(text)
            }
            4 => {
                let bytes: Vec<u8> = (0..dice.usize(0..300)).map(|_| dice.u8(..)).collect();
                Message::Binary(Bytes::from(bytes))
            }
            _ => {
                let digits = "9".repeat(dice.usize(1..4_000));
                Message::text(format!(
                    r#"{{"data":[{{"price":{digits},"qty":"{digits}"}}]}}"#
                ))
            }
        }
    }
}
