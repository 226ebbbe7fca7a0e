//! No bytes from outside panic a decoder or a source, and nothing unreadable becomes a price.

use kurs_core::{Mono, Now, Wall};
use kurs_net::http::{FetchError, Fetched, Validators};
use kurs_sources::protocol::{Protocol, Received};
use kurs_sources::{cbr, coingecko, ecb, openexchangerates};
use proptest::prelude::*;
use std::time::Duration;

const CBR: &str = r#"<?xml version="1.0" encoding="windows-1251"?><ValCurs Date="25.04.2026" name="x"><Valute ID="R01235"><NumCode>840</NumCode><CharCode>USD</CharCode><Nominal>1</Nominal><Name>y</Name><Value>75,5273</Value><VunitRate>75,5273</VunitRate></Valute><Valute ID="R01150"><CharCode>VND</CharCode><Nominal>10000</Nominal><Value>30,0750</Value></Valute></ValCurs>"#;
const CBR_DYNAMIC: &str = r#"<?xml version="1.0" encoding="windows-1251"?><ValCurs ID="R01235"><Record Date="03.03.2026" Id="R01235"><Nominal>1</Nominal><Value>77,1734</Value></Record></ValCurs>"#;
const ECB: &str = "<gesmes:Envelope xmlns:gesmes='a' xmlns='b'><Cube><Cube time='2026-04-24'><Cube currency='USD' rate='1.1831'/><Cube currency=\"JPY\" rate=\"141.17\"/></Cube></Cube></gesmes:Envelope>";
const ECB_CSV: &str =
    "FREQ,CURRENCY,TIME_PERIOD,OBS_VALUE\nD,AUD,2026-02-17,1.6776\nD,AUD,2026-02-18,\n";
const OXR: &str = r#"{"timestamp":1777111200,"base":"USD","rates":{"RUB":101.23,"BTC":1.12e-5}}"#;
const GECKO: &str =
    r#"{"bitcoin":{"usd":67187.3358936566,"rub":2.2e15,"last_updated_at":1777111200},"tether":{}}"#;

const SAMPLES: [&str; 6] = [CBR, CBR_DYNAMIC, ECB, ECB_CSV, OXR, GECKO];

fn all_decoders(bytes: &[u8]) {
    let _ = cbr::decode(bytes);
    let _ = cbr::decode_dynamic(bytes);
    let _ = ecb::decode(bytes);
    let _ = openexchangerates::decode(bytes);
    let _ = openexchangerates::wire::refused(bytes);
    let _ = coingecko::decode(bytes);
    let _ = coingecko::wire::refused(bytes);
}

fn body(bytes: &[u8]) -> Fetched {
    Fetched::Body {
        bytes: bytes.to_vec().into(),
        validators: Validators::default(),
        content_type: None,
        headers: Vec::new(),
    }
}

/// Feeds one answer to a source and looks at what it then holds, at several times.
fn feed(mut protocol: impl Protocol, bytes: &[u8], wall: Wall) {
    let now = Now {
        mono: Mono(5),
        wall,
    };
    let _ = protocol.request(now);
    if protocol.receive(body(bytes), now) == Ok(Received::More) {
        let _ = protocol.request(now);
        let _ = protocol.receive(body(bytes), now);
    }
    let _ = protocol.judge(&FetchError::Refused {
        status: 403,
        body: bytes.to_vec().into(),
    });
    for days in [0, 1, 20] {
        let later = now.plus(Duration::from_secs(days * 86_400));
        let _ = protocol.picture(later);
        let _ = protocol.changes_at(later);
    }
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..8);
    (prop::sample::select(SAMPLES.to_vec()), edits).prop_map(|(sample, edits)| {
        let mut bytes = sample.as_bytes().to_vec();
        for (at, byte, how) in edits {
            let at = at.index(bytes.len().max(1));
            match how {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.insert(at, byte),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bytes_panic_no_decoder(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        all_decoders(&bytes);
    }

    #[test]
    fn damaged_answers_panic_no_decoder(bytes in mutated()) {
        all_decoders(&bytes);
    }

    #[test]
    fn damaged_answers_panic_no_source(bytes in mutated(), seconds in 0_i64..3_000_000_000) {
        let wall = Wall::from_unix_seconds(seconds);
        feed(cbr::Cbr::new(cbr::Config::default()), &bytes, wall);
        feed(ecb::Ecb::new(ecb::Config::default()), &bytes, wall);
        feed(coingecko::CoinGecko::new(coingecko::Config::default()), &bytes, wall);
        let config = openexchangerates::Config::default();
        feed(openexchangerates::OpenExchangeRates::new(config), &bytes, wall);
    }

    #[test]
    fn a_cut_cbr_table_is_refused(cut in 0_usize..CBR.len()) {
        prop_assert!(cbr::decode(&CBR.as_bytes()[..cut]).is_err());
    }

    #[test]
    fn a_cut_ecb_file_is_refused(cut in 0_usize..ECB.len()) {
        prop_assert!(ecb::decode(&ECB.as_bytes()[..cut]).is_err());
    }
}

#[test]
fn the_undamaged_samples_are_read() {
    assert_eq!(cbr::decode(CBR.as_bytes()).unwrap().rates.rates.len(), 2);
    assert_eq!(
        cbr::decode_dynamic(CBR_DYNAMIC.as_bytes())
            .unwrap()
            .records
            .len(),
        1
    );
    assert_eq!(ecb::decode(ECB.as_bytes()).unwrap()[0].rates.rates.len(), 2);
    assert_eq!(ecb::decode(ECB_CSV.as_bytes()).unwrap().len(), 1);
    assert_eq!(
        openexchangerates::decode(OXR.as_bytes())
            .unwrap()
            .rates
            .rates
            .len(),
        2
    );
    assert_eq!(coingecko::decode(GECKO.as_bytes()).unwrap().coins.len(), 2);
}
