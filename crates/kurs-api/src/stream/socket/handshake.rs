//! Whether a request may become a WebSocket.

use super::PROTOCOL;
use crate::call::Call;
use crate::problem::{Kind, Problem};
use http::HeaderMap;
use http::header::{
    CONNECTION, HOST, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A page of another origin may listen only where it may read: browsers send cookies along
/// whatever the page is, and ask nobody before.
pub(super) fn check_origin(call: &Call) -> Result<(), Problem> {
    let Some(origin) = call.headers.get(ORIGIN) else {
        return Ok(());
    };
    let own = call.headers.get(HOST).and_then(|host| host.to_str().ok());
    let is_own = origin.to_str().is_ok_and(|origin| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_some() && host == own
    });
    if is_own || call.api.origins.contains(origin) {
        return Ok(());
    }
    let why = "pages of this origin may not listen: see http.cors_origins";
    Err(Problem::new(Kind::Forbidden, why))
}

/// What the client wants to hear to be sure that it speaks with a WebSocket server.
pub(super) fn check_head(headers: &HeaderMap) -> Result<String, Problem> {
    let has = |name: &http::HeaderName, word: &str| {
        let values = headers.get_all(name).iter();
        let mut words = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(','));
        words.any(|text| text.trim().eq_ignore_ascii_case(word))
    };
    if !has(&UPGRADE, "websocket") || !has(&CONNECTION, "upgrade") {
        return Err(not_a_socket(
            "send Upgrade: websocket, or use /api/v1/stream",
        ));
    }
    if !has(&SEC_WEBSOCKET_VERSION, "13") {
        return Err(not_a_socket("Sec-WebSocket-Version must be 13"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY);
    // 16 bytes in base64.
    let key = key.filter(|key| key.len() == 24).ok_or_else(|| {
        Problem::new(
            Kind::MalformedRequest,
            "Sec-WebSocket-Key is missing or malformed",
        )
    })?;
    Ok(derive_accept_key(key.as_bytes()))
}

pub(super) fn not_a_socket(why: &str) -> Problem {
    Problem::new(Kind::UpgradeRequired, why)
}

/// True when the client names subprotocols and ours is among them; one that names none gets it
/// all the same.
pub(super) fn chosen(headers: &HeaderMap) -> Result<bool, Problem> {
    let mut offered = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .peekable();
    if offered.peek().is_none() {
        return Ok(false);
    }
    if offered.any(|name| name == PROTOCOL) {
        return Ok(true);
    }
    let why = format!("the subprotocol is {PROTOCOL}");
    Err(Problem::new(Kind::MalformedRequest, why))
}
