//! Three roles, none of which can do more than it must.

use super::{NEW_YEAR, SECOND, all_rows, at, open, row};
use kurs_core::{Epoch, SourceState, TrackedSymbol, Wall};
use kurs_store::conformance::{claim, current, id, pair, price, rate, source};
use kurs_store::{
    ALERT_SHARD, AlertAdded, AlertStep, AuditEntry, AuditQuery, Batch, Beat, BookSnapshot, Candle,
    CandleQuery, Delivery, DeliveryStanding, Fence, Gap, GapQuery, Interval, NewAlert,
    OfficialQuery, OfficialRate, Origin, Outdated, PriceState, Published, PublishedQuery,
    SettingsChange, SnapshotQuery, Store, StoreError, StoredAlert, StoredChat, StoredKey,
    StoredSetting,
};
use kurs_testkit::Postgres;
use std::time::Duration;

const FENCE: Fence = Fence {
    shard: 0,
    epoch: Epoch(1),
};

/// Roles are of a whole server, so these tests have one of their own.
fn server_with_roles() -> Postgres {
    let server = Postgres::start();
    for role in ["kurs_migrator", "kurs_writer", "kurs_reader"] {
        server.sql(
            "postgres",
            &format!("CREATE ROLE {role} LOGIN PASSWORD 'word'"),
        );
    }
    server
}

