use super::*;

const FRAME: Occasion<'_> = Occasion {
    venue: Venue::Binance,
    stage: Stage::Frame,
    symbol: Some("BTCUSDT"),
    route: "",
};

#[test]
fn a_fault_hits_only_its_scope_and_heals_after_its_hits() {
    let board = Board::new(1);
    let now = Instant::now();
    let fault = Fault::new(FaultKind::Malformed { percent: 100 });
    board.set(Venue::Binance, fault.for_symbol("BTCUSDT").times(2), now);
    let other = Occasion {
        symbol: Some("ETHUSDT"),
        ..FRAME
    };
    assert!(!board.judge(&other, now).malformed);
    assert!(board.judge(&FRAME, now).malformed);
    assert!(board.judge(&FRAME, now).malformed);
    assert!(!board.judge(&FRAME, now).malformed);
    assert!(board.list().is_empty());
}

#[test]
fn a_flap_is_down_first_and_tells_each_fall_once() {
    let board = Board::new(1);
    let start = Instant::now();
    let period = Duration::from_millis(1_000);
    board.set(
        Venue::Binance,
        Fault::new(FaultKind::Flap { period }),
        start,
    );
    let at = |ms| start + Duration::from_millis(ms);
    let handshake = Occasion {
        stage: Stage::Handshake,
        ..FRAME
    };
    assert_eq!(board.judge(&handshake, at(100)).close, Some(Close::Reset));
    assert!(board.gone_down(at(100)).is_empty());
    assert_eq!(board.judge(&handshake, at(600)).close, None);
    assert!(board.gone_down(at(600)).is_empty());
    assert_eq!(board.gone_down(at(1_100)), [(Venue::Binance, None)]);
    assert!(board.gone_down(at(1_200)).is_empty());
}

#[test]
fn percentages_are_kept() {
    let board = Board::new(7);
    let now = Instant::now();
    board.set(
        Venue::Binance,
        Fault::new(FaultKind::Drop { percent: 30 }),
        now,
    );
    let lost = (0..10_000)
        .filter(|_| board.judge(&FRAME, now).drop)
        .count();
    assert!((2_700..3_300).contains(&lost), "{lost} of 10000");
}

#[test]
fn a_gap_hits_diffs_and_nothing_else() {
    let board = Board::new(1);
    let now = Instant::now();
    board.set(Venue::Binance, Fault::gap(), now);
    assert!(!board.judge(&FRAME, now).drop);
    let diff = Occasion {
        stage: Stage::Diff,
        ..FRAME
    };
    assert!(board.judge(&diff, now).drop);
    assert!(!board.judge(&diff, now).drop);
}

#[test]
fn what_is_made_wrong_is_taken_by_symbol_and_counted() {
    let board = Board::new(1);
    let now = Instant::now();
    let fault = Fault::new(FaultKind::Crossed)
        .for_symbol("BTC/USD")
        .times(2);
    board.set(Venue::Kraken, fault, now);
    let take = |venue, symbol| board.take(venue, &FaultKind::Crossed, symbol);
    assert!(!take(Venue::Kraken, "ETH/USD") && !take(Venue::Okx, "BTC/USD"));
    assert!(take(Venue::Kraken, "BTC/USD") && take(Venue::Kraken, "BTC/USD"));
    assert!(!take(Venue::Kraken, "BTC/USD"));
    assert!(board.list().is_empty());
}
