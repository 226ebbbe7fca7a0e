//! Forged tokens: none of them opens anything.
//!
//! | file | what is wrong |
//! |---|---|
//! | `signatures` | who signed, and how |
//! | `claims` | what a good signature stands under |
//! | `shapes` | no token at all |

mod claims;
mod shapes;
mod signatures;

use crate::signer::{World, claims};
use crate::token::TokenRefused;

/// What it is, the token, and why it is refused.
type Case = (&'static str, String, TokenRefused);

#[test]
fn forged_tokens_open_nothing() {
    let world = World::new();
    let cases = [
        signatures::cases(&world),
        claims::cases(&world),
        shapes::cases(&world),
    ]
    .concat();
    assert!(world.check(&world.of(&claims())).is_ok());
    assert!(cases.len() >= 80, "{}", cases.len());
    let wrong = cases.iter().filter_map(|(name, token, expect)| {
        let checked = world.check(token);
        (checked != Err(*expect)).then_some((name, checked))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_token_that_was_cut_or_changed_anywhere_opens_nothing() {
    let world = World::new();
    let good = world.of(&claims());
    for length in 0..good.len() {
        assert!(world.check(&good[..length]).is_err(), "cut after {length}");
    }
    // The last letter holds bits that belong to no byte: all others count.
    for place in 0..good.len() - 1 {
        let mut bytes = good.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(world.check(&changed).is_err(), "changed at {place}");
    }
}