/// One of everything.
fn batch(seq: u64, moment: Wall) -> Batch {
    let (pair, source) = (pair("BTC-USDT"), source("binance"));
    let rate = rate("BTC-USDT", id(seq), "54000.10");
    let mut published = Published::rate(id(seq), rate.rate.clone());
    published.published_at = moment.to_millisecond();
    let candle = |interval: Interval| Candle {
        pair,
        source: None,
        interval,
        start: interval.start_of(moment),
        open: price("1"),
        high: price("3"),
        low: price("1"),
        close: price("2.0"),
        count: 3,
        origin: Origin::Live,
    };
    Batch {
        rows: vec![row(1, seq * 3, moment)],
        published: vec![published],
        states: vec![PriceState {
            id: id(seq),
            source,
            pair,
            at: moment,
            state: SourceState::Down,
            why: "gone".into(),
        }],
        candles: Interval::ALL.into_iter().map(candle).collect(),
        gaps: vec![Gap {
            source,
            pair,
            began: moment,
            ended: None,
            why: "gone".into(),
            is_filled: false,
        }],
        books: vec![BookSnapshot {
            source,
            pair,
            at: moment,
            bids: vec![(price("1"), 5.into())],
            asks: Vec::new(),
        }],
        official: vec![OfficialRate {
            source,
            pair,
            day: Interval::Day.start_of(moment),
            value: price("90.5"),
            seen_at: moment,
        }],
        current: vec![current("BTC-USDT", id(seq), "54000.10")],
        recorded_until: None,
        fence: Some(FENCE),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_can_do_its_work_and_nothing_more() {
    let server = server_with_roles();
    let database = server.database();
    server.sql(
        database.name(),
        "GRANT CREATE ON SCHEMA public TO kurs_migrator",
    );
    let as_role = |role: &str| open(&database.url_of(role, "word"));
    let (migrator, writer, reader) = (
        as_role("kurs_migrator"),
        as_role("kurs_writer"),
        as_role("kurs_reader"),
    );

    migrator.migrate().await.unwrap();
    write_everything(&writer).await;
    read_everything(&writer).await;
    read_everything(&reader).await;
    // What is up to date can be migrated by the Writer, to no effect.
    assert!(writer.migrate().await.is_ok());

    for (role, statements) in [
        ("kurs_writer", &WRITER_MAY_NOT[..]),
        ("kurs_reader", &READER_MAY_NOT[..]),
    ] {
        for statement in statements {
            let tried = server
                .try_sql(database.name(), &format!("SET ROLE {role}; {statement}"))
                .expect_err(&format!("{role} may: {statement}"));
            assert!(
                tried.contains("permission denied") || tried.contains("must be owner"),
                "{role}: {statement}: {tried}"
            );
        }
    }
    let refused = reader.append(vec![row(9, 9, at(0))]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
}

const WRITER_MAY_NOT: [&str; 13] = [
    "CREATE TABLE t (x int)",
    "DROP TABLE history",
    "TRUNCATE history",
    "ALTER TABLE history ADD x int",
    "UPDATE history SET value = 1",
    "UPDATE published SET event = '{}'",
    "UPDATE official_rates SET value = 1",
    "DELETE FROM official_rates",
    "DELETE FROM lease",
    "UPDATE schema_migrations SET version = 9",
    "UPDATE pairs SET name = 'X-Y'",
    "DELETE FROM api_keys",
    "INSERT INTO key_version VALUES (2, 1)",
];
const READER_MAY_NOT: [&str; 22] = [
    "CREATE TABLE t (x int)",
    "INSERT INTO meta VALUES ('a', 'b')",
    "DELETE FROM history",
    "UPDATE current_rates SET rate = '{}'",
    "SELECT kurs_make_partition('history', now())",
    "SELECT kurs_drop_partition('history', now(), '{}', false)",
    "SELECT * FROM packing FOR UPDATE",
    "SELECT kurs_fence(0, 1)",
    "SELECT kurs_claim(9, 'x', 1, NULL, NULL, true)",
    "SELECT * FROM kurs_renew('x', 1, true, '{}', '{}')",
    "SELECT kurs_release(0, 1, NULL)",
    "SELECT * FROM lease FOR SHARE",
    "UPDATE api_keys SET scopes = 'admin'",
    "INSERT INTO api_keys SELECT * FROM api_keys",
    "DELETE FROM settings",
    "UPDATE setting_version SET version = 9",
    "DELETE FROM audit",
    "UPDATE audit SET who = 'x'",
    "SELECT secret FROM alerts",
    "SELECT * FROM alerts",
    "UPDATE alert_deliveries SET body = '{}'",
    "SELECT * FROM chats",
];

async fn write_everything(writer: &dyn Store) {
    // Every way into a lease and out of it.
    assert_eq!(writer.claim(claim(0, "a")).await.unwrap(), Some(Epoch(1)));
    let beat = Beat {
        writer: "a".into(),
        ttl: Duration::from_secs(60),
        is_ready: true,
        held: vec![FENCE],
    };
    let leases = writer.renew(beat).await.unwrap();
    assert_eq!((leases.shards.len(), leases.writers.len()), (1, 1));
    let other = Fence { shard: 7, ..FENCE };
    writer.claim(claim(7, "a")).await.unwrap();
    assert!(writer.release(other, None).await.unwrap());
    writer.claim(claim(7, "b")).await.unwrap();
    writer.leave("a").await.unwrap();
    let late = Batch {
        fence: Some(other),
        ..batch(0, at(0))
    };
    writer.salvage(late).await.unwrap();
    for seq in 0..10 {
        let moment = at(i64::try_from(seq).unwrap() * SECOND);
        writer.write(batch(seq, moment)).await.unwrap();
    }
    // A day for which no partition was made ahead.
    writer
        .write(batch(100, Wall(NEW_YEAR.0 - 400 * super::DAY)))
        .await
        .unwrap();
    writer
        .save_terms("{}".to_owned(), Some(FENCE))
        .await
        .unwrap();
    let symbol = TrackedSymbol {
        symbol: "BTCUSDT".into(),
        pair: pair("BTC-USDT"),
        added_at: at(0),
    };
    writer.seed(vec![symbol.clone()]).await.unwrap();
    writer.untrack("BTCUSDT", Some(FENCE)).await.unwrap();
    assert!(writer.track(symbol, Some(FENCE)).await.unwrap());
    let key = |id: &str| StoredKey {
        id: id.into(),
        environment: "live".into(),
        name: "shop".into(),
        scopes: "read".into(),
        hash: [1; 32],
        created_at: at(0),
        expires_at: None,
        revoked_at: None,
        replaced_by: None,
        used_at: None,
    };
    assert!(writer.add_key(key("a")).await.unwrap());
    assert!(writer.replace_key("a", key("b"), at(9)).await.unwrap());
    assert!(writer.revoke_key("b", at(1)).await.unwrap());
    let uses = vec![("a".into(), at(1))];
    writer.note_key_use(uses).await.unwrap();
    let change = SettingsChange {
        expected: 0,
        set: vec![setting("a"), setting("b")],
        ..SettingsChange::default()
    };
    let changed = writer.change_settings(change, Some(FENCE)).await;
    assert_eq!(changed.unwrap(), Some(1));
    let change = SettingsChange {
        expected: 1,
        set: vec![setting("a")],
        unset: vec!["b".into()],
        entries: vec![entry(-2 * super::DAY)],
    };
    let changed = writer.change_settings(change, Some(FENCE)).await;
    assert_eq!(changed.unwrap(), Some(2));
    writer.note_audit(entry(0)).await.unwrap();
    write_alerts(writer).await;
    let packing = writer.pack(at(3 * super::DAY)).await.unwrap();
    assert_eq!((packing.rows, packing.published), (11, 11));
    // Once more, now that it is packed.
    writer.write(batch(3, at(3 * SECOND))).await.unwrap();
    let before = Some(at(-super::DAY));
    let outdated = Outdated {
        rows: before,
        published: before,
        candles: [before; Interval::ALL.len()],
        books: before,
        gaps: before,
        audit: before,
    };
    assert!(writer.prune(outdated).await.unwrap() >= 7);
    writer
        .drop_current(vec![pair("ETH-USDT")], Some(FENCE))
        .await
        .unwrap();
}

/// Everything that the role `bot` and the API do with alerts.
async fn write_alerts(writer: &dyn Store) {
    let talk = writer.talk();
    let fence = Fence {
        shard: ALERT_SHARD,
        epoch: Epoch(1),
    };
    writer.claim(claim(ALERT_SHARD, "a")).await.unwrap();
    assert!(talk.extend(fence, Duration::from_secs(60)).await.unwrap());
    let alert = StoredAlert {
        id: "one".into(),
        name: None,
        owner: "loopback".into(),
        target: "telegram:1".into(),
        condition: "{}".into(),
        is_paused: false,
        created_at: at(0),
        revision: 1,
        state: "{}".into(),
        fired: 0,
        fired_at: None,
    };
    for id in ["one", "two"] {
        let new = NewAlert {
            alert: StoredAlert {
                id: id.into(),
                ..alert.clone()
            },
            secret: Some("word".into()),
            request: Some(id.into()),
            alerts_max: 9,
            target_max: 9,
        };
        let added = talk.add_alert(new, Some(entry(0))).await.unwrap();
        assert_eq!(added, AlertAdded::New);
    }
    assert!(talk.change_alert(alert, None).await.unwrap());
    assert!(talk.remove_alert("two", None).await.unwrap());
    let delivery = Delivery {
        id: "one-1".into(),
        alert: "one".into(),
        target: "telegram:1".into(),
        body: "{}".into(),
        created_at: at(0),
        standing: DeliveryStanding::due(at(0)),
    };
    let step = AlertStep {
        id: "one".into(),
        revision: 2,
        state: "{}".into(),
        number: 1,
        fired: Some(delivery.clone()),
    };
    assert_eq!(talk.step_alerts(vec![step], fence).await.unwrap(), 1);
    assert!(talk.add_delivery(delivery.clone()).await.unwrap());
    assert_eq!(
        talk.due_deliveries(at(9), Vec::new(), 9)
            .await
            .unwrap()
            .len(),
        1
    );
    let standing = delivery.standing;
    assert!(
        talk.settle_delivery("one-1", standing, fence)
            .await
            .unwrap()
    );
    assert_eq!(talk.prune_deliveries(at(0), fence).await.unwrap(), 0);
    let chat = StoredChat {
        chat: 1,
        language: "en".into(),
        is_blocked: false,
        updated_at: at(0),
    };
    talk.save_chat(chat, fence).await.unwrap();
    talk.save_bot_offset("1", 7, fence).await.unwrap();
}

fn setting(key: &str) -> StoredSetting {
    StoredSetting {
        key: key.into(),
        value: "true".into(),
        set_at: at(0),
        who: "loopback".into(),
        why: None,
    }
}

fn entry(moment: i64) -> AuditEntry {
    AuditEntry {
        at: at(moment),
        who: "loopback".into(),
        address: None,
        action: "set_setting".into(),
        subject: "a".into(),
        before: None,
        after: None,
        why: None,
    }
}

async fn read_everything(store: &dyn Store) {
    let (pair, source) = (pair("BTC-USDT"), source("binance"));
    let (start, end, limit) = (Wall::MIN, Wall::MAX, 100);
    store.ping().await.unwrap();
    store.schema().await.unwrap();
    assert!(store.pending().await.unwrap().is_empty());
    assert_eq!(all_rows(store).await.len(), 10);
    assert_eq!(store.last_rows(pair, end).await.unwrap().len(), 1);
    assert_eq!(store.load_current().await.unwrap().len(), 1);
    assert_eq!(store.terms().await.unwrap().as_deref(), Some("{}"));
    assert_eq!(store.tracked().await.unwrap().len(), 1);
    assert_eq!(store.settings().await.unwrap().settings.len(), 1);
    assert_eq!(store.settings_version().await.unwrap(), 2);
    let query = AuditQuery {
        limit: 10,
        ..AuditQuery::default()
    };
    assert_eq!(store.audit(query).await.unwrap().len(), 3);
    let talk = store.talk();
    assert_eq!(talk.alerts().await.unwrap().alerts.len(), 1);
    assert!(talk.alert("one").await.unwrap().is_some());
    assert_eq!(talk.alerts_of("telegram:1").await.unwrap().len(), 1);
    assert_eq!(talk.deliveries("one", 9).await.unwrap().len(), 1);
    assert_eq!(talk.pending_deliveries().await.unwrap(), 1);
    let query = PublishedQuery {
        pair,
        start,
        end,
        limit,
        after: None,
    };
    assert_eq!(store.published(query).await.unwrap().events.len(), 11);
    // The last one before the limit of deletion stays.
    assert_eq!(store.published_at(end).await.unwrap().len(), 1);
    assert_eq!(store.states_at(pair, end).await.unwrap().len(), 1);
    let interval = Interval::Second;
    let query = CandleQuery {
        pair,
        source: None,
        interval,
        start,
        end,
        limit,
    };
    assert_eq!(store.candles(query).await.unwrap().len(), 10);
    let query = GapQuery {
        pair: Some(pair),
        source: None,
        start,
        end,
        limit,
    };
    assert_eq!(store.gaps(query).await.unwrap().len(), 11);
    let query = SnapshotQuery {
        source,
        pair,
        start,
        end,
        limit,
    };
    assert_eq!(store.books(query).await.unwrap().len(), 10);
    let query = OfficialQuery {
        source,
        pair,
        start,
        end,
        limit,
    };
    assert_eq!(store.official(query).await.unwrap().len(), 2);
    assert_eq!(store.recorded_until().await.unwrap(), None);
    assert_eq!(store.keys().await.unwrap().keys.len(), 2);
}
