//! Where the prices of each source come from, as far as that decides whether a former price of it
//! may go on being served.

use kurs_core::SourceId;
use kurs_sources::SourcesConfig;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Settings that say where prices of a source come from. All others may change at any time.
const ORIGIN: [&str; 2] = ["ws_url", "rest_url"];
/// Settings of a generic source that do not change what its prices mean.
const MANNERS: [&str; 8] = [
    "enabled", "priority", "hold_ms", "anchor", "period", "key", "key_file", "headers",
];

/// The origin of each of these sources, as text.
pub(super) fn origins(
    config: &SourcesConfig,
    sources: impl Iterator<Item = SourceId>,
) -> BTreeMap<SourceId, String> {
    let settings = serde_json::to_value(config).unwrap_or_default();
    let own = |name: &str| settings.get(name).and_then(Value::as_object);
    let generic = |name: &str| settings.get("http")?.get(name)?.as_object();
    sources
        .map(|source| {
            let name = source.plain();
            let kept: Map<String, Value> = match (generic(name), own(name)) {
                (Some(settings), _) => without(settings, &MANNERS),
                (None, Some(settings)) => only(settings, &ORIGIN),
                (None, None) => Map::new(),
            };
            (source, Value::Object(kept).to_string())
        })
        .collect()
}

fn only(settings: &Map<String, Value>, keys: &[&str]) -> Map<String, Value> {
    picked(settings, |key| keys.contains(&key))
}

fn without(settings: &Map<String, Value>, keys: &[&str]) -> Map<String, Value> {
    picked(settings, |key| !keys.contains(&key))
}

fn picked(settings: &Map<String, Value>, wanted: impl Fn(&str) -> bool) -> Map<String, Value> {
    let pairs = settings.iter().filter(|(key, _)| wanted(key));
    pairs
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_sources::http_source;

    fn source(name: &str) -> SourceId {
        SourceId::parse(name).unwrap()
    }

    fn bank(change: Value) -> SourcesConfig {
        let mut settings = serde_json::json!({
            "url": "https://bank.example/rates.json",
            "rates": { "USD-RUB": "/usd" },
        });
        let settings_map = settings.as_object_mut().unwrap();
        settings_map.extend(change.as_object().unwrap().clone());
        let bank: http_source::Config = serde_json::from_value(settings).unwrap();
        SourcesConfig {
            http: BTreeMap::from([("bank".to_owned(), bank)]),
            ..SourcesConfig::default()
        }
    }

    #[test]
    fn another_place_or_another_reading_is_another_origin_and_a_new_priority_is_not() {
        let origin = |config: &SourcesConfig| {
            let ids = [source("sim:bank"), source("binance")];
            origins(config, ids.into_iter())
        };
        let as_it_was = origin(&bank(serde_json::json!({})));
        assert!(
            as_it_was[&source("sim:bank")].contains("/usd"),
            "{as_it_was:?}"
        );
        assert!(!as_it_was[&source("binance")].contains("priority"));
        for same in [
            serde_json::json!({"priority": 3}),
            serde_json::json!({"period": "1h"}),
        ] {
            assert_eq!(origin(&bank(same)), as_it_was);
        }
        for other in [
            serde_json::json!({"url": "https://bank.example/other.json"}),
            serde_json::json!({"rates": { "USD-RUB": "/buy" }}),
        ] {
            assert_ne!(origin(&bank(other)), as_it_was);
        }
        let mut moved = bank(serde_json::json!({}));
        moved.binance.rest_url = "http://127.0.0.1:1".to_owned();
        assert_ne!(origin(&moved), as_it_was);
    }
}
