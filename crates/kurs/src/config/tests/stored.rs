//! The layer of what is set while kurs runs.

use super::*;
use crate::config::schema::Schema;
use crate::config::stored::{may_be_set, path_of};
use kurs_core::Wall;
use kurs_store::StoredSetting;
use serde_json::{Value, json};

fn stored(key: &str, value: &str) -> StoredSetting {
    StoredSetting {
        key: key.into(),
        value: value.into(),
        set_at: Wall(1),
        who: "loopback".into(),
        why: None,
    }
}

fn layered(desk: &Desk, settings: &[StoredSetting]) -> Layered {
    let layered = desk.inputs.read().with_settings(settings);
    layered.unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn why_not<'a>(layered: &'a Layered, key: &str) -> Option<&'a str> {
    layered.standings[key].why_not.as_deref()
}

fn judged(desk: &Desk, settings: &[StoredSetting], changes: Value) -> Result<Value, Vec<String>> {
    let changes = serde_json::from_value(changes).unwrap();
    let judged = desk.inputs.read().judge(settings, &changes);
    judged
        .map(|judged| serde_json::to_value(judged).unwrap())
        .map_err(|mistakes| {
            mistakes
                .into_iter()
                .map(|(key, what)| format!("{key}: {what}"))
                .collect()
        })
}

#[test]
fn a_setting_beats_environment_and_file_and_a_flag_beats_it() {
    let desk = Desk::new()
        .file(
            "kurs.toml",
            "[sources.binance]\npriority = 3\nws_url = \"ws://127.0.0.1:1\"\n",
        )
        .env("KURS_SOURCES__BINANCE__PRIORITY", "7");
    let settings = [stored("sources.binance.priority", "9")];
    let with = layered(&desk, &settings);
    let binance = &with.loaded.config.sources.binance;
    assert_eq!(
        (binance.priority, &*binance.ws_url),
        (9, "ws://127.0.0.1:1")
    );
    let standing = &with.standings["sources.binance.priority"];
    assert_eq!(standing.why_not, None);
    let configured = Some((
        json!(7),
        "environment KURS_SOURCES__BINANCE__PRIORITY".to_owned(),
    ));
    assert_eq!(standing.configured, configured);

    let desk = desk.flag("sources.binance.priority", "4");
    let with = layered(&desk, &settings);
    assert_eq!(with.loaded.config.sources.binance.priority, 4);
    let standing = &with.standings["sources.binance.priority"];
    assert!(standing.is_overruled, "{standing:?}");
    assert_eq!(
        standing.why_not.as_deref(),
        Some("the flag --set is stronger")
    );
}

#[test]
fn a_policy_that_is_set_leaves_nothing_of_the_one_in_the_file() {
    let desk = Desk::new().file(
        "kurs.toml",
        "[policy.BTC-RUB]\nkind = \"median\"\nsources = [\"binance\", \"okx\"]\n",
    );
    let fixed = r#"{"value": "97.50", "owner": "treasury", "until": "2030-01-01"}"#;
    let with = layered(&desk, &[stored("policy.BTC-RUB", fixed)]);
    assert_eq!(why_not(&with, "policy.BTC-RUB"), None);
    let (value, origin) = with.standings["policy.BTC-RUB"].configured.clone().unwrap();
    assert_eq!(value["kind"], "median");
    assert!(origin.starts_with("kurs.toml:"), "{origin}");
    let with = layered(&desk, &[]);
    assert!(format!("{:?}", with.loaded.config.policy).contains("okx"));
}

#[test]
fn what_does_not_fit_any_more_is_left_out_and_the_rest_is_in_force() {
    let desk = Desk::new();
    let settings = [
        stored("limits.key.requests", "\"many\""),
        stored("log.level", "\"DEBUG\""),
        stored("http.addr", "\"0.0.0.0:1\""),
        stored("nope", "1"),
        stored(
            "policy.BTC-RUB",
            r#"{"kind": "median", "sources": ["nobody", "okx"]}"#,
        ),
        stored("sources.cbr.enabled", "{"),
        stored("sources.kraken.priority", "0"),
        stored("sources.okx.priority", "2"),
    ];
    let with = layered(&desk, &settings);
    let config = &with.loaded.config;
    assert_eq!(
        (config.log.level, config.sources.okx.priority),
        (Level::Debug, 2)
    );
    assert_ne!(config.http.addr.port(), 1);
    let left_out: Vec<&str> = with
        .standings
        .iter()
        .filter_map(|(key, standing)| standing.why_not.as_ref().map(|_| &**key))
        .collect();
    assert_eq!(
        left_out,
        [
            "http.addr",
            "limits.key.requests",
            "nope",
            "policy.BTC-RUB",
            "sources.cbr.enabled",
            "sources.kraken.priority"
        ]
    );
    assert!(why_not(&with, "policy.BTC-RUB").unwrap().contains("nobody"));
}

