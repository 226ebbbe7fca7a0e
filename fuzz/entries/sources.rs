//! What venues, banks and rate services send. Included by the fuzz targets and by
//! `kurs-sources/tests/corpus.rs`.

use kurs_book::{BookUpdate, Kind, Side, SyncedBook};
use kurs_core::{Mono, Now, Pair, Wall};
use kurs_net::http::{Fetched, Validators};
use kurs_sources::archive::candle::in_order;
use kurs_sources::archive::{self, CandleCodec};
use kurs_sources::http_source::{self, HttpSource};
use kurs_sources::protocol::Protocol;
use kurs_sources::venue::codec::{Codec, Heap, Said, Symbols};
use kurs_sources::{binance, bybit, cbr, coinbase, coingecko, ecb, kraken, okx, openexchangerates};
use kurs_store::Interval;
use rust_decimal::Decimal;

/// A fuzz target and what it does with its input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets of this file.
pub const TARGETS: [Target; 12] = [
    ("binance_frame", binance_frame),
    ("coinbase_frame", coinbase_frame),
    ("kraken_frame", kraken_frame),
    ("bybit_frame", bybit_frame),
    ("okx_frame", okx_frame),
    ("venue_answer", venue_answer),
    ("candle_page", candle_page),
    ("coingecko", coingecko),
    ("ecb", ecb),
    ("cbr", cbr),
    ("openexchangerates", openexchangerates),
    ("http_document", http_document),
];

/// Pairs that are followed.
const PAIRS: [&str; 4] = ["BTC-USDT", "BTC-USD", "ETH-USDT", "ETH-USD"];

fn now() -> Now {
    Now {
        mono: Mono(5_000_000_000),
        wall: Wall::from_unix_seconds(1_790_000_000),
    }
}

/// The followed symbols of a venue.
struct Followed(Vec<String>);

impl Followed {
    fn of(codec: &dyn Codec) -> Self {
        let pairs = PAIRS.map(|text| Pair::parse(text).expect("a pair"));
        Self(pairs.map(|pair| codec.symbol(pair)).to_vec())
    }
}

impl Symbols for Followed {
    fn find(&self, name: &str) -> Option<u32> {
        let at = self.0.iter().position(|known| known == name)?;
        u32::try_from(at).ok()
    }
}

/// A book that can be read has two sides that do not cross, and no more levels than it may.
fn check(book: &SyncedBook, depth: Option<usize>) {
    let Some(book) = book.book() else { return };
    let (bid, ask) = (book.best_bid(), book.best_ask());
    let (bid, ask) = (bid.expect("a best bid"), ask.expect("a best ask"));
    assert!(bid.price < ask.price);
    assert!(bid.size > Decimal::ZERO && ask.size > Decimal::ZERO);
    for side in [Side::Bid, Side::Ask] {
        assert!(depth.is_none_or(|depth| book.len(side) <= depth));
    }
}

/// Frames of a venue, one per line, applied to books. A line that begins with `<` is the answer
/// to a request for the book of the first pair.
fn frames(codec: &dyn Codec, bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (facts, followed) = (codec.facts(), Followed::of(codec));
    let book = || SyncedBook::new(facts.scheme, facts.book_depth);
    let mut books: Vec<SyncedBook> = followed.0.iter().map(|_| book()).collect();
    let mut heap = Heap::default();
    for (line, number) in text.split('\n').zip(0_u64..) {
        heap.clear();
        let mono = Mono(number * 1_000_000);
        if let Some(body) = line.strip_prefix('<') {
            if let Ok(ids) = codec.read_book(200, body.as_bytes(), &mut heap.changes) {
                let update = BookUpdate {
                    kind: Kind::Snapshot,
                    ids,
                    checksum: None,
                    changes: &heap.changes,
                };
                let _ = books[0].take(mono, update);
                check(&books[0], facts.book_depth);
            }
            continue;
        }
        codec.read(line, &followed, &mut heap);
        assert!(!heap.said.is_empty(), "a frame must say something");
        assert!(heap.said.len() <= line.len() + 1 && heap.changes.len() <= line.len());
        for change in &heap.changes {
            assert!(change.size >= Decimal::ZERO);
        }
        for said in &heap.said {
            let Said::Book {
                symbol,
                kind,
                ids,
                checksum,
                changes,
                ..
            } = said
            else {
                continue;
            };
            let at = usize::try_from(*symbol).expect("a small number");
            let update = BookUpdate {
                kind: *kind,
                ids: *ids,
                checksum: *checksum,
                changes: &heap.changes[changes.clone()],
            };
            let _ = books[at].take(mono, update);
            check(&books[at], facts.book_depth);
        }
    }
}

