//! What `kurs doctor` says of the broker, and of what is open.
#![allow(clippy::unwrap_used, reason = "a test")]

use kurs_testkit::NatsServer;
use std::path::Path;
use std::process::Command;

/// What it says of `bus.url`, and whether all is well.
fn doctor(folder: &Path, url: &str, settings: &[&str]) -> (Vec<String>, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kurs"));
    command
        .args(["doctor", "--offline", "--plain"])
        .args(["--set", "http.addr=127.0.0.1:0"])
        .args(["--set", "store.url=sqlite:kurs.db"])
        .env("KURS_BUS__URL", url)
        .current_dir(folder);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let all = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!all.contains("geheim"), "{all}");
    let lines = said.lines().filter(|line| line.contains("bus.url"));
    let lines = lines.map(str::to_owned).collect();
    (lines, output.status.success())
}

#[test]
fn the_doctor_asks_the_broker_and_says_how_to_mend_it_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start_with(&["--user", "anna", "--pass", "geheim"]);
    let url = format!("nats://anna:geheim@{}", server.address());
    let said = |settings: &[&str]| doctor(folder.path(), &url, settings);

    let (lines, is_well) = said(&[]);
    assert!(is_well && lines.len() == 1, "{lines:?}");
    assert!(lines[0].starts_with("ok"), "{lines:?}");
    let address = server.address().to_string();
    for word in [&*address, "NATS 2.", "can be made"] {
        assert!(lines[0].contains(word), "{word} in {lines:?}");
    }

    let (lines, is_well) = said(&["bus.nats.replicas=3"]);
    assert!(!is_well && lines.len() == 1, "{lines:?}");
    assert!(lines[0].starts_with("PROBLEM"), "{lines:?}");
    assert!(lines[0].contains("bus.nats.replicas"), "{lines:?}");

    server.kill();
    let (lines, is_well) = said(&[]);
    assert!(!is_well && lines.len() == 1, "{lines:?}");
    assert!(lines[0].contains("does the server run"), "{lines:?}");

    // A bus that does not leave the process is nobody's to ask.
    let (lines, is_well) = doctor(folder.path(), "memory:", &[]);
    assert!(is_well && lines.is_empty(), "{lines:?}");
}

/// What it says of security: each check with its verdict and what to do, and whether there is no
/// problem.
fn security(folder: &Path, environment: &[(&str, &str)]) -> (Vec<[String; 4]>, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_kurs"))
        .args(["doctor", "--security", "--json"])
        .envs(environment.iter().copied())
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains("canary"), "{said}");
    let found: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
    let text = |finding: &serde_json::Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let names = ["check", "verdict", "found", "fix"];
    let findings = found.iter().map(|one| names.map(|name| text(one, name)));
    (findings.collect(), output.status.success())
}

#[track_caller]
fn assert_verdict(findings: &[[String; 4]], check: &str, verdict: &str, word: &str) {
    let found = findings.iter().filter(|finding| finding[0] == check);
    let found: Vec<_> = found.collect();
    let is_told = |finding: &&&[String; 4]| finding[1] == verdict && finding[2].contains(word);
    let told = found.iter().find(is_told);
    assert!(told.is_some(), "{check} {verdict} {word}: {found:?}");
    assert_eq!(
        verdict == "ok",
        told.unwrap()[3].is_empty(),
        "an advice: {told:?}"
    );
}

#[test]
fn a_server_for_its_own_machine_is_safe_as_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let (findings, is_well) = security(folder.path(), &[]);
    assert!(is_well, "{findings:?}");
    for (check, word) in [
        ("http.addr", "this machine only"),
        ("http.trusted_proxies", "nobody"),
        ("http.ops_addr", "this machine only"),
        ("http.cors_origins", "no page"),
        ("auth.anonymous", "anybody may read"),
        ("limits", "have a limit"),
    ] {
        assert_verdict(&findings, check, "ok", word);
    }
    assert_verdict(&findings, "admin", "warning", "no key");
    assert_eq!(findings.len(), 7, "{findings:?}");
}

