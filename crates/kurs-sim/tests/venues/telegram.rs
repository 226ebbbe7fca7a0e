//! The Bot API.

use crate::client::{GUARD, get, request, start};
use kurs_sim::telegram::{Params, SentKind};
use kurs_sim::{SimConfig, SimHandle, Telegram, TelegramConfig};
use kurs_testkit::wait;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn token() -> String {
    TelegramConfig::default().token
}

async fn call(sim: &SimHandle, method: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/bot{}/{method}", sim.urls().telegram_api, token());
    let kind = [("content-type", "application/json")];
    let answer = request("POST", &url, &kind, &body.to_string())
        .await
        .unwrap();
    (answer.status, answer.json())
}

async fn ask(telegram: &Telegram, method: &str, body: Value) -> (u16, Value) {
    let reply = telegram
        .call(&token(), method, &Params::of(body))
        .await
        .unwrap();
    (reply.status, reply.body)
}

fn why(body: &Value) -> &str {
    body["description"].as_str().unwrap()
}

#[tokio::test]
async fn a_wrong_token_is_401_and_an_unknown_method_404() {
    let sim = start(SimConfig::seeded(1)).await;
    let root = sim.urls().telegram_api;
    for (path, status) in [
        ("bot1:wrong/getMe".to_owned(), 401),
        ("botwrong/getMe".to_owned(), 404),
        (format!("bot{}/getNothing", token()), 404),
        (format!("bot{}/getMe", token()), 200),
    ] {
        let answer = get(&format!("{root}/{path}")).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.json()["ok"], json!(status == 200));
    }
}

