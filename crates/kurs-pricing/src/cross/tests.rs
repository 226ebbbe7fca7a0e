use super::*;
use proptest::prelude::*;

fn asset(name: &str) -> Asset {
    Asset::parse(name).unwrap()
}

fn market(pair: &str, value: &str, observed_s: i64) -> Market {
    Market {
        pair: Pair::parse(pair).unwrap(),
        value: Price::parse(value).unwrap(),
        bid: None,
        ask: None,
        confidence: None,
        source: SourceId::parse("test").unwrap(),
        observed_at: Wall::from_unix_seconds(observed_s),
        expires_at: Wall::from_unix_seconds(observed_s + 60),
    }
}

fn sided(pair: &str, bid: &str, ask: &str) -> Market {
    let (bid, ask) = (Price::parse(bid).unwrap(), Price::parse(ask).unwrap());
    let value = Price::mid(bid, ask).unwrap();
    let confidence = Some((ask.value() - bid.value()) / Decimal::TWO);
    Market {
        value,
        bid: Some(bid),
        ask: Some(ask),
        confidence,
        ..market(pair, "1", 100)
    }
}

fn cross(graph: &Graph, base: &str, quote: &str) -> CrossRate {
    let path = graph.path(asset(base), asset(quote)).expect("a path");
    graph.rate(&path).expect("a rate")
}

fn way(rate: &CrossRate) -> String {
    let legs: Vec<String> = rate
        .legs
        .iter()
        .map(|leg| format!("{}{}", if leg.inverted { "1/" } else { "" }, leg.pair))
        .collect();
    legs.join(" ")
}

#[test]
fn the_golden_path_product_is_exact() {
    let graph = Graph::new([
        market("BTC-USDT", "60000.00", 100),
        market("USDT-USD", "0.9990", 90),
        market("USD-RUB", "90.50", 80),
    ]);
    let rate = cross(&graph, "BTC", "RUB");
    assert_eq!(rate.value.to_string(), "5424570");
    assert_eq!(way(&rate), "BTC-USDT USDT-USD USD-RUB");
    assert_eq!(
        rate.observed_at,
        Wall::from_unix_seconds(80),
        "age is the oldest leg's"
    );
    assert_eq!(
        rate.expires_at,
        Wall::from_unix_seconds(140),
        "expiry is the first leg's to expire"
    );
}

#[test]
fn an_inverse_leg_swaps_the_sides() {
    let graph = Graph::new([sided("EUR-USD", "1.24", "1.26")]);
    let rate = cross(&graph, "USD", "EUR");
    assert_eq!(rate.value.to_string(), "0.8");
    assert_eq!(rate.bid.unwrap().to_string(), "0.793650793650794");
    assert_eq!(rate.ask.unwrap().to_string(), "0.806451612903226");
}

#[test]
fn a_single_market_keeps_its_venues_digits() {
    let graph = Graph::new([market("BTC-USDT", "54000.01000000", 1)]);
    assert_eq!(
        cross(&graph, "BTC", "USDT").value.to_string(),
        "54000.01000000"
    );
}

#[test]
fn fewest_legs_win_over_age_and_age_over_spread() {
    let direct = Graph::new([
        market("BTC-USDT", "60000", 900),
        market("USDT-USD", "1.001", 900),
        market("BTC-USD", "60001", 10),
    ]);
    assert_eq!(way(&cross(&direct, "BTC", "USD")), "BTC-USD");
    let by_age = Graph::new([
        sided("BTC-USDT", "100", "101"),
        Market {
            observed_at: Wall::from_unix_seconds(50),
            ..sided("USDT-EUR", "1", "1.0001")
        },
        sided("BTC-USD", "100", "120"),
        sided("USD-EUR", "1", "1.2"),
    ]);
    assert_eq!(way(&cross(&by_age, "BTC", "EUR")), "BTC-USD USD-EUR");
    let by_spread = Graph::new([
        sided("BTC-USDT", "100", "101"),
        sided("USDT-EUR", "1", "1.0001"),
        sided("BTC-USD", "100", "120"),
        sided("USD-EUR", "1", "1.2"),
    ]);
    assert_eq!(way(&cross(&by_spread, "BTC", "EUR")), "BTC-USDT USDT-EUR");
}

