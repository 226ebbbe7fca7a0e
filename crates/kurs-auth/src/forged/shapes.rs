//! Texts that are no token.

use super::Case;
use crate::signer::{World, claims};
use crate::token::TOKEN_MAX;
use crate::token::TokenRefused::Form;
use serde_json::json;

pub(super) fn cases(world: &World) -> Vec<Case> {
    let good = world.of(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload) = (parts[0], parts[1]);
    vec![
        ("nothing", String::new(), Form),
        ("dots", "..".to_owned(), Form),
        ("five parts, as if encrypted", format!("{good}.AA.AA"), Form),
        ("a blank before it", format!(" {good}"), Form),
        ("cut in the header", good[..20].to_owned(), Form),
        (
            "cut in the claims",
            good[..header.len() + 20].to_owned(),
            Form,
        ),
        (
            "huge",
            world.with(&[("x", json!("x".repeat(TOKEN_MAX)))]),
            Form,
        ),
        (
            "the JSON form",
            format!(r#"{{"payload":"{payload}","signatures":[]}}"#),
            Form,
        ),
    ]
}
