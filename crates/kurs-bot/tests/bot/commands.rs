//! Every command and every button, in both languages.

use crate::world::{World, until};
use kurs_sim::telegram::SentKind;
use kurs_store::Interval;
use std::time::Duration;

fn button<'a>(sent: &'a kurs_sim::telegram::Sent, text: &str) -> &'a str {
    let mut buttons = sent.buttons.iter().flatten();
    let found = buttons.find(|(label, _)| label.contains(text));
    found
        .map(|(_, data)| data.as_str())
        .unwrap_or_else(|| panic!("no {text} below {sent:?}"))
}

#[tokio::test(start_paused = true)]
async fn a_rate_shows_its_source_age_and_state() {
    let world = World::quick().await;
    let _bot = world.start();
    let start = world.ask(1, "en", "/start").await;
    assert!(
        start.text.starts_with("This bot tells exchange rates"),
        "{}",
        start.text
    );
    for text in ["/rate BTC USD", "/rate@KursBot btcusd", "btc/usd"] {
        let sent = world.ask(1, "en", text).await;
        assert!(
            sent.text.starts_with("BTC-USD  64000.50\nbinance, "),
            "{}",
            sent.text
        );
        assert!(sent.text.ends_with(" old, fresh"), "{}", sent.text);
    }
    let derived = world.ask(1, "en", "/rate BTC-RUB").await;
    assert!(
        derived.text.starts_with("BTC-RUB  5120040\n"),
        "{}",
        derived.text
    );
    assert!(
        derived
            .text
            .ends_with("by way of BTC-USD (binance), USD-RUB (cbr)"),
        "{}",
        derived.text
    );
    assert_eq!(world.telegram.state().violations.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_stale_or_invented_is_said_loudly() {
    let world = World::quick().await;
    let _bot = world.start();
    world.publish_for("ETH-USD", "3000", "sim:kraken", Duration::from_secs(1));
    let expired = || {
        world
            .view
            .rate(crate::world::pair("ETH-USD"), None)
            .is_err()
            .then_some(())
    };
    until("the rate has run out", expired).await;
    let sent = world.ask(1, "en", "/rate ETH USD").await;
    assert!(
        sent.text
            .contains("STALE: this is the last value known. Do not use it.")
    );
    assert!(sent.text.contains("SIMULATED: this price is invented."));
    let sent = world.ask(2, "ru", "/rate ETH USD").await;
    assert!(
        sent.text
            .contains("УСТАРЕЛ: это последнее известное значение.")
    );
    assert!(sent.text.contains("УЧЕБНАЯ ЦЕНА"));
    let interval = Interval::FiveMinutes;
    world.store_candles("ETH-USD", interval, 10).await;
    let chart = world.ask(2, "en", "/history ETH-USD").await;
    assert!(chart.text.contains("УЧЕБНАЯ ЦЕНА"), "{}", chart.text);
    let all = world.ask(1, "en", "/rates").await;
    assert!(
        all.text.contains("SIMULATED") && all.text.contains("STALE"),
        "{}",
        all.text
    );
}

#[tokio::test(start_paused = true)]
async fn each_chat_has_its_language_from_the_first_word_on() {
    let world = World::quick().await;
    let bot = world.start();
    assert!(
        world
            .ask(1, "ru-RU", "/help")
            .await
            .text
            .contains("один курс")
    );
    assert!(world.ask(2, "de", "/help").await.text.contains("one rate"));
    let asked = world.ask(2, "de", "/language").await;
    let set = world
        .press(2, asked.message_id, button(&asked, "Русский"))
        .await;
    assert_eq!(set.text, "Говорю по-русски.");
    assert_eq!(set.kind, SentKind::EditedText);
    assert_eq!(
        world.ask(1, "ru", "/language en").await.text,
        "English it is."
    );
    bot.stop().await;
    let _next = world.start();
    assert!(
        world
            .ask(2, "de", "/alerts")
            .await
            .text
            .contains("ни за чем не следят")
    );
    assert!(
        world
            .ask(1, "ru", "/alerts")
            .await
            .text
            .contains("Nothing is watched")
    );
    assert!(
        world
            .ask(1, "ru", "/language xx")
            .await
            .text
            .contains("This bot speaks")
    );
}

#[tokio::test(start_paused = true)]
async fn rates_are_refreshed_and_turned_around_in_place() {
    let world = World::quick().await;
    let _bot = world.start();
    let first = world.ask(1, "en", "/rate BTC USD").await;
    world.publish("BTC-USD", "65000", "binance");
    let anew = world
        .press(1, first.message_id, button(&first, "Refresh"))
        .await;
    assert_eq!(
        (anew.kind, anew.message_id),
        (SentKind::EditedText, first.message_id)
    );
    assert!(anew.text.starts_with("BTC-USD  65000\n"));
    let around = world
        .press(1, first.message_id, button(&anew, "USD-BTC"))
        .await;
    assert!(
        around.text.starts_with("USD-BTC  0.0000153846153846154\n"),
        "{}",
        around.text
    );
    let all = world.ask(1, "en", "/rates").await;
    assert!(all.text.contains("BTC-USD  65000") && all.text.contains("ETH-USD  no rate"));
    world.publish("ETH-USD", "3000", "kraken");
    let all = world
        .press(1, all.message_id, button(&all, "Refresh"))
        .await;
    assert!(
        all.text.contains("ETH-USD  3000\n    kraken"),
        "{}",
        all.text
    );
    assert_eq!(world.telegram.state().violations.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn alerts_are_made_listed_and_removed() {
    let world = World::quick().await;
    let _bot = world.start();
    let made = world.ask(1, "en", "/subscribe BTC-USD 1%").await;
    assert_eq!(made.text, "Watching: BTC-USD moves by 1 %");
    assert_eq!(
        world.ask(1, "en", "/subscribe BTC USD > 70 000").await.text,
        "Watching: BTC-USD above 70000"
    );
    assert_eq!(
        world
            .ask(1, "en", "/subscribe btcrub ниже 4000000")
            .await
            .text,
        "Watching: BTC-RUB below 4000000"
    );
    let asked = world.ask(1, "en", "/subscribe BTC-USD").await;
    let made = world
        .press(1, asked.message_id, button(&asked, "5 %"))
        .await;
    assert_eq!(made.text, "Watching: BTC-USD moves by 5 %");
    let listed = world.ask(1, "en", "/alerts").await;
    assert_eq!(
        listed.text,
        "Watched here\n1. BTC-USD moves by 1 %\n2. BTC-USD above 70000\n\
         3. BTC-RUB below 4000000\n4. BTC-USD moves by 5 %"
    );
    let left = world
        .press(1, listed.message_id, button(&listed, "2. Remove"))
        .await;
    assert!(
        left.text.starts_with("Removed: BTC-USD above 70000\n"),
        "{}",
        left.text
    );
    assert!(
        left.text.ends_with("3. BTC-USD moves by 5 %"),
        "{}",
        left.text
    );
    assert_eq!(
        world.ask(1, "en", "/unsubscribe btc-rub").await.text,
        "Removed: BTC-RUB below 4000000"
    );
    assert!(
        world
            .ask(1, "en", "/unsubscribe")
            .await
            .text
            .starts_with("What shall go?")
    );
    assert_eq!(
        world.ask(2, "en", "/unsubscribe all").await.text,
        "There is no such alert here."
    );
    assert_eq!(
        world.ask(1, "en", "/unsubscribe all").await.text,
        "Removed: 2"
    );
    assert!(
        world
            .ask(1, "en", "/alerts")
            .await
            .text
            .starts_with("Nothing is watched")
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_removes_the_alert_of_another_chat() {
    let world = World::quick().await;
    let _bot = world.start();
    world.ask(1, "en", "/subscribe BTC-USD 1%").await;
    let listed = world.ask(1, "en", "/alerts").await;
    let stolen = button(&listed, "Remove").to_owned();
    let answer = world.ask(2, "en", "/help").await;
    let refused = world.press(2, answer.message_id, &stolen).await;
    assert!(refused.text.starts_with("There is no such alert here."));
    let id = stolen.split(':').nth(1).unwrap();
    let asked = format!("/unsubscribe {id}");
    assert_eq!(
        world.ask(2, "en", &asked).await.text,
        "There is no such alert here."
    );
    assert_eq!(
        world.ask(1, "en", &asked).await.text,
        "Removed: BTC-USD moves by 1 %"
    );
}

#[tokio::test(start_paused = true)]
async fn a_chart_is_a_picture_with_its_numbers_and_changes_its_span_in_place() {
    let world = World::quick().await;
    let _bot = world.start();
    world
        .store_candles("BTC-USD", Interval::FiveMinutes, 100)
        .await;
    world.store_candles("BTC-USD", Interval::Hour, 100).await;
    let chart = world.ask(1, "en", "/history BTC-USD 24h").await;
    assert_eq!(chart.kind, SentKind::Photo);
    assert!(chart.picture.starts_with(crate::world::PNG));
    assert_eq!(
        chart.text,
        "BTC-USD, 24h\nfirst 60000, last 60109 (+0.18 %)\nhighest 60119, lowest 60000"
    );
    let week = world.press(1, chart.message_id, button(&chart, "7d")).await;
    assert_eq!(
        (week.kind, week.message_id),
        (SentKind::EditedPhoto, chart.message_id)
    );
    assert!(week.text.starts_with("BTC-USD, 7d\n"));
    assert!(
        world
            .ask(1, "en", "/history BTC USD 1h")
            .await
            .text
            .starts_with("There is no history")
    );
    assert!(
        world
            .ask(1, "en", "/history BTC-USD 3y")
            .await
            .text
            .starts_with("A chart shows")
    );
    assert_eq!(world.telegram.state().violations.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_explained() {
    let world = World::quick().await;
    let _bot = world.start();
    for (asked, answer) in [
        ("/rate", "Which pair?"),
        ("/rate <b>&", "<b>& is no pair."),
        ("/rate BTC QQQ", "No source knows QQQ."),
        ("/subscribe BTC-USD 65,000", "What shall be watched?"),
        ("/subscribe BTC-USD 999999%", "This cannot be watched: "),
        ("/subscribe QQQ-USD 1%", "No source knows QQQ."),
        ("/nothing", "There is no such command."),
        ("what is this about", "Write a pair"),
    ] {
        let sent = world.ask(1, "en", asked).await;
        assert!(sent.text.starts_with(answer), "{asked}: {}", sent.text);
    }
    let state = world.telegram.state();
    assert_eq!(state.violations.total(), 0, "{state:?}");
    assert_eq!(state.commands[""].len(), 8);
    assert_eq!(state.commands["ru"], state.commands[""]);
}

#[tokio::test(start_paused = true)]
async fn in_a_group_only_what_is_meant_for_the_bot_is_answered() {
    let world = World::quick().await;
    let _bot = world.start();
    for text in ["hello", "BTC USD", "/rate@OtherBot BTC USD", "/roll"] {
        world.telegram.say(-5, "en", text);
    }
    let sent = world.ask(-5, "en", "/rate@kursbot BTC USD").await;
    assert!(sent.text.starts_with("BTC-USD"));
    assert_eq!(world.read(-5).len(), 1, "{:?}", world.read(-5));
}

#[tokio::test(start_paused = true)]
async fn chats_that_are_not_on_the_list_are_told_so_once() {
    let mut world = World::quick().await;
    world.config.chats = vec![1, -7];
    let _bot = world.start();
    let refused = world.ask(2, "ru", "/rate BTC USD").await;
    assert!(
        refused.text.contains("работает только в некоторых чатах"),
        "{}",
        refused.text
    );
    world.telegram.say(2, "ru", "/rates");
    world.telegram.say(2, "ru", "/subscribe BTC-USD 1%");
    assert!(
        world
            .ask(1, "en", "/rate BTC USD")
            .await
            .text
            .starts_with("BTC-USD")
    );
    let confirmed = || (world.telegram.state().updates_waiting == 0).then_some(());
    until("all updates are handled", confirmed).await;
    assert_eq!(world.read(2).len(), 1);
    assert_eq!(world.store.talk().alerts().await.unwrap().alerts, []);
}

#[tokio::test(start_paused = true)]
async fn a_press_is_answered_even_when_its_button_is_unknown() {
    let world = World::quick().await;
    let _bot = world.start();
    let first = world.ask(1, "en", "/help").await;
    world
        .telegram
        .press(1, "en", first.message_id, "of another version");
    let answered = || world.telegram.state().press_answers.first().cloned();
    assert_eq!(
        until("the press is answered", answered).await,
        "This button is too old."
    );
}
