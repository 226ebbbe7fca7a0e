use super::*;
use crate::packed::test_values::any_price;
use kurs_core::{Epoch, Seq};
use proptest::prelude::*;

fn row(seq: u64, received_at: i64) -> HistoryRow {
    let price = |text: String| Some(Price::parse(&text).unwrap());
    HistoryRow {
        pair: Pair::parse("BTC-USDT").unwrap(),
        source: SourceId::parse("binance").unwrap(),
        id: UpdateId {
            shard: 0,
            epoch: Epoch(1),
            seq: Seq(seq),
        },
        value: Price::parse(&format!("540{:02}.015", seq % 100)).unwrap(),
        bid: price(format!("540{:02}.01000000", seq % 100)),
        ask: price(format!("540{:02}.02000000", seq % 100)),
        observed_at: Some(Wall(received_at / 1_000 * 1_000 - 20_000)),
        received_at: Wall(received_at),
    }
}

fn read(bytes: &[u8]) -> Option<Vec<HistoryRow>> {
    decode(
        bytes,
        Pair::parse("BTC-USDT").unwrap(),
        SourceId::parse("binance").unwrap(),
    )
}

/// With all trailing zeros.
fn text(rows: &[HistoryRow]) -> String {
    format!("{rows:?}")
}

#[test]
fn bytes_that_were_written_once_are_read_for_ever() {
    let rows = [
        row(7, 1_723_161_255_208_123),
        HistoryRow {
            bid: None,
            value: Price::parse("1.50").unwrap(),
            ..row(9, 1_723_161_255_308_124)
        },
        HistoryRow {
            value: Price::parse("7922816251426433759354395033.5").unwrap(),
            observed_at: None,
            ..row(12, 1_723_161_255_508_000)
        },
    ];
    let bytes = encode(&rows).unwrap();
    assert_eq!(text(&read(&bytes).unwrap()), text(&rows));
    let released = [
        1, 3, 246, 146, 143, 232, 151, 205, 143, 6, 3, 0, 66, 136, 0, 13, 25, 0, 3, 6, 3, 0, 3, 0,
        1, 14, 1, 0, 4, 6, 0, 15, 10, 16, 1, 1, 1, 40, 8, 6, 0, 8, 8, 6, 0, 8, 250, 161, 147, 5, 0,
        2, 3, 1, 138, 1, 210, 1, 164, 2, 1, 0, 2, 30, 0, 24, 0, 23, 7, 200, 241, 212, 201, 2, 200,
        1, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 31,
    ];
    assert_eq!(bytes, released, "a change of the form needs a new number");
}

#[test]
fn a_full_block_of_a_stream_takes_few_bytes_a_row() {
    let mut random = fastrand::Rng::with_seed(4);
    let mut at = 1_723_161_255_208_123;
    let rows: Vec<HistoryRow> = (0..ROWS_MAX)
        .map(|seq| {
            at += random.i64(50_000..150_000);
            row(u64::try_from(seq).unwrap() * 7, at)
        })
        .collect();
    let bytes = encode(&rows).unwrap();
    assert_eq!(text(&read(&bytes).unwrap()), text(&rows));
    assert!(bytes.len() < 6 * ROWS_MAX, "{} bytes", bytes.len());
}

#[test]
fn no_block_is_empty_too_long_or_out_of_order() {
    assert_eq!(encode(&[]), None);
    assert_eq!(encode(&[row(1, 2), row(2, 1)]), None);
    assert_eq!(encode(&[row(1, 1), row(1, 1)]), None);
    let many: Vec<HistoryRow> = (0..=ROWS_MAX)
        .map(|seq| row(u64::try_from(seq).unwrap(), 5))
        .collect();
    assert_eq!(encode(&many), None);
    assert!(encode(&many[1..]).is_some());
}

#[test]
fn cut_bytes_are_refused() {
    let rows: Vec<HistoryRow> = (0..200).map(|seq| row(seq, 1_000_000)).collect();
    let bytes = encode(&rows).unwrap();
    for length in 0..bytes.len() {
        assert_eq!(read(&bytes[..length]), None, "{length} bytes");
    }
    assert_eq!(read(&[bytes.as_slice(), &[0]].concat()), None);
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), 0_i64..50, Just(i64::MIN), Just(i64::MAX)]
}

fn any_id() -> impl Strategy<Value = UpdateId> {
    let seq = prop_oneof![any::<u64>(), 0_u64..20];
    (0_u16..3, prop_oneof![any::<u64>(), 0_u64..3], seq).prop_map(|(shard, epoch, seq)| UpdateId {
        shard,
        epoch: Epoch(epoch),
        seq: Seq(seq),
    })
}

prop_compose! {
    /// Of a venue with two digits, or anything at all.
    fn any_row()(
        id in any_id(),
        received_at in any_time(),
        behind in prop_oneof![(-5_000_i64..50_000).prop_map(Some), Just(None)],
        observed in prop::option::of(any_time()),
        odd in (any_price(), prop::option::of(any_price()), prop::option::of(any_price())),
        usual in (1_i64..1_000_000, 0_i64..50, 0_u32..3),
        shape in 0..12,
    ) -> HistoryRow {
        let digits = |number: i64, scale: u32| Price::new(Decimal::new(number, scale)).unwrap();
        let (bid, ask) = (digits(usual.0 * 100, 4), digits((usual.0 + usual.1) * 100, 4));
        let (value, bid, ask) = match shape {
            0 => odd,
            1 => (bid, None, None),
            2 => (bid, None, Some(ask)),
            3 => (ask, Some(bid), None),
            4 => (odd.0, Some(bid), Some(ask)),
            5 => (digits(usual.0, usual.2), Some(digits(usual.0, usual.2)), None),
            6 => (bid.normalized(), None, None),
            _ => (Price::mid(bid, ask).unwrap(), Some(bid), Some(ask)),
        };
        let coarse = |behind: i64| Wall(received_at.saturating_sub(behind) / 1_000 * 1_000);
        HistoryRow {
            value,
            bid,
            ask,
            observed_at: behind.map(coarse).or(observed.map(Wall)),
            id,
            received_at: Wall(received_at),
            ..row(0, 0)
        }
    }
}

proptest! {
    #[test]
    fn every_row_survives_with_all_its_digits(rows in prop::collection::vec(any_row(), 1..80)) {
        let mut rows = rows;
        rows.sort_by_key(place);
        rows.dedup_by_key(|row| place(row));
        let bytes = encode(&rows).unwrap();
        prop_assert_eq!(text(&read(&bytes).unwrap()), text(&rows));
    }

    #[test]
    fn no_bytes_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        rows in prop::collection::vec(any_row(), 1..60),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let _ = read(&bytes);
        let mut rows = rows;
        rows.sort_by_key(place);
        rows.dedup_by_key(|row| place(row));
        let mut bytes = encode(&rows).unwrap();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        let _ = read(&bytes);
    }
}