#[test]
fn a_wrong_file_is_told_and_not_blamed_on_settings() {
    let desk = Desk::new().file("kurs.toml", "[log]\nlevel = \"LOUD\"\n");
    let mistakes = desk
        .inputs
        .read()
        .with_settings(&[stored("log.level", "\"DEBUG\"")]);
    let told = mistakes.unwrap_err().to_string();
    assert!(told.contains("LOUD"), "{told}");
    let told = judged(&desk, &[], json!({"log.level": "DEBUG"})).unwrap_err();
    assert!(told[0].contains("wrong without any change"), "{told:?}");
}

#[test]
fn all_mistakes_of_a_change_are_told_at_once() {
    let told = judged(
        &Desk::new(),
        &[],
        json!({
            "sources.binance.priority": "three",
            "sources.kraken.priority": 0,
            "sources.binanse.enabled": true,
            "policy.BTC-RUB": {"kind": "median", "sources": ["nobody", "okx"]},
            "store.url": "sqlite:x",
        }),
    )
    .unwrap_err();
    assert_eq!(told.len(), 5, "{told:#?}");
}

#[test]
fn a_mistake_that_only_arises_with_other_settings_is_told() {
    // Alone each of them is good.
    let desk = Desk::new();
    let median = json!({"kind": "median", "sources": ["bank", "okx"]});
    let told = judged(&desk, &[], json!({"policy.USD-RUB": median})).unwrap_err();
    assert!(told[0].starts_with("policy.USD-RUB.sources: "), "{told:?}");
    let desk = desk.file(
        "kurs.toml",
        "[sources.ecb]\nwindow_from = \"15:00\"\nwindow_to = \"18:00\"\n",
    );
    let set = [stored("sources.ecb.window_from", "\"17:00\"")];
    assert!(judged(&desk, &set, json!({"sources.ecb.window_to": "17:30"})).is_ok());
    let told = judged(&desk, &set, json!({"sources.ecb.window_to": "16:00"}));
    assert!(told.is_err(), "it would end before it begins");
}

#[test]
fn keys_have_one_spelling_and_what_is_not_there_any_more_can_be_taken_back() {
    let desk = Desk::new();
    let changes = json!({"Sources.Binance.Enabled": false, "policy.btcrub": null, "old.key": null});
    let set = [stored("old.key", "1")];
    let judged_now = judged(&desk, &set, changes).unwrap();
    assert_eq!(
        judged_now,
        json!({"sources.binance.enabled": false, "policy.BTC-RUB": null, "old.key": null})
    );
    let twice = json!({"log.level": "DEBUG", "LOG.LEVEL": "INFO"});
    let told = judged(&desk, &[], twice).unwrap_err();
    assert!(told[0].contains("given twice"), "{told:?}");
}

#[test]
fn no_file_of_the_machine_can_be_read_by_a_setting() {
    let desk = Desk::new().file("secret", "canary");
    let place = desk.folder.path().join("secret");
    let place = place.display();
    for value in [
        json!({"kind": "fixed", "owner": "x", "value_file": format!("{place}")}),
        json!({"kind": "fixed", "owner": "x", "value": format!("file:{place}")}),
        json!({"owner_file": "secret", "value": "1"}),
    ] {
        let told = judged(&desk, &[], json!({"policy.BTC-RUB": value})).unwrap_err();
        assert!(!told.join(" ").contains("canary"), "{told:?}");
    }
}

#[test]
fn nothing_that_leads_further_than_rates_may_be_set() {
    let schema = Schema::of::<Config>();
    let mut allowed = 0;
    for (path, _) in schema.leaves() {
        let key = path.join(".");
        let may = path_of(&schema, &key).is_ok();
        let last = path.last().map_or("", String::as_str);
        let is_dangerous = schema.is_secret_path(&path)
            || [
                "url", "addr", "file", "proxy", "header", "path", "folder", "role",
            ]
            .iter()
            .any(|word| last.contains(word));
        assert!(!(may && is_dangerous), "{key}");
        allowed += usize::from(may);
    }
    assert!(allowed > 50, "{allowed}");
    // Whatever is in the list is there, and is taken over by a running process.
    for pattern in may_be_set() {
        let names = [
            "binance",
            "cbr",
            "ecb",
            "coingecko",
            "key",
            "anonymous",
            "BTC-USD",
        ];
        let found = names
            .iter()
            .any(|name| path_of(&schema, &pattern.replace('*', name)).is_ok());
        assert!(found, "{pattern} names nothing");
        let taken = crate::compose::TAKEN_OVER
            .iter()
            .any(|begin| pattern.starts_with(begin));
        assert!(
            taken || *pattern == "log.level",
            "{pattern} waits for a restart"
        );
    }
}
