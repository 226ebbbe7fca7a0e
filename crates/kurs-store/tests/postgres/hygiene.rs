//! Addresses, passwords, certificates, and a server that is not there.

use super::open;
use kurs_store::postgres::{PostgresOptions, PostgresStore, PostgresUrl};
use kurs_store::{Store, StoreConfig, StoreError};
use kurs_testkit::{Postgres, PostgresOptions as ServerOptions, free_port};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_in_no_error_and_in_no_debug_output() {
    let server = Postgres::shared();
    let port = free_port();
    let urls = [
        server
            .existing("postgres")
            .url_of("postgres", "wrong-secret"),
        server.existing("postgres").url_of("nobody", "wrong-secret"),
        server
            .existing("missing")
            .url_of("postgres", "wrong-secret"),
        format!("postgres://u:wrong-secret@127.0.0.1:{port}/d"),
        format!("postgres://u:wrong-secret@no-such-host.invalid:{port}/d"),
    ];
    for url in urls {
        let store = open(&url);
        let error = store.terms().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        let config = StoreConfig {
            url: url.clone(),
            ..StoreConfig::default()
        };
        let shown = format!("{error} {error:?} {store:?} {config:?}");
        assert!(!shown.contains("wrong-secret"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u@{}/d", listener.local_addr().unwrap());
    let options = PostgresOptions {
        connect_timeout: Duration::from_millis(50),
        ..PostgresOptions::default()
    };
    let store = PostgresStore::new(PostgresUrl::parse(&url).unwrap(), options).unwrap();
    let asked = tokio::time::timeout(Duration::from_secs(30), store.terms()).await;
    assert!(matches!(asked.unwrap(), Err(StoreError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_ended() {
    let server = Postgres::shared();
    let database = server.database();
    let options = PostgresOptions {
        statement_timeout: Duration::from_millis(100),
        ..PostgresOptions::default()
    };
    let url = PostgresUrl::parse(&database.url()).unwrap();
    open(&database.url()).migrate().await.unwrap();
    let store = PostgresStore::new(url, options).unwrap();
    store.terms().await.unwrap();
    // Somebody keeps the table to himself.
    let lock = std::thread::spawn({
        let (server, name) = (Postgres::shared(), database.name().to_owned());
        move || server.sql(&name, "BEGIN; LOCK TABLE meta; SELECT pg_sleep(3)")
    });
    let end = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        match store.terms().await {
            Ok(_) => assert!(
                std::time::Instant::now() < end,
                "the table was never locked"
            ),
            Err(error) => {
                assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                break;
            }
        }
    }
    lock.join().unwrap();
    assert_eq!(store.terms().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_checked_as_the_address_says() {
    let server = Postgres::start_with(&ServerOptions {
        tls: true,
        ..ServerOptions::default()
    });
    let database = server.database();
    open(&database.url()).migrate().await.unwrap();
    let url = database.url();
    let by_name = url.replace("127.0.0.1", "localhost");
    let root = format!(
        "sslrootcert={}",
        server.folder().join("server.crt").display()
    );
    let ask = async |url: String| -> Result<_, StoreError> {
        let store = PostgresStore::new(
            PostgresUrl::parse(&url).unwrap(),
            PostgresOptions::default(),
        )?;
        store.terms().await
    };
    ask(format!("{url}?sslmode=require")).await.unwrap();
    ask(format!("{url}?sslmode=prefer")).await.unwrap();
    ask(format!("{url}?sslmode=disable")).await.unwrap();
    ask(format!("{url}?sslmode=verify-ca&{root}"))
        .await
        .unwrap();
    ask(format!("{by_name}?sslmode=verify-full&{root}"))
        .await
        .unwrap();
    // Not made out for the number; nobody known vouches for it; no such file.
    ask(format!("{url}?sslmode=verify-full&{root}"))
        .await
        .unwrap_err();
    ask(format!("{by_name}?sslmode=verify-full"))
        .await
        .unwrap_err();
    ask(format!("{url}?sslmode=verify-ca")).await.unwrap_err();
    ask(format!("{url}?sslmode=verify-full&sslrootcert=none.pem"))
        .await
        .unwrap_err();
    // What is sent is encrypted: the server says so.
    let encrypted = "SELECT count(*) > 0 FROM pg_stat_ssl WHERE ssl";
    let store = open(&format!("{url}?sslmode=require"));
    store.terms().await.unwrap();
    assert_eq!(server.sql("postgres", encrypted), "t");
    // A server without TLS is not spoken to when it is asked for.
    let plain = Postgres::shared();
    let error = ask(format!("{}?sslmode=require", plain.database().url()))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
}
