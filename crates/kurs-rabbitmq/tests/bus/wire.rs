//! Messages of others, and servers that are not what they should be.

use crate::{GUARD, connected, flushed, insist, last_seqs, next, open, options, prefix};
use kurs_bus::conformance::{rate, untrack};
use kurs_bus::counters::total;
use kurs_bus::{Bus, BusError, BusEvent, Reply};
use kurs_testkit::{Proxy, RabbitServer, until};
use lapin::{BasicProperties, Connection, ConnectionProperties, options::BasicPublishOptions};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_cannot_be_read_harm_nobody() {
    let server = RabbitServer::shared();
    let options = options(&server.url(), &prefix());
    let bus = open(&options);
    connected(&bus).await;
    let mut subscription = bus.subscribe().await.unwrap();
    let mut requests = bus.requests().await.unwrap();
    bus.publish(rate("BTC-USDT", 1)).unwrap();
    flushed(&bus).await;

    let properties = ConnectionProperties::default();
    let other = Connection::connect(&server.url(), properties)
        .await
        .unwrap();
    let channel = other.create_channel().await.unwrap();
    let name = format!("{}.v1", options.config.prefix);
    let later = r#"{"v":9,"id":"0.1-7","kind":"rate","data":{}}"#;
    for text in [
        "",
        "{",
        "\u{0}\u{1}",
        r#"{"v":1,"id":"x","kind":"rate","data":{}}"#,
        later,
    ] {
        for (exchange, key) in [
            (name.clone(), format!("{name}.rate.BTC.USDT")),
            (String::new(), format!("{name}.flow")),
            (String::new(), format!("{name}.last")),
            (String::new(), format!("{name}.commands")),
        ] {
            let none = BasicPublishOptions::default();
            let headers = BasicProperties::default().with_reply_to("nowhere".into());
            channel
                .basic_publish(exchange.into(), key.into(), none, text.as_bytes(), headers)
                .await
                .unwrap();
        }
    }
    other.close(200, "".into()).await.unwrap();

    bus.publish(rate("ETH-USDT", 2)).unwrap();
    for seq in 1..=2 {
        let BusEvent::Update(update) = next(&mut subscription).await else {
            panic!("nothing was lost");
        };
        assert_eq!(update.id.seq.0, seq);
    }
    let counters = bus.monitor().counters();
    assert!(total(&counters.decode_errors) >= 8);
    assert!(total(&counters.unknown) >= 2);
    assert_eq!(last_seqs(&bus).await, [1, 2]);
    let (reply, ()) = tokio::join!(bus.request(untrack("BTCUSDT"), GUARD), async {
        let request = requests.next().await.unwrap();
        assert_eq!(request.command, untrack("BTCUSDT"));
        let _ = request.reply.send(Reply::Untracked { existed: true });
    });
    assert_eq!(reply, Ok(Reply::Untracked { existed: true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_busy_does_not_carry_out_later_what_was_given_up() {
    let server = RabbitServer::shared();
    let options = options(&server.url(), &prefix());
    let (writer, reader) = (open(&options), open(&options));
    connected(&reader).await;
    let mut requests = insist(|| writer.requests()).await;
    // The server has sent it to the listener, who did not look.
    let patience = Duration::from_millis(400);
    let nobody = reader.request(untrack("GIVENUP"), patience).await;
    assert_eq!(nobody, Err(BusError::NoAnswer(patience)));
    let (reply, ()) = tokio::join!(reader.request(untrack("LATER"), GUARD), async {
        let request = requests.next().await.unwrap();
        assert_eq!(request.command, untrack("LATER"));
        let _ = request.reply.send(Reply::Untracked { existed: true });
    });
    assert_eq!(reply, Ok(Reply::Untracked { existed: true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_hears_no_password_meant_for_one_with_it() {
    let server = RabbitServer::shared();
    let proxy = Proxy::start(server.address()).await;
    let url = server.url_at(proxy.address()).replace("amqp:", "amqps:");
    let bus = open(&options(&url, &prefix()));
    let attempts = || (proxy.accepted() >= 4).then_some(());
    until("two attempts of each connection", GUARD, attempts).await;
    assert!(!bus.monitor().is_connected());
}