#[test]
fn everything_that_is_open_is_told_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let configuration = "\
        [http]\naddr = \"0.0.0.0:0\"\ncors_origins = [\"http://shop.example\"]\n\
        [limits.anonymous]\nrequests = 0\n\
        [store]\nurl = \"postgres://anna:postgres@192.0.2.1/kurs\"\n\
        [sources.coingecko]\nkey = \"canary\"\n\
        [sources.openexchangerates]\nkey_file = \"oxr.key\"\n";
    write("kurs.toml", configuration, 0o644);
    write("oxr.key", "canary", 0o640);
    let environment = [("KURS_BUS__URL", "amqp://guest:guest@127.0.0.1:1")];
    let (findings, is_well) = security(folder.path(), &environment);
    assert!(!is_well);
    for (check, verdict, word) in [
        ("http.addr", "problem", "in the clear"),
        ("http.ops_addr", "warning", "to everybody"),
        ("http.cors_origins", "warning", "http://shop.example"),
        ("auth.anonymous", "warning", "read, history, stream"),
        ("limits.anonymous", "warning", "any number"),
        ("admin", "warning", "not known"),
        ("store.url", "problem", "tried first"),
        ("bus.url", "warning", "guest"),
    ] {
        assert_verdict(&findings, check, verdict, word);
    }
    let of_file = |name: &str| {
        findings
            .iter()
            .find(|finding| finding[0].ends_with(name))
            .unwrap()
    };
    let file = of_file("kurs.toml");
    assert_eq!(file[1], "problem", "{file:?}");
    for word in ["can read", "sources.coingecko.key", "store.url"] {
        assert!(file[2].contains(word), "{file:?}");
    }
    assert!(
        !file[2].contains("openexchangerates"),
        "it is elsewhere: {file:?}"
    );
    assert!(file[3].starts_with("chmod 600"), "{file:?}");
    assert_eq!(of_file("oxr.key")[1], "ok", "{findings:?}");

    write(
        "kurs.toml",
        "[http]\naddr = \"0.0.0.0:0\"\ntrusted_proxies = [\"0.0.0.0/0\"]\n",
        0o644,
    );
    let (findings, is_well) = security(folder.path(), &[]);
    assert!(!is_well);
    assert_verdict(&findings, "http.addr", "ok", "for the proxies");
    assert_verdict(&findings, "http.trusted_proxies", "problem", "anybody");

    write("kurs.toml", "[http]\ncors_origins = [\"*\"]\n", 0o600);
    let (findings, is_well) = security(folder.path(), &[]);
    assert!(!is_well);
    assert_verdict(&findings, "configuration", "problem", "every page");
}

#[test]
fn a_certificate_is_looked_at_and_so_is_who_can_read_its_key() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let issue = |year: i32| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(["a".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    };
    let rights = |mode: u32| {
        let rights = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path().join("key.pem"), rights).unwrap();
    };
    let environment = [
        ("KURS_HTTP__ADDR", "0.0.0.0:0"),
        ("KURS_HTTP__TLS__CERT_FILE", "cert.pem"),
        ("KURS_HTTP__TLS__KEY_FILE", "key.pem"),
    ];
    issue(2099);
    rights(0o600);
    let (findings, is_well) = security(folder.path(), &environment);
    assert!(is_well, "{findings:?}");
    assert_verdict(&findings, "http.addr", "ok", "TLS");
    assert_verdict(
        &findings,
        "http.tls.cert_file",
        "ok",
        "good until 2099-01-01",
    );
    assert_verdict(&findings, "http.tls.key_file", "ok", "not readable");
    rights(0o644);
    let (findings, _) = security(folder.path(), &environment);
    assert_verdict(&findings, "http.tls.key_file", "warning", "can read");
    issue(2024);
    let (findings, is_well) = security(folder.path(), &environment);
    assert!(!is_well);
    assert_verdict(
        &findings,
        "http.tls.cert_file",
        "problem",
        "it ended at 2024-01-01",
    );
    std::fs::write(folder.path().join("key.pem"), "nonsense").unwrap();
    let (findings, is_well) = security(folder.path(), &environment);
    assert!(!is_well);
    assert_verdict(&findings, "http.tls.cert_file", "problem", "key.pem");
}
