//! Updates that nobody in their right mind would send.

use crate::world::{World, until};
use kurs_bot::wire::Update;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Map, Value, json};

#[tokio::test(start_paused = true)]
async fn an_update_that_comes_twice_does_nothing_twice() {
    let world = World::quick().await;
    let bot = world.start();
    world.ask(1, "en", "/start").await;
    let update = json!({"update_id": 900, "message": {
        "message_id": 50, "chat": {"id": 1}, "from": {"id": 1},
        "text": "/subscribe BTC-USD 1%"}});
    let (id, read) = Update::read(update.clone()).unwrap();
    bot.bot.desk().handle(id, read.clone()).await;
    bot.bot.desk().handle(id, read.clone()).await;
    let answers = || {
        let sent = world.read(1);
        (sent
            .iter()
            .filter(|sent| sent.text.starts_with("Watching"))
            .count()
            > 0)
        .then_some(())
    };
    until("the answer", answers).await;
    bot.stop().await;
    // After a crash it comes again to a process that knows nothing of it.
    let next = world.start();
    let taken = || next.seat.fence();
    until("the lease", taken).await;
    next.bot.desk().handle(id, read).await;
    assert_eq!(world.store.talk().alerts().await.unwrap().alerts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_handled_before_a_restart_is_not_answered_again() {
    let world = World::quick().await;
    let bot = world.start();
    world.ask(1, "en", "/help").await;
    let stored = async || world.store.talk().bot_offset("123456789").await.unwrap();
    while stored().await.is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // Killed after the offset was stored, before Telegram heard of it.
    bot.kill();
    let next = world.start();
    world.ask(2, "en", "/help").await;
    assert_eq!(world.read(1).len(), 1);
    next.stop().await;
}

fn json_of_any_shape() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "update_id",
        "message",
        "callback_query",
        "my_chat_member",
        "chat",
        "from",
        "id",
        "text",
        "data",
        "message_id",
        "migrate_to_chat_id",
        "photo",
        "username",
        "language_code",
        "is_bot",
        "new_chat_member",
        "status",
        "?",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "/rate BTC USD",
            "/subscribe BTC-USD 1%",
            "/alerts",
            "/history BTC-USD",
            "x:aaa",
            "r:BTC-USD",
            "h:BTC-USD:1h",
            "/rate@",
            "/",
            "@",
            "kicked",
            "ru",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..8).prop_map(|fields| {
                let fields = fields
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value));
                Value::Object(fields.collect::<Map<_, _>>())
            }),
        ]
    })
}

#[tokio::test(start_paused = true)]
async fn no_update_panics_and_the_bot_goes_on() {
    let world = World::quick().await;
    let bot = world.start();
    world.ask(1, "en", "/start").await;
    let strategy = json_of_any_shape();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for number in 0..3_000_i64 {
        let tree = strategy.new_tree(&mut runner).unwrap();
        let mut update = json!({"update_id": 10_000 + number});
        let shape = tree.current();
        let kind = [
            "message",
            "callback_query",
            "my_chat_member",
            "edited_message",
        ];
        let kind = kind[usize::try_from(number % 4).unwrap()];
        update[kind] = match number % 3 {
            0 => shape,
            // Near enough to the real one to get far.
            _ => json!({
                "id": "1", "message_id": 1, "chat": {"id": 1}, "from": {"id": 1},
                "text": shape.clone(), "data": shape.clone(), "message": shape.clone(),
                "new_chat_member": shape, "photo": [],
            }),
        };
        if let Some((id, update)) = Update::read(update) {
            bot.bot.desk().handle(id, update).await;
        }
    }
    assert!(
        world
            .ask(9, "en", "/rate BTC USD")
            .await
            .text
            .starts_with("BTC-USD")
    );
    assert_eq!(world.telegram.state().violations.wrong_requests, 0);
}