#[test]
fn no_path_is_longer_than_four_legs() {
    let chain = Graph::new(["A-B", "B-C", "C-D", "D-E", "E-F"].map(|pair| market(pair, "2", 1)));
    assert_eq!(cross(&chain, "A", "E").value.to_string(), "16");
    assert!(chain.path(asset("A"), asset("F")).is_none());
}

#[test]
fn confidence_adds_relatively() {
    let graph = Graph::new([sided("A-B", "99", "101"), sided("B-C", "1.98", "2.02")]);
    // 1 % of 100 and 1 % of 2 make 2 % of 200.
    assert_eq!(cross(&graph, "A", "C").confidence.unwrap().to_string(), "4");
}

#[test]
fn overflow_is_an_error_and_not_a_wrong_number() {
    let big = "70000000000000000000000000000";
    let graph = Graph::new([market("A-B", big, 1), market("B-C", big, 1)]);
    let path = graph.path(asset("A"), asset("C")).unwrap();
    assert_eq!(graph.rate(&path), Err(PriceError::OutOfRange));
}

/// All simple paths, by brute force.
fn every_path(
    graph: &Graph,
    at: Asset,
    goal: Asset,
    seen: &[Asset],
    path: &Path,
    found: &mut Vec<Path>,
) {
    if at == goal {
        found.push(path.clone());
        return;
    }
    if path.steps.len() == MAX_LEGS {
        return;
    }
    for (index, market) in graph.markets().iter().enumerate() {
        for (from, to, inverted) in [
            (market.pair.base, market.pair.quote, false),
            (market.pair.quote, market.pair.base, true),
        ] {
            if from == at && !seen.contains(&to) {
                let mut seen = seen.to_vec();
                seen.push(to);
                every_path(
                    graph,
                    to,
                    goal,
                    &seen,
                    &path.extended(index, inverted, market),
                    found,
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn the_path_found_is_the_best_of_all_paths(
        edges in prop::collection::vec((0_u8..6, 0_u8..6, 1_i64..5, 1_u32..4), 1..14),
        goal in 1_u8..6,
    ) {
        let name = |index: u8| asset(&format!("A{index}"));
        let graph = Graph::new(edges.iter().filter(|(a, b, ..)| a != b).map(|(a, b, age, width)| Market {
            bid: Some(Price::new(Decimal::new(100 - i64::from(*width), 2)).unwrap()),
            ask: Some(Price::new(Decimal::new(100 + i64::from(*width), 2)).unwrap()),
            pair: Pair::new(name(*a), name(*b)),
            ..market("X-Y", "1", *age)
        }));
        let mut all = Vec::new();
        every_path(&graph, name(0), name(goal), &[name(0)], &Path::empty(), &mut all);
        let best = all.into_iter().reduce(|best, path| {
            let shorter = path.steps.len() < best.steps.len();
            let same = path.steps.len() == best.steps.len();
            if shorter || (same && path.better_than(&best)) { path } else { best }
        });
        // Paths that are equal by every rule may differ in their markets.
        let merit = |path: Option<Path>| path.map(|path| (path.steps.len(), path.oldest, path.spread));
        let best = merit(best);
        prop_assert_eq!(merit(graph.path(name(0), name(goal))), best);
        prop_assert_eq!(merit(graph.paths_from(name(0)).remove(&name(goal))), best);
        let shortest = graph.shortest_paths(name(0), name(goal), usize::MAX).unwrap();
        let market = |step: &(usize, bool)| Some(graph.markets()[step.0]);
        let found = Graph::best_of(shortest.iter().map(Vec::as_slice), market);
        let found = found.map(|place| {
            shortest[place].iter().fold(Path::empty(), |path, (index, inverted)| {
                path.extended(*index, *inverted, &graph.markets()[*index])
            })
        });
        prop_assert_eq!(merit(found), best);
    }

    #[test]
    fn a_cross_rate_never_outlives_its_legs(ages in prop::collection::vec(1_i64..1_000, 3)) {
        let graph = Graph::new([
            market("A-B", "3", ages[0]), market("C-B", "7", ages[1]), market("C-D", "11", ages[2]),
        ]);
        let rate = cross(&graph, "A", "D");
        prop_assert_eq!(rate.expires_at, rate.legs.iter().map(|leg| leg.expires_at).min().unwrap());
        prop_assert_eq!(rate.observed_at, rate.legs.iter().map(|leg| leg.observed_at).min().unwrap());
    }
}
