//! Checks of commands and answers.

use super::{HANG, Opened, in_time, untrack};
use crate::{BusError, Command, Reply};
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn the_writer_answers_each_request(bus: Opened) {
    let mut requests = bus.writer.requests().await.unwrap();
    let writer = tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let Command::Untrack { symbol, .. } = request.command else {
                panic!("another command than was asked");
            };
            let _ = request.reply.send(Reply::Untracked {
                existed: symbol.starts_with("YES"),
            });
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (bus, expected) = (Arc::clone(&bus.reader), n % 2 == 0);
        tasks.spawn(async move {
            let symbol = format!("{}{n}", if expected { "YES" } else { "NO" });
            let reply = bus.request(untrack(&symbol), HANG).await;
            assert_eq!(reply, Ok(Reply::Untracked { existed: expected }));
        });
    }
    while let Some(done) = in_time("an answer", tasks.join_next()).await {
        done.unwrap();
    }
    writer.abort();
}

pub(super) async fn two_writers_never_take_the_same_request(bus: Opened) {
    let mut writers = tokio::task::JoinSet::new();
    for bus in [&bus.writer, &bus.reader] {
        let mut requests = bus.requests().await.unwrap();
        writers.spawn(async move {
            let mut taken = Vec::new();
            while let Some(request) = requests.next().await {
                let Command::Untrack { symbol, .. } = &request.command else {
                    continue;
                };
                let is_last = &**symbol == "END";
                taken.push(symbol.to_string());
                let _ = request.reply.send(Reply::Untracked { existed: true });
                if is_last {
                    break;
                }
            }
            taken
        });
    }
    for n in 0..50 {
        let asked = bus.reader.request(untrack(&n.to_string()), HANG);
        asked.await.unwrap();
    }
    for _ in 0..2 {
        bus.reader.request(untrack("END"), HANG).await.unwrap();
    }
    let mut taken = Vec::new();
    while let Some(list) = in_time("the end of the Writers", writers.join_next()).await {
        taken.extend(list.unwrap());
    }
    taken.retain(|symbol| symbol != "END");
    let count = taken.len();
    taken.sort();
    taken.dedup();
    assert_eq!((count, taken.len()), (50, 50));
}

pub(super) async fn a_request_that_was_given_up_is_never_carried_out(bus: Opened) {
    let patience = Duration::from_millis(50);
    let nobody = bus.reader.request(untrack("GIVENUP"), patience).await;
    assert_eq!(nobody, Err(BusError::NoAnswer(patience)));
    let mut requests = bus.writer.requests().await.unwrap();
    // A Writer that stops waiting takes nothing with it.
    assert!(
        tokio::time::timeout(patience, requests.next())
            .await
            .is_err(),
        "it was given up"
    );
    let (reply, taken) = tokio::join!(bus.reader.request(untrack("LATER"), HANG), async {
        let request = in_time("the request", requests.next()).await.unwrap();
        let command = request.command.clone();
        let _ = request.reply.send(Reply::Untracked { existed: false });
        command
    });
    assert_eq!(reply, Ok(Reply::Untracked { existed: false }));
    assert_eq!(taken, untrack("LATER"));
}

pub(super) async fn a_writer_that_goes_away_is_told(bus: Opened) {
    let mut requests = bus.writer.requests().await.unwrap();
    let (reply, ()) = tokio::join!(bus.reader.request(untrack("BTCUSDT"), HANG), async {
        drop(in_time("the request", requests.next()).await);
    });
    assert_eq!(reply, Err(BusError::Unavailable));
}
