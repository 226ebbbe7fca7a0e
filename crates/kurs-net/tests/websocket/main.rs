//! The async shell against a real server on the loopback interface.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

mod rig;

use futures_util::{SinkExt, StreamExt};
use kurs_core::Clock;
use kurs_net::{Notice, Proxies, Settings, StreamId};
use rig::{Client, Server, Told, is_down, read, read_text, say, soon, specs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn streams_are_subscribed_data_flows_and_pings_are_answered_with_their_payload() {
    let (server, address) = Server::start().await;
    let mut client = Client::start(address, Settings::default(), Proxies::none(), 2);
    let mut peer = server.accept().await;
    assert_eq!(read_text(&mut peer).await, "SUB 1 0,1");
    say(&mut peer, "DATA 0 5").await;
    assert_eq!(
        client.next().await,
        Told::Data {
            connection: 1,
            number: 5
        }
    );
    assert_eq!(
        client.next().await,
        Told::Notice(Notice::Live { connection: 1 })
    );
    peer.send(Message::Ping("1770123456789".into()))
        .await
        .unwrap();
    assert_eq!(read(&mut peer).await, Message::Pong("1770123456789".into()));
    client.streams.send(specs(3)).unwrap();
    assert_eq!(read_text(&mut peer).await, "SUB 2 2");
}

#[tokio::test]
async fn a_frame_may_say_several_things() {
    let (server, address) = Server::start().await;
    let mut client = Client::start(address, Settings::default(), Proxies::none(), 2);
    let mut peer = server.accept().await;
    assert_eq!(read_text(&mut peer).await, "SUB 1 0,1");
    say(&mut peer, "DATA 0 5; REFUSE 1; RENEW 0; DATA 0 6").await;
    for number in [5, 6] {
        let connection = 1;
        assert_eq!(client.next().await, Told::Data { connection, number });
    }
    assert_eq!(read_text(&mut peer).await, "UNSUB 2 0");
    assert_eq!(read_text(&mut peer).await, "SUB 3 0");
    let refused = |notice: &Notice| {
        let Notice::StreamRefused { stream, .. } = notice else {
            return false;
        };
        *stream == StreamId(1)
    };
    client.notice(refused).await;
}

#[tokio::test]
async fn signs_of_life_are_sent_and_plain_answers_reach_the_dialect() {
    let (server, address) = Server::start().await;
    let settings = Settings {
        keep_alive: Some(Duration::from_millis(50)),
        ..Settings::default()
    };
    let mut client = Client::start(address, settings, Proxies::none(), 1);
    let mut peer = server.accept().await;
    read_text(&mut peer).await;
    for _ in 0..2 {
        assert_eq!(read_text(&mut peer).await, "ALIVE");
    }
    say(&mut peer, "pong").await;
    say(&mut peer, "DATA 0 1").await;
    let connection = 1;
    assert_eq!(
        client.next().await,
        Told::Data {
            connection,
            number: 1
        }
    );
}

#[tokio::test]
async fn a_connection_is_given_up_when_the_dialect_finds_it_unfit_between_frames() {
    let (server, address) = Server::start().await;
    let mut client = Client::start(address, Settings::default(), Proxies::none(), 1);
    let mut peer = server.accept().await;
    say(&mut peer, "DATA 0 1; ROT").await;
    let Notice::Down { why, .. } = client.notice(is_down).await else {
        panic!("not down")
    };
    assert_eq!(why, "rotten");
    server.accept().await;
}

#[tokio::test]
async fn a_reset_is_reported_at_once_and_everything_is_subscribed_again() {
    let (server, address) = Server::start().await;
    let mut client = Client::start(address, Settings::default(), Proxies::none(), 2);
    let mut peer = server.accept().await;
    say(&mut peer, "DATA 0 1").await;
    client
        .notice(|notice| matches!(notice, Notice::Live { .. }))
        .await;
    drop(peer);
    client.notice(is_down).await;
    let mut peer = server.accept().await;
    assert_eq!(read_text(&mut peer).await, "SUB 2 0,1");
    say(&mut peer, "DATA 1 2").await;
    assert_eq!(
        client.next().await,
        Told::Data {
            connection: 2,
            number: 2
        }
    );
}

#[tokio::test]
async fn a_socket_that_answers_nothing_is_replaced() {
    let (server, address) = Server::start().await;
    let settings = Settings {
        stream_silence: Duration::from_millis(100),
        connection_silence: Duration::from_millis(300),
        ..Settings::default()
    };
    let mut client = Client::start(address, settings, Proxies::none(), 1);
    let mut peer = server.accept().await;
    say(&mut peer, "DATA 0 1").await;
    let Notice::Down { why, .. } = client.notice(is_down).await else {
        panic!("not down")
    };
    assert_eq!(why, "no data on any stream");
    server.accept().await;
}

#[tokio::test]
async fn a_socket_that_answers_pings_and_carries_nothing_is_replaced_later() {
    let (server, address) = Server::start().await;
    let settings = Settings {
        connection_silence: Duration::from_secs(3),
        data_silence: Duration::from_secs(4),
        ..Settings::default()
    };
    let mut client = Client::start(address, settings, Proxies::none(), 1);
    client.has_no_word_for_a_ping.store(true, Ordering::Relaxed);
    let mut peer = server.accept().await;
    say(&mut peer, "DATA 0 1").await;
    // Reading is answering.
    let reads = tokio::spawn(async move {
        let mut pings = 0;
        while let Some(Ok(message)) = peer.next().await {
            pings += u32::from(message.is_ping());
        }
        pings
    });
    let Notice::Down { why, .. } = client.notice(is_down).await else {
        panic!("not down")
    };
    assert_eq!(why, "signs of life, but no data on any stream");
    server.accept().await;
    assert!(soon(reads).await.unwrap() > 0);
}

#[tokio::test]
async fn what_cannot_be_believed_is_given_up() {
    let (server, address) = Server::start().await;
    let settings = Settings {
        message_bytes_max: 1_000,
        ..Settings::default()
    };
    let mut client = Client::start(address, settings, Proxies::none(), 1);
    let mut peer = server.accept().await;
    say(&mut peer, "NONSENSE").await;
    let Notice::Down { why, .. } = client.notice(is_down).await else {
        panic!("not down")
    };
    assert_eq!(why, "nonsense");
    let mut peer = server.accept().await;
    say(&mut peer, "X".repeat(2_000)).await;
    client.notice(is_down).await;
    server.accept().await;
}

/// One thread for the client, the venue and the one who looks: who does not give way, starves
/// the others.
#[tokio::test]
async fn a_flood_is_given_up_whatever_it_is_made_of_and_others_get_their_turn() {
    for message in [
        Message::text("nothing of interest"),
        Message::Ping("again".into()),
        Message::Binary("\0".into()),
    ] {
        let settings = Settings {
            messages_per_second_max: 5_000,
            ..Settings::default()
        };
        let (server, address) = Server::start().await;
        let mut client = Client::start(address, settings, Proxies::none(), 1);
        let mut peer = server.accept().await;
        read_text(&mut peer).await;
        say(&mut peer, "DATA 0 1").await;
        let flood = tokio::spawn(async move { while peer.feed(message.clone()).await.is_ok() {} });
        let turns = Arc::new(AtomicU64::new(0));
        let counted = turns.clone();
        let look = tokio::spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let notice = client.notice(is_down).await;
        look.abort();
        flood.await.unwrap();
        let Notice::Down { why, .. } = notice else {
            panic!("{notice:?}")
        };
        assert_eq!(why, "sends more than 5000 messages a second");
        // 5,000 messages are some forty rows.
        let turns = turns.load(Ordering::Relaxed);
        assert!(turns > 30, "{turns} turns");
    }
}

#[tokio::test]
async fn no_number_is_lost_while_the_venue_shuts_down() {
    let (server, address) = Server::start().await;
    let mut client = Client::start(address, Settings::default(), Proxies::none(), 1);
    let mut old = server.accept().await;
    read_text(&mut old).await;
    let (mut number, mut seen) = (0_u64, Vec::new());
    for _ in 0..10 {
        number += 1;
        say(&mut old, format!("DATA 0 {number}")).await;
    }
    say(&mut old, "BYE").await;
    let mut new = {
        let accepted = server.accept();
        tokio::pin!(accepted);
        loop {
            tokio::select! {
                peer = &mut accepted => break peer,
                () = tokio::time::sleep(Duration::from_millis(1)) => {
                    number += 1;
                    say(&mut old, format!("DATA 0 {number}")).await;
                }
            }
        }
    };
    assert_eq!(
        read_text(&mut new).await,
        "SUB 1 0",
        "the old connection is still there"
    );
    let mut renewed = false;
    let mut ended = false;
    while !ended {
        number += 1;
        let text = format!("DATA 0 {number}");
        let _ = old.send(Message::text(text.clone())).await;
        say(&mut new, text).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        while let Ok(told) = client.told.try_recv() {
            match told {
                Told::Data { number, .. } => seen.push(number),
                Told::Notice(Notice::Renewed { from: 1, to: 2 }) => renewed = true,
                Told::Notice(Notice::Ended {
                    connection: 1,
                    oldest_open: 2,
                }) => ended = true,
                Told::Notice(notice) => assert!(!is_down(&notice), "{notice:?}"),
            }
        }
    }
    say(&mut new, format!("DATA 0 {}", number + 1)).await;
    while !seen.contains(&(number + 1)) {
        if let Told::Data { number, .. } = client.next().await {
            seen.push(number);
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert!(renewed);
    assert_eq!(seen, (1..=number + 1).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_client_ends_promptly_whatever_it_is_doing() {
    let (server, address) = Server::start().await;
    // Connected, and its peer does not read.
    let client = Client::start(address, Settings::default(), Proxies::none(), 1);
    let peer = server.accept().await;
    client.stop.send(true).unwrap();
    soon(client.task).await.unwrap();
    drop(peer);
    // In the middle of a handshake that never ends.
    let client = Client::start(address, Settings::default(), Proxies::none(), 1);
    let (silent, _) = soon(server.0.accept()).await.unwrap();
    client.stop.send(true).unwrap();
    soon(client.task).await.unwrap();
    drop(silent);
    // Nobody is left who could say stop.
    let client = Client::start(address, Settings::default(), Proxies::none(), 0);
    drop(client.stop);
    soon(client.task).await.unwrap();
}

/// Reads a request head and answers it.
async fn answer_once(listener: &TcpListener, answer: &str) -> (TcpStream, String) {
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    (stream, String::from_utf8(head).unwrap())
}

#[tokio::test]
async fn a_limited_handshake_waits_as_long_as_the_server_said() {
    let (server, address) = Server::start().await;
    let mut client = Client::start(address, Settings::default(), Proxies::none(), 1);
    let answer = "HTTP/1.1 429 Too Many\r\nRetry-After: 77\r\nContent-Length: 0\r\n\r\n";
    let (_stream, head) = answer_once(&server.0, answer).await;
    assert!(
        head.to_ascii_lowercase().contains("user-agent: kurs/test"),
        "{head}"
    );
    let before = client.clock.now().mono;
    let Notice::Down { retry_at, .. } = client.notice(is_down).await else {
        panic!("not down")
    };
    assert!(
        retry_at.since(before) > Duration::from_secs(75),
        "{retry_at:?}"
    );
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used_by_connect() {
    let (server, address) = Server::start().await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_url = format!("http://user:pass@{}", proxy.local_addr().unwrap());
    let proxies =
        Proxies::from_environment(|name| (name == "http_proxy").then(|| proxy_url.clone()));
    let mut client = Client::start(address, Settings::default(), proxies, 1);
    let answer = "HTTP/1.1 200 Connection established\r\n\r\n";
    let (mut inner, head) = answer_once(&proxy, answer).await;
    assert!(
        head.starts_with(&format!("CONNECT {address} HTTP/1.1\r\n")),
        "{head}"
    );
    assert!(
        head.contains("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"),
        "{head}"
    );
    tokio::spawn(async move {
        let mut outer = TcpStream::connect(address).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
    });
    let mut peer = server.accept().await;
    say(&mut peer, "DATA 0 1").await;
    assert_eq!(
        client.next().await,
        Told::Data {
            connection: 1,
            number: 1
        }
    );
}
