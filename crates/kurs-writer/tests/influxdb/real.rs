//! With a real InfluxDB.

use crate::rig::{AT, BookKeeper, PATIENCE, Rig, after, config, rate, source_price};
use kurs_core::{Clock, SystemClock};
use kurs_telemetry::Secret;
use kurs_telemetry::health::Status;
use kurs_testkit::InfluxDb;
use kurs_writer::sinks::InfluxConfig;
use kurs_writer::sinks::influxdb::line::{Line, Measurement, Precision};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

fn on(server: &InfluxDb, database: &str) -> InfluxConfig {
    InfluxConfig {
        database: database.to_owned(),
        ..config(&server.url())
    }
}

/// The rows of a query, the time first.
fn rows(server: &InfluxDb, database: &str, query: &str) -> Value {
    Value::from(
        server
            .rows(database, query)
            .into_iter()
            .map(Value::from)
            .collect::<Vec<_>>(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_found_with_its_values_times_and_tags() {
    let server = InfluxDb::start();
    let database = server.database();
    let rig = Rig::new();
    rig.publish(rate("BTC-USDT", "64364.270", AT));
    let sink = rig.start(&on(&server, &database)).await;
    // The first was there before the sink.
    rig.written(1).await;
    rig.publish(rate("ETH-RUB", "0.000000000000000000000000012", after(1)));
    rig.publish(source_price("BTC-USDT", "64364.27", after(7)));
    assert_eq!(sink.finish().await, 0, "nothing is left");
    let query = "SELECT pair,source,state,value,value_text,bid,ask,epoch,seq FROM rate";
    let expected = json!([
        [
            AT.0,
            "BTC-USDT",
            "binance",
            "fresh",
            64_364.27,
            "64364.270",
            64_364.27,
            null,
            3,
            1
        ],
        [
            AT.0 + 1,
            "ETH-RUB",
            "binance",
            "fresh",
            1.2e-26,
            "0.000000000000000000000000012",
            1.2e-26,
            null,
            3,
            2
        ],
    ]);
    // The column `ask` is not there as long as nothing has one.
    let found = rows(&server, &database, query);
    assert_eq!(found, expected);
    let query = "SELECT value,value_text,bid,ask FROM price \
                 WHERE source='sim:kraken' AND state='live' AND pair='BTC-USDT'";
    let expected = json!([[AT.0 + 7, 64_364.27, "64364.27", 1, 7.922_816_251_426_434e28]]);
    assert_eq!(rows(&server, &database, query), expected);
    assert_eq!(rig.check().status, Status::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn order_books_are_written_as_deep_as_configured() {
    let server = InfluxDb::start();
    let database = server.database();
    let rig = Rig::new();
    let config = InfluxConfig {
        book_every_ms: 100,
        book_levels: 1,
        ..on(&server, &database)
    };
    let sink = rig.start_with(&config, vec![BookKeeper::shared()]).await;
    // The same book twice is one point.
    kurs_testkit::until("two looks", PATIENCE, || {
        (rig.metrics.written.get() >= 2).then_some(())
    })
    .await;
    sink.finish().await;
    let found = rows(&server, &database, "SELECT * FROM book");
    let expected = json!([[
        AT.0, 64_364.28, 2, 64_364.26, 0.5, 64_364.27, "BTC-USDT", "okx"
    ]]);
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_and_a_restart_nothing_is_doubled_and_what_came_since_arrives() {
    const RATES: i64 = 2_000;
    let server = InfluxDb::start();
    let database = server.database();
    let rig = Rig::new();
    let config = InfluxConfig {
        batch_rows: 20,
        ..on(&server, &database)
    };
    let sink = rig.start(&config).await;
    let publish = |number: i64| rig.publish(rate("BTC-USDT", "64364.27", after(number)));
    // Killed while requests are on their way: some are in without our knowing it.
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..RATES {
                publish(number);
                if number % 20 == 0 {
                    std::thread::yield_now();
                }
            }
            done.store(true, Ordering::Release);
        });
        for _ in 0..3 {
            server.kill();
            server.restart();
        }
    });
    assert!(done.load(Ordering::Acquire));
    rig.written(RATES.unsigned_abs()).await;
    server.kill();
    // Something to notice it by.
    publish(RATES);
    rig.status(Status::Degraded).await;
    for number in RATES + 1..RATES + 100 {
        publish(number);
    }
    server.restart();
    rig.written(RATES.unsigned_abs() + 100).await;
    rig.status(Status::Ok).await;
    sink.finish().await;
    let count = rows(&server, &database, "SELECT count(value) FROM rate");
    assert_eq!(count[0][1], RATES + 100);
    let last = rows(&server, &database, "SELECT last(seq) FROM rate");
    assert_eq!(last[0][1], RATES + 100);
    assert_eq!(rig.metrics.dropped_full.get(), 0);
    assert!(rig.metrics.failures.get() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_database_costs_the_oldest_lines_alone_and_they_are_counted() {
    let server = InfluxDb::start();
    let database = server.database();
    let rig = Rig::new();
    let config = InfluxConfig {
        queue_rows: 50,
        batch_rows: 10,
        ..on(&server, &database)
    };
    let sink = rig.start(&config).await;
    rig.publish(rate("BTC-USDT", "1", AT));
    rig.written(1).await;
    server.kill();
    for number in 1..=500 {
        rig.publish(rate("BTC-USDT", "2", after(number)));
    }
    kurs_testkit::until("450 dropped lines", PATIENCE, || {
        (rig.metrics.dropped_full.get() == 450).then_some(())
    })
    .await;
    assert_eq!(sink.waiting(), 50);
    rig.status(Status::Degraded).await;
    server.restart();
    rig.written(51).await;
    sink.finish().await;
    let count = |condition: &str| {
        let query = format!("SELECT count(seq) FROM rate WHERE value=2 {condition}");
        rows(&server, &database, &query)[0][1].clone()
    };
    assert_eq!(count(""), 50);
    // Ten may have been on their way, and are kept before younger ones.
    assert_eq!(count("AND seq > 461"), 40);
    assert_eq!(rig.metrics.lines.get(), 501);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_of_another_type_is_refused_alone_and_counted() {
    let server = InfluxDb::start();
    let database = server.database();
    let rig = Rig::new();
    // Somebody wrote numbers where texts belong.
    let foreign = InfluxConfig {
        prices: false,
        exact: false,
        ..on(&server, &database)
    };
    let sink = rig.start(&foreign).await;
    rig.publish(rate("BTC-USDT", "1", AT));
    sink.finish().await;
    let foreign = format!("price,pair=x value=\"text\" {}\n", AT.0);
    server.write(&database, &foreign).unwrap();

    let rig = Rig::new();
    let config = InfluxConfig {
        linger_ms: 60_000,
        ..on(&server, &database)
    };
    let sink = rig.start(&config).await;
    rig.publish(rate("BTC-USDT", "2", after(1)));
    rig.publish(source_price("BTC-USDT", "3", after(2)));
    sink.finish().await;
    assert_eq!(rig.metrics.written.get(), 1);
    assert_eq!(rig.metrics.dropped_refused.get(), 1);
    let found = rows(&server, &database, "SELECT value FROM rate");
    assert_eq!(found, json!([[AT.0, 1], [AT.0 + 1, 2]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_a_password_may_write_and_one_with_a_wrong_one_is_told() {
    let server = InfluxDb::start_with_account("anna", "her: password");
    let database = server.database();
    let rig = Rig::new();
    let with = |password: &str| InfluxConfig {
        username: "anna".to_owned(),
        password: Some(Secret::new(password)),
        ..on(&server, &database)
    };
    let sink = rig.start(&with("canary")).await;
    rig.publish(rate("BTC-USDT", "1", AT));
    rig.status(Status::Degraded).await;
    let detail = rig.check().detail;
    assert!(
        detail.contains("HTTP 401") && !detail.contains("canary"),
        "{detail}"
    );
    assert_eq!(
        rig.metrics.dropped_refused.get(),
        1,
        "and is not tried again"
    );
    assert_eq!(sink.finish().await, 0);
    let sink = rig.start(&with("her: password")).await;
    rig.written(1).await;
    sink.finish().await;
}

#[test]
fn no_text_breaks_a_line_and_what_can_be_kept_is_kept() {
    let server = InfluxDb::start();
    let database = server.database();
    let texts = [
        "plain",
        "a,b",
        "a=b",
        "a b",
        " ",
        ",",
        "=",
        "\"quoted\"",
        "a\\b",
        "a\\",
        "\\",
        "\\,",
        "\\ =",
        "line\nbreak",
        "\r\n",
        "tab\there",
        "nul\0",
        "#",
        "é€😀",
        "'",
        "a,b=c d 1\nrate value=2 1",
    ];
    let now = SystemClock::new().now().wall;
    let line = |(index, text): (i64, &&str)| {
        let at = kurs_core::Wall(now.0 + index);
        Line::new(Measurement::Rate)
            .tag("source", text)
            .text("text", text)
            .number("value", Decimal::from(index))
            .end(at, Precision::Us)
            .unwrap()
    };
    let lines: String = (0..).zip(&texts).map(line).collect();
    server.write(&database, &lines).unwrap();
    let found = server.rows(&database, "SELECT source,text,value FROM rate");
    assert_eq!(found.len(), texts.len());
    let plain = |text: &str, backslash: char| -> String {
        let replaced = text.chars().map(|character| match character {
            '\\' => backslash,
            _ if character.is_control() => ' ',
            _ => character,
        });
        replaced.collect()
    };
    for (row, text) in found.iter().zip(&texts) {
        assert_eq!(row[1], plain(text, '/'), "tag of {text:?}");
        assert_eq!(row[2], plain(text, '\\'), "field of {text:?}");
    }
}
