mod policies;
mod stored;

use super::*;
use kurs_telemetry::Level;
use proptest::prelude::*;
use std::path::Path;

struct Desk {
    folder: tempfile::TempDir,
    inputs: Inputs,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inputs = Inputs {
            folder: folder.path().to_owned(),
            ..Inputs::default()
        };
        Self { folder, inputs }
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.inputs.environment.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        let flag = FlagValue {
            flag: "--set".into(),
            key: key.into(),
            value: value.into(),
        };
        self.inputs.flags.push(flag);
        self
    }

    fn load(&self) -> Loaded {
        self.inputs
            .load()
            .unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    fn mistakes(&self) -> String {
        self.inputs.load().map(|_| ()).unwrap_err().to_string()
    }
}

#[test]
fn nothing_set_at_all_is_a_valid_configuration() {
    let config = Desk::new().load().config;
    let shown: Vec<String> = config.directions.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "BTC-USD",
            "ETH-USD",
            "USDTTRC-USD",
            "USDTERC-USD",
            "BTC-RUB",
            "ETH-RUB",
            "USDTTRC-RUB",
            "USDTERC-RUB"
        ]
    );
    assert!(config.runs(Role::Writer) && config.runs(Role::Reader) && config.runs(Role::Bot));
}

#[test]
fn flags_beat_environment_beats_dot_env_beats_file_beats_default() {
    let mut desk = Desk::new();
    let level = |desk: &Desk| desk.load().config.log.level;
    assert_eq!(level(&desk), Level::Info);
    desk = desk.file("kurs.toml", "[log]\nlevel = \"DEBUG\"\n");
    assert_eq!(level(&desk), Level::Debug);
    desk = desk.file(".env", "OTHER=1\nKURS_LOG__LEVEL=warning\n");
    assert_eq!(level(&desk), Level::Warning);
    desk = desk.env("kurs_log__level", "error");
    assert_eq!(level(&desk), Level::Error);
    desk = desk.flag("log.level", "critical");
    assert_eq!(level(&desk), Level::Critical);
}

#[test]
fn tables_are_merged_key_by_key_over_the_layers() {
    let desk = Desk::new()
        .file(
            "kurs.toml",
            "[sources.binance]\nws_url = \"ws://127.0.0.1:1\"\npriority = 3\n",
        )
        .env("KURS_SOURCES__BINANCE__PRIORITY", "7");
    let binance = desk.load().config.sources.binance;
    assert_eq!(binance.priority, 7);
    assert_eq!(binance.ws_url, "ws://127.0.0.1:1");
}

#[test]
fn everything_wrong_is_said_in_one_message_with_its_place() {
    let desk = Desk::new()
        .file(
            "kurs.toml",
            "directions = [\"BTC-USD\", \"BTCBTC-\"]\n[sources.binanse]\nenabled = true\n\
             [http]\naddr = \"nowhere\"\n[log]\nrepeat_seconds = 99999\nlevle = \"INFO\"\n",
        )
        .env("KURS_HTTP_ADDR", "127.0.0.1:1")
        .env("KURS_SOURCES__BINANCE__ENABLED", "maybe")
        .env("KURS_BUS__URL", "kafka://host")
        .flag("metrics.max_pairs", "-1");
    let said = desk.mistakes();
    for part in [
        "has 9 mistakes",
        "directions: ",
        "(kurs.toml:1)",
        "sources.binanse: unknown key; did you mean `sources.binance`? (kurs.toml:2)",
        "http.addr: ",
        "(kurs.toml:5)",
        "log.repeat_seconds: expected a whole number from 0 to 3600, got 99999 (kurs.toml:7)",
        "log.levle: unknown key; did you mean `log.level`? (kurs.toml:8)",
        "http_addr: unknown key; did you mean `KURS_HTTP__ADDR`? (environment KURS_HTTP_ADDR)",
        "sources.binance.enabled: expected true or false, got \"maybe\"",
        "bus.url: expected memory:, nats://, tls://, redis://, rediss://, amqp:// or amqps:// \
         (environment KURS_BUS__URL)",
        "metrics.max_pairs: expected a whole number from 0 to 10000, got -1 (flag --set)",
    ] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}

