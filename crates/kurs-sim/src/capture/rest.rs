//! What the Binance REST routes answer while a capture is played.

use super::Player;
use super::file::Snapshot;
use crate::binance::rest::{error, exchange_info_body, symbol_info};
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::market::catalog::split;
use crate::shared::Shared;
use serde::Deserialize;
use std::borrow::Cow;

/// Answers the routes that must fit the capture; `None` leaves the others to the venue.
pub(crate) fn answer(
    player: &Player,
    route: &str,
    query: &Query,
    shared: &Shared,
) -> Option<Reply> {
    let capture = player.capture();
    let names: Vec<String> = match (query.get("symbol"), query.get("symbols")) {
        (Some(name), _) => vec![name.to_owned()],
        (None, Some(text)) => serde_json::from_str(text).unwrap_or_default(),
        (None, None) => capture.symbols.iter().cloned().collect(),
    };
    let is_market_route = matches!(
        route,
        "/api/v3/depth"
            | "/api/v3/exchangeInfo"
            | "/api/v3/ticker/bookTicker"
            | "/api/v3/ticker/price"
    );
    if !is_market_route {
        return None;
    }
    if names.is_empty() || names.iter().any(|name| !capture.symbols.contains(name)) {
        return Some(error(-1121, "Invalid symbol."));
    }
    Some(match route {
        "/api/v3/depth" => depth(player, names.first().map_or("", String::as_str)),
        "/api/v3/exchangeInfo" => {
            let with_sets = query.get("showPermissionSets") != Some("false");
            let info = |name: &String| {
                let (base, quote) = split(name).unwrap_or((name, ""));
                symbol_info(
                    name,
                    base,
                    quote,
                    "TRADING",
                    "0.00000001",
                    "0.00000001",
                    with_sets,
                )
            };
            let symbols = names.iter().map(info).collect();
            exchange_info_body(
                shared.wall(),
                shared.config.binance.weight_per_minute,
                symbols,
            )
        }
        _ => {
            let rows: Vec<_> = names
                .iter()
                .map(|name| ticker(player, name, route))
                .collect();
            match rows.first().filter(|_| query.get("symbol").is_some()) {
                Some(row) => Reply::json(200, row.clone()),
                None => Reply::json(200, format!("[{}]", rows.join(","))),
            }
        }
    })
}

/// The snapshot that was newest at this place of the recording; before the first one, the first.
fn snapshot<'a>(player: &'a Player, name: &str) -> Option<&'a Snapshot> {
    let all = player.capture().snapshots.get(name)?;
    let position = player.position();
    all.iter()
        .rfind(|snapshot| snapshot.after_frames <= position)
        .or_else(|| all.first())
}

fn depth(player: &Player, name: &str) -> Reply {
    match snapshot(player, name) {
        Some(snapshot) => Reply::json(200, snapshot.body.clone()),
        None => Reply::json(200, r#"{"lastUpdateId":0,"bids":[],"asks":[]}"#),
    }
}

/// The top of a book as the last bookTicker frame says; a book nobody has heard of is empty,
/// which the real venue shows as zeros.
#[derive(Deserialize)]
struct Top<'a> {
    #[serde(borrow, rename = "b")]
    bid: Cow<'a, str>,
    #[serde(borrow, rename = "B")]
    bid_size: Cow<'a, str>,
    #[serde(borrow, rename = "a")]
    ask: Cow<'a, str>,
    #[serde(borrow, rename = "A")]
    ask_size: Cow<'a, str>,
}

fn ticker(player: &Player, name: &str, route: &str) -> String {
    let stream = format!("{}@bookTicker", name.to_ascii_lowercase());
    let zero = || Top {
        bid: "0.00000000".into(),
        bid_size: "0.00000000".into(),
        ask: "0.00000000".into(),
        ask_size: "0.00000000".into(),
    };
    let top = player
        .last_frame(&stream)
        .and_then(|frame| serde_json::from_str(frame.payload.as_str()).ok())
        .unwrap_or_else(zero);
    if route.ends_with("/price") {
        return format!(r#"{{"symbol":"{name}","price":"{}"}}"#, top.bid);
    }
    format!(
        r#"{{"symbol":"{name}","bidPrice":"{}","bidQty":"{}","askPrice":"{}","askQty":"{}"}}"#,
        top.bid, top.bid_size, top.ask, top.ask_size
    )
}