#[tokio::test]
async fn updates_are_given_until_their_offset_confirms_them() {
    let sim = start(SimConfig::seeded(1)).await;
    let first = sim.telegram().say(7, "ru", "/rate@KursBot BTC RUB");
    sim.telegram().say(7, "ru", "hello");
    for _ in 0..2 {
        let (_, body) = call(&sim, "getUpdates", &json!({"offset": 0})).await;
        let updates = body["result"].as_array().unwrap().clone();
        assert_eq!(updates.len(), 2, "not confirmed yet");
        assert_eq!(updates[0]["update_id"], json!(first));
        assert_eq!(updates[0]["message"]["entities"][0]["length"], json!(13));
        assert_eq!(updates[0]["message"]["from"]["language_code"], json!("ru"));
    }
    let (_, body) = call(
        &sim,
        "getUpdates",
        &json!({"offset": first + 1, "limit": 1}),
    )
    .await;
    assert_eq!(body["result"][0]["message"]["text"], json!("hello"));
    let (_, body) = call(&sim, "getUpdates", &json!({"offset": first + 2})).await;
    assert_eq!(body["result"], json!([]));
    assert_eq!(sim.telegram().state().updates_confirmed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_waits_for_an_update_or_its_time() {
    let telegram = Telegram::new(TelegramConfig::default());
    let begun = tokio::time::Instant::now();
    let (_, body) = ask(&telegram, "getUpdates", json!({"timeout": 25})).await;
    assert_eq!(body["result"], json!([]));
    assert_eq!(begun.elapsed().as_secs(), 25);
    let poller = Arc::clone(&telegram);
    let waiting =
        tokio::spawn(async move { ask(&poller, "getUpdates", json!({"timeout": 25})).await });
    tokio::time::sleep(Duration::from_secs(3)).await;
    telegram.say(1, "", "hello");
    assert_eq!(
        waiting.await.unwrap().1["result"][0]["message"]["text"],
        "hello"
    );
    assert!(begun.elapsed() < Duration::from_secs(29));
}

#[tokio::test(start_paused = true)]
async fn a_second_poller_ends_the_first_with_409() {
    let telegram = Telegram::new(TelegramConfig::default());
    let poller = Arc::clone(&telegram);
    let first =
        tokio::spawn(async move { ask(&poller, "getUpdates", json!({"timeout": 50})).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (status, _) = ask(&telegram, "getUpdates", json!({"timeout": 1})).await;
    assert_eq!(status, 200, "the later one goes on");
    let (status, body) = first.await.unwrap();
    assert_eq!(status, 409);
    assert!(why(&body).starts_with("Conflict: terminated by other getUpdates"));
    assert_eq!(telegram.state().conflicts, 1);
}

#[tokio::test(start_paused = true)]
async fn allowed_updates_are_remembered() {
    let telegram = Telegram::new(TelegramConfig::default());
    ask(
        &telegram,
        "getUpdates",
        json!({"allowed_updates": ["callback_query"]}),
    )
    .await;
    telegram.say(1, "", "not wanted");
    let (_, body) = ask(&telegram, "getUpdates", json!({})).await;
    assert_eq!(body["result"], json!([]));
    ask(&telegram, "getUpdates", json!({"allowed_updates": []})).await;
    telegram.say(1, "", "wanted");
    let (_, body) = ask(&telegram, "getUpdates", json!({})).await;
    assert_eq!(body["result"][0]["message"]["text"], "wanted");
}

#[tokio::test(start_paused = true)]
async fn texts_are_html_of_at_most_4096_characters_with_buttons_of_64_bytes() {
    let telegram = Telegram::new(TelegramConfig::default());
    telegram.add_chat(1);
    let text = |text: &str| json!({"chat_id": 1, "text": text, "parse_mode": "HTML"});
    let longest = format!("<b>{}</b>", "\u{20bd}".repeat(4_096));
    assert_eq!(ask(&telegram, "sendMessage", text(&longest)).await.0, 200);
    let button = |data: &str| {
        json!({"chat_id": 1, "text": "x", "reply_markup":
            {"inline_keyboard": [[{"text": "x", "callback_data": data}]]}})
    };
    for (body, expect) in [
        (text(&"x".repeat(4_097)), "Bad Request: message is too long"),
        (
            text("1 < 2"),
            "Bad Request: can't parse entities: Unclosed start tag",
        ),
        (text("<b></b>"), "Bad Request: message text is empty"),
        (button(&"x".repeat(65)), "Bad Request: BUTTON_DATA_INVALID"),
    ] {
        let (status, answer) = ask(&telegram, "sendMessage", body).await;
        assert_eq!(status, 400);
        assert!(why(&answer).starts_with(expect), "{answer}");
    }
    assert_eq!(telegram.state().violations.wrong_requests, 4);
    let (status, answer) = ask(&telegram, "sendMessage", json!({"chat_id": 2, "text": "x"})).await;
    assert_eq!((status, why(&answer)), (400, "Bad Request: chat not found"));
}

#[tokio::test(start_paused = true)]
async fn whoever_ignores_retry_after_waits_longer() {
    let telegram = Telegram::new(TelegramConfig::default());
    telegram.add_chat(1);
    let send = || ask(&telegram, "sendMessage", json!({"chat_id": 1, "text": "x"}));
    for _ in 0..3 {
        assert_eq!(send().await.0, 200);
    }
    for expect in [1, 2, 3] {
        let (status, body) = send().await;
        assert_eq!(status, 429);
        assert_eq!(body["parameters"]["retry_after"], json!(expect));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(send().await.0, 200);
    assert_eq!(telegram.state().violations.while_banned, 2);
}

#[tokio::test(start_paused = true)]
async fn blocked_chats_are_403_and_a_new_supergroup_tells_its_id() {
    let telegram = Telegram::new(TelegramConfig::default());
    telegram.block(1, true);
    let (status, body) = ask(&telegram, "sendMessage", json!({"chat_id": 1, "text": "x"})).await;
    assert_eq!(
        (status, why(&body)),
        (403, "Forbidden: bot was blocked by the user")
    );
    telegram.migrate(-5, -1_000_000_000_005);
    let (status, body) = ask(
        &telegram,
        "sendMessage",
        json!({"chat_id": -5, "text": "x"}),
    )
    .await;
    assert_eq!(status, 400);
    assert_eq!(
        body["parameters"]["migrate_to_chat_id"],
        json!(-1_000_000_000_005_i64)
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_changes_once_and_a_press_is_answered_in_time() {
    let telegram = Telegram::new(TelegramConfig::default());
    telegram.add_chat(1);
    let (_, body) = ask(&telegram, "sendMessage", json!({"chat_id": 1, "text": "x"})).await;
    let message = body["result"]["message_id"].as_i64().unwrap();
    let edit = json!({"chat_id": 1, "message_id": message, "text": "y"});
    assert_eq!(ask(&telegram, "editMessageText", edit.clone()).await.0, 200);
    let (status, body) = ask(&telegram, "editMessageText", edit).await;
    assert_eq!(status, 400);
    assert!(why(&body).contains("message is not modified"));
    telegram.press(1, "", message, "r");
    telegram.press(1, "", message, "r");
    let (_, body) = ask(&telegram, "getUpdates", json!({})).await;
    let id = |at: usize| body["result"][at]["callback_query"]["id"].clone();
    let answer = |id: Value| {
        ask(
            &telegram,
            "answerCallbackQuery",
            json!({"callback_query_id": id}),
        )
    };
    assert_eq!(answer(id(0)).await.0, 200);
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert_eq!(answer(id(1)).await.0, 400);
}

#[tokio::test]
async fn a_picture_comes_as_multipart() {
    let sim = start(SimConfig::seeded(1)).await;
    sim.telegram().add_chat(1);
    let url = format!("{}/bot{}/sendPhoto", sim.urls().telegram_api, token());
    let body = |picture: &str| {
        format!(
            "--q\r\ncontent-disposition: form-data; name=\"chat_id\"\r\n\r\n1\r\n--q\r\n\
             content-disposition: form-data; name=\"photo\"; filename=\"a\"\r\n\r\n{picture}\r\n--q--\r\n"
        )
    };
    let kind = [("content-type", "multipart/form-data; boundary=q")];
    let no_picture = request("POST", &url, &kind, &body("nothing"))
        .await
        .unwrap();
    assert_eq!(why(&no_picture.json()), "Bad Request: IMAGE_PROCESS_FAILED");
    let params = Params::of(json!({"chat_id": 1, "caption": "<b>c</b>", "parse_mode": "HTML"}))
        .with_file("photo", b"\x89PNG\r\n\x1a\nrest".to_vec());
    let reply = sim
        .telegram()
        .call(&token(), "sendPhoto", &params)
        .await
        .unwrap();
    assert_eq!(reply.status, 200);
    let sent = sim.telegram().sent(1).pop().unwrap();
    assert_eq!((sent.kind, sent.text.as_str()), (SentKind::Photo, "c"));
    assert_eq!(sent.picture.len(), 12);
}

#[tokio::test]
async fn a_webhook_gets_each_update_with_its_secret_until_it_takes_it() {
    let sim = start(SimConfig::seeded(1)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let bad = json!({"url": url, "secret_token": "with space"});
    assert_eq!(call(&sim, "setWebhook", &bad).await.0, 400);
    let body = json!({"url": url, "secret_token": "s-1"});
    assert_eq!(call(&sim, "setWebhook", &body).await.0, 200);
    assert_eq!(call(&sim, "getUpdates", &json!({})).await.0, 409);
    sim.telegram().say(1, "", "hello");
    for status in ["500 No", "200 OK"] {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("\"hello\"") {
            let mut piece = [0; 1_024];
            let length = stream.read(&mut piece).await.unwrap();
            assert!(length > 0, "ended early");
            seen.extend_from_slice(&piece[..length]);
        }
        let text = String::from_utf8(seen).unwrap();
        assert!(
            text.contains("x-telegram-bot-api-secret-token: s-1\r\n"),
            "{text}"
        );
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        drop(stream);
    }
    let taken = || (sim.telegram().state().updates_waiting == 0).then_some(());
    wait::until("the update is taken", GUARD, taken).await;
    assert_eq!(call(&sim, "deleteWebhook", &json!({})).await.0, 200);
    assert_eq!(call(&sim, "getUpdates", &json!({})).await.0, 200);
}

#[tokio::test]
async fn people_are_played_over_the_control_routes() {
    let sim = start(SimConfig::seeded(1)).await;
    let control = format!("{}/telegram", sim.urls().control);
    let say = format!("{control}/say");
    let body = "{\"chat\":1,\"text\":\"/start\"}";
    let said = request("POST", &say, &[], body).await.unwrap();
    let update = said.json()["update_id"].clone();
    let (_, body) = call(&sim, "getUpdates", &json!({})).await;
    assert_eq!(body["result"][0]["update_id"], update);
    call(
        &sim,
        "sendMessage",
        &json!({"chat_id": 1, "text": "Welcome"}),
    )
    .await;
    let sent = get(&format!("{control}/sent?chat=1")).await.json();
    assert_eq!(sent[0]["text"], "Welcome");
    assert_eq!(get(&control).await.json()["messages"], 1);
    let wrong = request("POST", &say, &[], "{}").await.unwrap();
    assert_eq!(wrong.status, 400);
}
