//! Small parts alone: `cargo bench -p kurs-bench`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kurs_core::{Now, Pair, Price, SourceEvent, SourceId, Wall};
use kurs_sources::binance::{Binance, Config};
use kurs_sources::venue::codec::Codec as _;
use kurs_sources::venue::{Desk, DeskParts};
use kurs_sources::{EventSink, Input, Machine as _, SourceStats, Wishes};
use std::hint::black_box;
use std::sync::Arc;

struct Nobody;

impl EventSink for Nobody {
    fn deliver(&self, event: SourceEvent) {
        black_box(event);
    }
}

fn prices(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("price");
    group.bench_function("parse", |bencher| {
        bencher.iter(|| Price::parse(black_box("60123.45000000")))
    });
    let [bid, ask, other] =
        ["60123.45", "60123.46", "0.999871"].map(|text| Price::parse(text).ok());
    if let (Some(bid), Some(ask), Some(other)) = (bid, ask, other) {
        group.bench_function("mid", |bencher| {
            bencher.iter(|| Price::mid(black_box(bid), black_box(ask)))
        });
        group.bench_function("cross", |bencher| {
            bencher.iter(|| black_box(bid).times(black_box(other)).map(Price::published));
        });
        group.bench_function("inverse", |bencher| {
            bencher.iter(|| black_box(bid).inverse().map(Price::published));
        });
    }
    group.finish();
}

/// The same frame again and again is a duplicate from the second time on: everything but the
/// making of the tick is in the figure.
fn decode(criterion: &mut Criterion) {
    let text = r#"{"stream":"btcusdt@bookTicker","data":{"u":400900217,"s":"BTCUSDT","b":"60123.45000000","B":"31.21000000","a":"60123.46000000","A":"40.66000000"}}"#;
    let (Ok(pair), Ok(source)) = (Pair::parse("BTC-USDT"), SourceId::parse("binance")) else {
        return;
    };
    let mut desk = Desk::new(DeskParts {
        source,
        codec: Arc::new(Binance::new()),
        waits: Config::default().waits(&Binance::new().facts()),
        depth: Arc::from([]),
        events: Arc::new(Nobody),
        stats: Arc::new(SourceStats::new("websocket", Wall::default())),
    });
    let mut wishes = Wishes::new();
    let (now, listed) = (Now::default(), Some(true));
    desk.take(now, Input::Wanted { pairs: &[pair] }, &mut wishes);
    desk.take(now, Input::Listed { pair, listed }, &mut wishes);
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(1));
    group.bench_function("book ticker", |bencher| {
        bencher.iter(|| {
            let (connection, text) = (1, black_box(text));
            desk.take(now, Input::Frame { connection, text }, &mut wishes);
            wishes.heard.clear();
        });
    });
    group.finish();
}

criterion_group!(parts, prices, decode);
criterion_main!(parts);