#[test]
fn texts_of_the_environment_become_what_the_key_needs() {
    let config = Desk::new()
        .env("KURS_DIRECTIONS", "btc/usd, ETHUSDT ,bitcoin-rub")
        .env("KURS_HTTP__CORS_ORIGINS", "[\"https://a.example\"]")
        .env("KURS_METRICS__MAX_PAIRS", " 17 ")
        .env("KURS_SOURCES__BINANCE__ENABLED", "off")
        .env("KURS_OPS_ADDR", "127.0.0.1:9")
        .env("KURS_POLICY__BTC_USD__SOURCES", "binance,coingecko")
        .load()
        .config;
    let shown: Vec<String> = config.directions.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["BTC-USD", "ETH-USDT", "BTC-RUB"]);
    assert_eq!(config.http.cors_origins, ["https://a.example"]);
    assert_eq!(config.metrics.max_pairs, 17);
    assert!(!config.sources.binance.enabled);
    assert_eq!(config.http.ops_addr.unwrap().port(), 9);
    let pair = Pair::parse("BTC-USD").unwrap();
    assert_eq!(config.policy[&pair].sources.len(), 2);
}

#[test]
fn addresses_that_kubernetes_injects_are_no_settings() {
    Desk::new()
        .env("KURS_SERVICE_HOST", "10.0.0.1")
        .env("KURS_SERVICE_PORT_HTTP", "80")
        .env("KURS_PORT", "tcp://10.0.0.1:80")
        .env("KURS_PORT_80_TCP_ADDR", "10.0.0.1")
        .env("KURS_SERVER", "http://127.0.0.1:1")
        .load();
}

/// Every way a secret can be given gives the same key, and none of them shows it.
#[test]
fn secrets_come_from_files_and_are_never_shown() {
    const CANARY: &str = "canary-4711";
    let key = "KURS_SOURCES__OPENEXCHANGERATES__KEY";
    let table = "[sources.openexchangerates]\n";
    let with_file = || Desk::new().file("secret", &format!("{CANARY}\n"));
    let mut by_credential = Desk::new().file("sources.openexchangerates.key", CANARY);
    by_credential.inputs.credentials = Some(by_credential.folder.path().to_owned());
    let desks = [
        Desk::new().env(key, CANARY),
        Desk::new().file(".env", &format!("{key}={CANARY}")),
        Desk::new().file("kurs.toml", &format!("{table}key = \"{CANARY}\"")),
        with_file().file("kurs.toml", &format!("{table}key = \"file:secret\"")),
        with_file().file("kurs.toml", &format!("{table}key_file = \"secret\"")),
        with_file().env(&format!("{key}_FILE"), "secret"),
        with_file().env(key, "file:secret"),
        by_credential,
    ];
    let schema = schema::Schema::of::<Config>();
    for (number, desk) in desks.into_iter().enumerate() {
        let loaded = desk.load();
        let found = loaded
            .config
            .sources
            .openexchangerates
            .key
            .as_ref()
            .unwrap();
        assert_eq!(found.reveal(), CANARY, "way {number}");
        let shown = [
            print::text(&schema, &loaded.tree),
            print::json(&schema, &loaded.tree).to_string(),
            format!("{:?}", loaded.config),
        ]
        .concat();
        assert!(!shown.contains(CANARY), "way {number} shows it:\n{shown}");
        assert!(shown.contains("***"), "way {number}:\n{shown}");
    }
}