/// Frames of Binance.
pub fn binance_frame(bytes: &[u8]) {
    frames(&binance::Binance::new(), bytes);
}

/// Frames of Coinbase.
pub fn coinbase_frame(bytes: &[u8]) {
    frames(&coinbase::Coinbase::new(), bytes);
}

/// Frames of Kraken.
pub fn kraken_frame(bytes: &[u8]) {
    frames(&kraken::Kraken::new(), bytes);
}

/// Frames of Bybit.
pub fn bybit_frame(bytes: &[u8]) {
    frames(&bybit::Bybit::new(), bytes);
}

/// Frames of OKX.
pub fn okx_frame(bytes: &[u8]) {
    frames(&okx::Okx::new(), bytes);
}

/// An answer of a venue's REST interface. The first byte chooses the venue and the status.
pub fn venue_answer(bytes: &[u8]) {
    const STATUS: [u16; 8] = [200, 200, 200, 400, 403, 404, 418, 429];
    let Some((choice, body)) = bytes.split_first() else {
        return;
    };
    let codecs: [&dyn Codec; 5] = [
        &binance::Binance::new(),
        &coinbase::Coinbase::new(),
        &kraken::Kraken::new(),
        &bybit::Bybit::new(),
        &okx::Okx::new(),
    ];
    let codec = codecs[usize::from(choice & 15) % codecs.len()];
    let status = STATUS[usize::from(choice >> 4) % STATUS.len()];
    let rows_max = body.len() + 1;
    if let Ok(listed) = codec.read_listing(status, body) {
        assert!(listed.len() <= rows_max);
    }
    for request in codec.ask_tops(&Followed::of(codec).0) {
        if let Ok(tops) = codec.read_tops(&request, status, body) {
            assert!(tops.len() <= rows_max);
        }
    }
    let mut changes = Vec::new();
    let _ = codec.read_book(status, body, &mut changes);
    assert!(changes.len() <= rows_max);
}

/// A page of an exchange's archive of candles; the first byte chooses exchange and status.
pub fn candle_page(bytes: &[u8]) {
    const STATUS: [u16; 4] = [200, 200, 400, 429];
    let Some((choice, body)) = bytes.split_first() else {
        return;
    };
    let codecs: [&dyn CandleCodec; 5] = [
        &archive::binance::BinanceArchive,
        &archive::coinbase::CoinbaseArchive,
        &archive::kraken::KrakenArchive,
        &archive::bybit::BybitArchive,
        &archive::okx::OkxArchive,
    ];
    let codec = codecs[usize::from(choice & 15) % codecs.len()];
    let status = STATUS[usize::from(choice >> 4) % STATUS.len()];
    if status != 200 {
        let _ = codec.refusal(status, body);
        return;
    }
    let span = Wall::from_unix_seconds(1_789_948_800)..Wall::from_unix_seconds(1_790_035_200);
    let Ok(page) = codec.read(body, &span) else {
        return;
    };
    assert!(page.len() <= body.len());
    for candle in &page {
        assert!(candle.low <= candle.open && candle.open <= candle.high);
        assert!(candle.low <= candle.close && candle.close <= candle.high);
    }
    if let Ok(page) = in_order(page, codec.order(), Interval::Minute, &span) {
        assert!(page.is_sorted_by(|earlier, later| earlier.start < later.start));
        assert!(page.iter().all(|candle| span.contains(&candle.start)));
    }
}

/// An answer of CoinGecko.
pub fn coingecko(bytes: &[u8]) {
    let _ = coingecko::decode(bytes);
    let _ = coingecko::wire::refused(bytes);
}

/// A file of the European Central Bank.
pub fn ecb(bytes: &[u8]) {
    let _ = ecb::decode(bytes);
}

/// A file of the Bank of Russia.
pub fn cbr(bytes: &[u8]) {
    let _ = cbr::decode(bytes);
    let _ = cbr::decode_dynamic(bytes);
}

/// An answer of Open Exchange Rates.
pub fn openexchangerates(bytes: &[u8]) {
    let _ = openexchangerates::decode(bytes);
    let _ = openexchangerates::wire::refused(bytes);
}

/// The configuration of an `http` source as one line of JSON, then the document it reads.
pub fn http_document(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (head, body) = bytes.split_at(end.unwrap_or(bytes.len()));
    let Ok(config) = serde_json::from_slice::<http_source::Config>(head) else {
        return;
    };
    let Ok(mut source) = HttpSource::new(&config) else {
        return;
    };
    let answer = Fetched::Body {
        bytes: body.get(1..).unwrap_or_default().to_vec().into(),
        validators: Validators::default(),
        content_type: None,
        headers: Vec::new(),
    };
    let _ = source.request(now());
    let _ = source.receive(answer, now());
    let _ = source.picture(now());
}
