//! The conversation in the manual is what really happens.

use crate::world::{World, until};
use kurs_sim::telegram::{Sent, SentKind};
use kurs_store::Interval;

const MANUAL: &str = include_str!("../../../../docs/telegram.md");
const BEGIN: &str = "```text\n> /rate BTC USD";

/// A message as the manual shows it; ages are all the same there.
fn shown(sent: &Sent) -> String {
    let mut lines = Vec::new();
    if matches!(sent.kind, SentKind::Photo | SentKind::EditedPhoto) {
        lines.push("(a picture)".to_owned());
    }
    for line in sent.text.lines() {
        let line = match line.split_once(" s old") {
            Some((before, after)) => {
                let before = before.trim_end_matches(|letter: char| letter.is_ascii_digit());
                format!("{before}0 s old{after}")
            }
            None => match line.split_once(", at 20") {
                Some((before, _)) => format!("{before}, at 2026-11-22T10:00:00.000Z"),
                None => line.to_owned(),
            },
        };
        lines.push(line);
    }
    for row in &sent.buttons {
        let row: Vec<String> = row.iter().map(|(text, _)| format!("[{text}]")).collect();
        lines.push(row.join(" "));
    }
    lines.join("\n")
}

#[tokio::test(start_paused = true)]
async fn the_conversation_of_the_manual_is_what_happens() {
    let at = MANUAL.find(BEGIN).expect("the conversation");
    let written = MANUAL[at + "```text\n".len()..]
        .split("\n```")
        .next()
        .unwrap();
    let world = World::quick().await;
    let interval = Interval::FiveMinutes;
    world.store_candles("BTC-USD", interval, 100).await;
    let _bot = world.start();
    let mut real = Vec::new();
    let mut last: Option<Sent> = None;
    for line in written.lines() {
        let answer = if let Some(label) = line.strip_prefix("> [") {
            let before = last.clone().unwrap();
            let label = label.trim_end_matches(']');
            let mut buttons = before.buttons.iter().flatten();
            let (_, data) = buttons.find(|(text, _)| text == label).expect("the button");
            world.press(1, before.message_id, data).await
        } else if let Some(said) = line.strip_prefix("> ") {
            world.ask(1, "en", said).await
        } else if let Some(value) = line.strip_prefix("(BTC-USD is now ") {
            let before = world.read(1).len();
            let value = value.trim_end_matches(')');
            world.publish("BTC-USD", value, "binance");
            until("the alert", || world.read(1).get(before).cloned()).await
        } else {
            continue;
        };
        real.push(line.to_owned());
        real.push(shown(&answer));
        last = Some(answer);
    }
    let real = real.join("\n");
    assert!(real == written, "it is:\n{real}");
    assert_eq!(world.telegram.state().violations.total(), 0);
}
