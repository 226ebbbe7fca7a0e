//! Commands over Redis: taken once, by somebody who waits, or not at all.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use common::{GUARD, bus, in_time, patient};
use kurs_bus::conformance::untrack;
use kurs_bus::{Bus, BusError, Reply};
use kurs_testkit::{RedisServer, until};
use std::sync::Arc;
use std::time::Duration;

/// Lets others run so many times.
async fn turns(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_stops_waiting_takes_no_command_with_it() {
    let server = RedisServer::start();
    let bus = bus(&server.url());
    let asker = Arc::clone(&bus);
    let asked = tokio::spawn(async move { asker.request(untrack("A"), GUARD).await });
    until("the command waits", GUARD, || {
        (server.ask("XLEN {kurs}.v1.commands").unwrap() == ":1").then_some(())
    })
    .await;
    let mut taken = None;
    for round in 0..50 {
        let mut requests = bus.requests().await.unwrap();
        // Dropped before it asks, while it asks, or with a command that nobody has opened.
        tokio::select! {
            biased;
            request = requests.next() => taken = request,
            () = turns(round) => {}
        }
        if taken.is_some() {
            break;
        }
    }
    let mut requests = bus.requests().await.unwrap();
    let request = match taken {
        Some(request) => request,
        None => in_time("the request", requests.next()).await.unwrap(),
    };
    request
        .reply
        .send(Reply::Untracked { existed: true })
        .unwrap();
    let reply = asked.await.unwrap();
    assert_eq!(reply, Ok(Reply::Untracked { existed: true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_commands_than_may_wait_are_told_that_nobody_answered_and_make_room() {
    let server = RedisServer::start();
    let bus = bus(&server.url());
    let patience = Duration::from_millis(300);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let bus = Arc::clone(&bus);
        tasks.spawn(async move { bus.request(untrack("A"), patience).await });
    }
    while let Some(answer) = tasks.join_next().await {
        assert_eq!(answer.unwrap(), Err(BusError::NoAnswer(patience)));
    }
    let mut requests = bus.requests().await.unwrap();
    let (reply, ()) = tokio::join!(bus.request(untrack("B"), GUARD), async {
        let request = in_time("the request", requests.next()).await.unwrap();
        assert_eq!(request.command, untrack("B"));
        drop(request);
    });
    assert_eq!(reply, Err(BusError::Unavailable));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_survives_a_restart_of_the_server() {
    let server = RedisServer::start();
    let bus = bus(&server.url());
    let mut requests = patient(|| bus.requests()).await;
    tokio::task::block_in_place(|| server.lose_everything());
    let (reply, ()) = tokio::join!(bus.request(untrack("A"), GUARD), async {
        let request = in_time("the request", requests.next()).await.unwrap();
        request
            .reply
            .send(Reply::Untracked { existed: true })
            .unwrap();
    });
    assert_eq!(reply, Ok(Reply::Untracked { existed: true }));
}
