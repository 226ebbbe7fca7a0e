//! Every secret of the configuration is a canary of its own; none is ever heard again.

use crate::everything::questions;
use crate::support::Kurs;
use kurs_sim::{Sim, SimConfig};
use kurs_testkit::PrivateProcess;
use kurs_testkit::wait::until_async;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Secrets by the place where they are given.
struct Canaries(BTreeMap<&'static str, String>);

impl Canaries {
    fn new() -> Self {
        let places = [
            "openexchangerates-key",
            "coingecko-key",
            "shop-key",
            "shop-header",
            "shop-user",
            "bank-query",
            "influx-token",
            "influx-password",
            "store-password",
            "nats-password",
            "redis-password",
            "rabbitmq-password",
            "ecb-user",
        ];
        let canary = |(number, place): (usize, &'static str)| {
            // Nothing that any text holds by chance, and nothing that is written otherwise in a URL.
            (
                place,
                format!("Canary{number:02}xQ7vZ{:06}", number * 7_919 + 13),
            )
        };
        Self(places.into_iter().enumerate().map(canary).collect())
    }

    fn of(&self, place: &str) -> &str {
        &self.0[place]
    }

    /// The first of them that the text holds, plain or as HTTP's basic authentication.
    #[track_caller]
    fn assert_silent(&self, what: &str, text: &str) {
        for (place, canary) in &self.0 {
            // Whatever stands before it shifts the letters by none, one or two.
            let mut forms = vec![canary.clone()];
            forms.extend((0..3).map(|shift| inside_base64(canary, shift)));
            for form in forms {
                let shown = text.lines().find(|line| line.contains(&form));
                assert!(shown.is_none(), "{what} tells {place}: {shown:?}");
            }
        }
    }
}

/// The letters of base64 that belong to the text alone, when so many bytes stand before it.
fn inside_base64(text: &str, shift: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(text.as_bytes());
    let whole = bytes.chunks_exact(3).flat_map(|group| {
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        [18, 12, 6, 0].map(|place| LETTERS[usize::try_from((bits >> place) & 63).unwrap()])
    });
    let letters: Vec<u8> = whole.collect();
    String::from_utf8(letters[if shift == 0 { 0 } else { 4 }..].to_vec()).unwrap()
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_kurs"))
}

/// Sources, a sink and an issuer that cannot be reached, with a secret wherever one can stand.
fn configuration(canaries: &Canaries) -> String {
    let secret = |place| canaries.of(place);
    format!(
        "[sources.http.shop]\n\
         url = \"http://127.0.0.1:1/{{key}}?app={{key}}\"\n\
         key = \"{}\"\n\
         headers = {{ X-Shop = \"{}\" }}\n\
         period = \"1s\"\n\
         rates = {{ \"KZT-RUB\" = \"/rates/KZT\" }}\n\
         [sources.http.bank]\n\
         url = \"http://127.0.0.1:1/rates?token={}\"\n\
         period = \"1s\"\n\
         rates = {{ \"KGS-RUB\" = \"/rates/KGS\" }}\n\
         [sinks.influxdb]\n\
         url = \"http://127.0.0.1:1\"\n\
         org = \"kurs\"\n\
         bucket = \"kurs\"\n\
         token = \"{}\"\n\
         [auth.issuers.away]\n\
         issuer = \"https://away.example\"\n\
         audience = \"kurs\"\n\
         jwks = \"http://127.0.0.1:1/keys\"\n\
         roles = {{ viewer = [\"read\"] }}\n",
        secret("shop-key"),
        secret("shop-header"),
        secret("bank-query"),
        secret("influx-token"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn canary_secrets_come_back_in_no_answer_no_log_and_no_metric() {
    let canaries = Canaries::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kurs.toml"), configuration(&canaries)).unwrap();
    let in_file = folder.path().join("oxr");
    std::fs::write(&in_file, canaries.of("openexchangerates-key")).unwrap();
    let sim = Sim::start(SimConfig::default(), ([127, 0, 0, 1], 0).into())
        .await
        .unwrap();
    let settings = [
        ("KURS_LOG__LEVEL", "DEBUG"),
        ("KURS_SOURCES__COINGECKO__KEY", canaries.of("coingecko-key")),
        (
            "KURS_SOURCES__OPENEXCHANGERATES__KEY",
            canaries.of("openexchangerates-key"),
        ),
    ];
    let kurs = Kurs::start(&sim, &settings, Some(folder)).await;
    // All that fails has failed at least once.
    kurs.until("BTC-USDT", |rate| rate["state"] == "fresh")
        .await;
    for source in ["shop", "bank"] {
        kurs.source_until(source, |told| told["failures"].as_u64() > Some(0))
            .await;
    }
    until_async("the sink has failed", crate::support::PATIENCE, || async {
        let said = kurs.process.output().lines();
        let heard = |word: &str| said.iter().any(|line| line.contains(word));
        (heard("influx") && heard("away")).then_some(())
    })
    .await;

    let secret_of_client = "kurs_live_00000000_Canary99xQ7vZ0000000000000000000000000000000_000000";
    let bearer = format!("Bearer {secret_of_client}");
    let mut asked = 0;
    for question in questions(&kurs).await {
        for (query, headers) in [
            ("", vec![]),
            ("?explain=true", vec![]),
            ("?verbose", vec![]),
            ("?colour=red", vec![]),
            ("", vec![("authorization", bearer.as_str())]),
            ("", vec![("x-api-key", secret_of_client)]),
        ] {
            for body in [None, Some("{\"symbol\":7}")] {
                if body.is_some() && question.method == "GET" {
                    continue;
                }
                let told = question.ask(&kurs, query, &headers, body).await;
                let what = format!("{} {}{query}", question.method, question.path);
                canaries.assert_silent(&what, &told);
                assert!(!told.contains("Canary99"), "{what}: {}", told);
                asked += 1;
            }
        }
    }
    assert!(asked > 250, "{asked}");
    let log = kurs.process.output().lines().join("\n");
    assert!(log.contains("DEBUG"), "{log}");
    canaries.assert_silent("the log", &log);
    assert!(!log.contains("Canary99"), "the log tells a client's key");
    println!("{asked} answers and {} lines of log", log.lines().count());

    // The commands see the same configuration.
    let folder = kurs.process.folder().to_owned();
    for arguments in [
        &["config", "print"][..],
        &["config", "print", "--json"],
        &["config", "check"],
        &["config", "schema"],
        &["sources", "try", "shop"],
        &["doctor", "--json"],
    ] {
        let output = Command::new(program())
            .args(arguments)
            .current_dir(&folder)
            .envs(settings)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        canaries.assert_silent(&arguments.join(" "), &String::from_utf8_lossy(&said));
    }
}

/// Starts with this environment, lets it fail for a while, and gives all that it said.
async fn said_while_failing(environment: &[(&str, String)]) -> String {
    let common = [
        ("KURS_HTTP__ADDR", "127.0.0.1:0".to_owned()),
        ("KURS_LOG__LEVEL", "DEBUG".to_owned()),
        ("KURS_LOG__FORMAT", "text".to_owned()),
    ];
    let environment: Vec<_> = common.iter().chain(environment).cloned().collect();
    let mut process = PrivateProcess::start(program(), ["serve"], environment.clone());
    // It ends by itself, or says at least that it has begun and that something is away.
    let ended = async {
        while process.ended().is_none() && process.output().lines().len() < 40 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(8), ended).await;
    let mut said = process.output().lines().join("\n");
    for arguments in [
        ["config", "print"],
        ["config", "check"],
        ["doctor", "--json"],
    ] {
        let output = Command::new(program())
            .args(arguments)
            .current_dir(process.folder())
            .envs(environment.clone())
            .output()
            .unwrap();
        said.push_str(&String::from_utf8_lossy(
            &[output.stdout, output.stderr].concat(),
        ));
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_store_bus_or_sink_is_named_without_its_password() {
    let canaries = Canaries::new();
    let url = |scheme: &str, place: &str, path: &str| {
        format!("{scheme}://kurs:{}@127.0.0.1:1{path}", canaries.of(place))
    };
    let store = (
        "KURS_STORE__URL",
        url("postgres", "store-password", "/kurs"),
    );
    let here = ("KURS_STORE__URL", "sqlite::memory:".to_owned());
    let cases = [
        vec![store.clone()],
        vec![
            here.clone(),
            ("KURS_BUS__URL", url("nats", "nats-password", "")),
        ],
        vec![
            here.clone(),
            ("KURS_BUS__URL", url("redis", "redis-password", "")),
        ],
        vec![
            here.clone(),
            ("KURS_BUS__URL", url("amqp", "rabbitmq-password", "")),
        ],
        vec![
            here,
            ("KURS_SINKS__INFLUXDB__URL", "http://127.0.0.1:1".to_owned()),
            ("KURS_SINKS__INFLUXDB__DATABASE", "kurs".to_owned()),
            ("KURS_SINKS__INFLUXDB__USERNAME", "kurs".to_owned()),
            (
                "KURS_SINKS__INFLUXDB__PASSWORD",
                canaries.of("influx-password").to_owned(),
            ),
            (
                "KURS_SOURCES__ECB__REST_URL",
                url("http", "ecb-user", "/table.xml"),
            ),
        ],
        // Mistakes of the configuration, which are told in words.
        vec![(
            "KURS_STORE__URL",
            url("postgress", "store-password", "/kurs"),
        )],
        vec![("KURS_BUS__URL", url("natts", "nats-password", ""))],
    ];
    for case in cases {
        let said = said_while_failing(&case).await;
        assert!(said.len() > 200, "{said}");
        canaries.assert_silent(case.last().unwrap().0, &said);
    }
}