#[test]
fn a_mistake_about_a_secret_does_not_show_it() {
    let said = Desk::new()
        .env("KURS_SOURCES__OPENEXCHANGERATES", "canary")
        .file(
            "kurs.toml",
            "sources.openexchangerates.key = [\"canary\"]\nstore.url = \"postgres://u:canary@h\"\n",
        )
        .file(".env", "KURS_X 'canary")
        .flag("sources.openexchangerates.key", "canary")
        .flag("store.url", "postgres://u:canary@h/kurs")
        .mistakes();
    assert!(!said.contains("canary"), "{said}");
    assert!(said.contains("a secret is never a flag"), "{said}");
    assert!(
        said.contains("an address with a password or a key is never a flag"),
        "{said}"
    );
    for url in [
        "postgres://u@h/kurs",
        "postgres:///kurs?host=/run",
        "sqlite:a:b@c.db",
    ] {
        Desk::new().flag("store.url", url).load();
    }
}

#[test]
fn a_missing_secret_file_and_a_key_given_twice_are_mistakes() {
    let said = Desk::new()
        .file("here", "x")
        .env("KURS_SOURCES__OPENEXCHANGERATES__KEY_FILE", "here")
        .env("KURS_SOURCES__OPENEXCHANGERATES__KEY", "y")
        .env("KURS_SOURCES__COINGECKO__KEY_FILE", "not-there")
        .mistakes();
    assert!(said.contains("keep one of them"), "{said}");
    assert!(said.contains("not-there cannot be read"), "{said}");
}

#[test]
fn a_named_file_must_be_there() {
    let mut desk = Desk::new();
    desk.inputs.file = Some("other.toml".into());
    assert!(desk.mistakes().contains("other.toml cannot be read"));
}

#[test]
fn every_origin_is_told() {
    let desk = Desk::new()
        .file("kurs.toml", "\n[log]\nformat = \"json\"\n")
        .env("KURS_METRICS__MAX_PAIRS", "5");
    let shown = print::json(&schema::Schema::of::<Config>(), &desk.load().tree);
    assert_eq!(shown["log.format"]["origin"], "kurs.toml:3");
    assert_eq!(
        shown["metrics.max_pairs"]["origin"],
        "environment KURS_METRICS__MAX_PAIRS"
    );
    assert_eq!(shown["bus.url"]["origin"], "default");
}

#[test]
fn roles_that_cannot_work_are_refused_with_the_reason() {
    assert!(
        Desk::new()
            .env("KURS_ROLE", "writer")
            .mistakes()
            .contains("broker")
    );
    assert!(
        Desk::new()
            .env("KURS_ROLE", "bot")
            .mistakes()
            .contains("broker")
    );
    Desk::new().env("KURS_ROLE", "reader,writer").load();
    Desk::new().env("KURS_ROLE", "bot,writer").load();
}

#[test]
fn the_example_file_says_exactly_the_defaults() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kurs.example.toml");
    let committed = std::fs::read_to_string(committed).unwrap();
    assert_eq!(
        committed,
        example::text(),
        "write it anew with: kurs config example"
    );
    let loaded = Desk::new().file("kurs.toml", &committed).load();
    assert_eq!(loaded.tree.to_json(), load::default_tree().to_json());
}

#[test]
fn no_key_is_undocumented() {
    let schema = schema::Schema::of::<Config>();
    let bare: Vec<String> = schema
        .leaves()
        .into_iter()
        .filter(|(_, node)| schema.description(node).is_none_or(|words| words.len() < 8))
        .map(|(path, _)| tree::show_path(&path))
        .collect();
    assert!(bare.is_empty(), "no description: {bare:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_file_and_no_variable_makes_it_panic(
        file in "[a-z\\[\\]._=\"0-9\\n -]{0,60}",
        key in "(http|sources|policy|log|bus)(__[A-Za-z_]{0,12}){0,3}",
        value in any::<String>(),
    ) {
        let name = format!("KURS_{key}");
        let _ = Desk::new().file("kurs.toml", &file).file(".env", &value).env(&name, &value).inputs.load();
    }
}
