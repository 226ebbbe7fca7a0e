//! Quick and slow reading give the same; nothing impossible passes.

use super::*;
use proptest::prelude::*;

struct One;

impl Symbols for One {
    fn find(&self, name: &str) -> Option<u32> {
        (name == "BTCUSDT").then_some(7)
    }
}

/// What a frame says and the levels it names.
fn read(text: &str) -> (Vec<Said>, Vec<String>) {
    let mut heap = Heap::default();
    frame(text, &One, &mut heap);
    (heap.said, shown(&heap.changes))
}

fn shown(changes: &[kurs_book::Change]) -> Vec<String> {
    changes
        .iter()
        .map(|change| format!("{:?} {} {}", change.side, change.price, change.size))
        .collect()
}

/// The quick way alone.
fn quickly(text: &str) -> Option<(Said, Vec<String>)> {
    let mut changes = Vec::new();
    let said = quick::frame(text, &One, &mut changes)?;
    Some((said, shown(&changes)))
}

/// The same text with a blank, which the quick way does not take.
fn slowly(text: &str) -> (Vec<Said>, Vec<String>) {
    let spaced = format!(" {text}");
    assert_eq!(quickly(&spaced), None);
    read(&spaced)
}

const TICKER: &str = r#"{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"0.00000000"}"#;
const DEPTH: &str = r#"{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":50093239189,"u":50093239202,"b":[["61737.63000000","0.00000000"],["61730.17000000","1.5"]],"a":[["61837.64000000","1.54698000"]]}"#;

#[test]
fn what_the_venue_writes_is_read_quickly_and_as_the_parser_reads_it() {
    for text in [
        TICKER.to_owned(),
        format!(r#"{{"stream":"btcusdt@bookTicker","data":{TICKER}}}"#),
        DEPTH.to_owned(),
        format!(r#"{{"stream":"btcusdt@depth@100ms","data":{DEPTH}}}"#),
        DEPTH.replace("BTCUSDT", "ETHUSDT"),
        r#"{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,"b":[],"a":[]}"#.to_owned(),
    ] {
        let (said, levels) = quickly(&text).unwrap();
        assert_eq!((vec![said], levels), slowly(&text), "{text}");
    }
}

#[test]
fn digits_are_kept() {
    let (said, levels) = read(DEPTH);
    assert_eq!(
        levels,
        [
            "Bid 61737.63000000 0.00000000",
            "Bid 61730.17000000 1.5",
            "Ask 61837.64000000 1.54698000"
        ]
    );
    assert!(
        matches!(
            said[..],
            [Said::Book {
                symbol: 7,
                ids: Ids::Range {
                    first: 50_093_239_189,
                    last: 50_093_239_202
                },
                ..
            }]
        ),
        "{said:?}"
    );
}

#[test]
fn what_differs_is_left_to_the_parser() {
    for text in [
        TICKER.replace(r#""u":5"#, r#""u":05"#),
        TICKER.replace(r#""u":5"#, r#""u":-5"#),
        TICKER.replace(",\"s\"", ", \"s\""),
        TICKER.replace("BTC", r"\u0042TC"),
        format!("{TICKER} "),
        format!("{TICKER}}}"),
        TICKER.replace("3.78826000", "3.788260000000000000000001"),
        TICKER.replace("3.78826000", "3."),
        TICKER.replace("3.78826000", ".5"),
        TICKER.replace("61837.63000000", "0"),
        DEPTH.replace("1.54698000", "-1"),
        DEPTH.replace("61837.64000000", "0.0"),
        DEPTH.replace("]],\"a\"", ",[]]],\"a\""),
        format!(r#"{{"stream":"btcusdt@trade","data":{DEPTH}}}"#),
        String::new(),
    ] {
        assert_eq!(quickly(&text), None, "{text}");
    }
}

#[test]
fn impossible_numbers_are_told_with_their_channel() {
    let top = Said::Impossible {
        symbol: 7,
        channel: Channel::Top,
    };
    let book = Said::Impossible {
        symbol: 7,
        channel: Channel::Book,
    };
    for (text, said) in [
        (TICKER.replace("61837.63000000", "0.000"), &top),
        (TICKER.replace("3.78826000", "-1"), &top),
        (DEPTH.replace("1.54698000", "-1"), &book),
        (DEPTH.replace("61837.64000000", "0.0"), &book),
        (DEPTH.replace("61837.64000000", "1e308"), &book),
        (TICKER.replace("61837.63000000", "1e308"), &Said::Unreadable),
        (TICKER.replace("61837.63000000", "NaN"), &Said::Unreadable),
    ] {
        assert_eq!(read(&text).0, std::slice::from_ref(said), "{text}");
    }
}

proptest! {
    #[test]
    fn nothing_is_read_quickly_that_the_parser_reads_otherwise(
        id in "[0-9]{1,21}",
        bid in r#"[0-9.eE+\\"-]{0,8}|[0-9]{1,9}\.[0-9]{0,11}"#,
        tail in r#","B":"[0-9.]{0,4}","a":"[^"]{0,8}","A":"[0-9]{0,3}"[}]{0,2}"#,
    ) {
        let text = format!(r#"{{"u":{id},"s":"BTCUSDT","b":"{bid}"{tail}"#);
        if let Some((said, levels)) = quickly(&text) {
            prop_assert_eq!((vec![said], levels), slowly(&text));
        }
    }

    #[test]
    fn no_diff_is_read_quickly_that_the_parser_reads_otherwise(
        first in "[0-9]{1,20}",
        levels in prop::collection::vec(r#"[\["\]]{0,3}[0-9]{0,5}\.?[0-9]{0,9}[",]{0,3}"#, 0..6),
        good in prop::collection::vec(r#"\["[0-9]{1,5}(\.[0-9]{1,9})?","[0-9]{1,9}(\.[0-9]{1,9})?"\]"#, 0..5),
    ) {
        for levels in [levels.join(","), good.join(",")] {
            let text = format!(
                r#"{{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":{first},"u":2,"b":[{levels}],"a":[]}}"#
            );
            if let Some((said, levels)) = quickly(&text) {
                prop_assert_eq!((vec![said], levels), slowly(&text));
            }
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        read(&text);
    }
}
