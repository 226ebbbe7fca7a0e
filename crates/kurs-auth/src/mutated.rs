//! Random and mutated keys: none of them opens anything.
//!
//! In a debug build 200,000 of them are tried; `KURS_MUTATED_KEYS=1000000` tries so many, which
//! is what a release build does by itself.

use crate::key::{self, KeyHash, SecretKey};
use crate::key_ring::{Key, KeyRing};
use crate::scope::{Scope, Scopes};
use fastrand::Rng;
use kurs_core::Wall;

const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-. \xc3";

fn how_many() -> u32 {
    let wanted = std::env::var("KURS_MUTATED_KEYS").ok();
    let wanted = wanted.and_then(|text| text.parse().ok());
    wanted.unwrap_or(if cfg!(debug_assertions) {
        200_000
    } else {
        1_000_000
    })
}

/// A text made of a good key, or of nothing.
fn mutate(random: &mut Rng, good: &str, other: &str) -> String {
    let mut bytes = good.as_bytes().to_vec();
    match random.u8(..8) {
        0 => {
            // As many random letters as a key has.
            bytes.fill_with(|| *random.choice(LETTERS).unwrap());
        }
        1 => {
            let place = random.usize(..bytes.len());
            bytes[place] = *random.choice(LETTERS).unwrap();
        }
        2 => {
            let (one, two) = (random.usize(..bytes.len()), random.usize(..bytes.len()));
            bytes.swap(one, two);
        }
        3 => bytes.truncate(random.usize(..bytes.len())),
        4 => {
            let place = random.usize(..=bytes.len());
            bytes.insert(place, *random.choice(LETTERS).unwrap());
        }
        5 => {
            // The beginning of one key and the end of another.
            let place = random.usize(..bytes.len());
            bytes.truncate(place);
            bytes.extend_from_slice(&other.as_bytes()[place.min(other.len())..]);
        }
        6 => {
            // A right form and checksum under a known id: only the hash is left to say no.
            let place = good.len() - 7 - random.usize(1..=43);
            bytes[place] = if bytes[place] == b'x' { b'y' } else { b'x' };
            return with_checksum(&String::from_utf8(bytes).unwrap());
        }
        _ => {
            return SecretKey::make("live", |out| random.fill(out))
                .unwrap()
                .reveal()
                .to_owned();
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The text with the checksum that belongs to it, found by asking.
fn with_checksum(text: &str) -> String {
    let body = text.rsplit_once('_').unwrap().0;
    let checksum = crate::base62::of_u32(crc32fast::hash(body.as_bytes()));
    format!("{body}_{}", std::str::from_utf8(&checksum).unwrap())
}

#[test]
fn a_million_random_and_mutated_keys_open_nothing() {
    let seed = fastrand::u64(..);
    let mut random = Rng::with_seed(seed);
    let secrets: Vec<SecretKey> = (0..100)
        .map(|_| SecretKey::make("live", |out| random.fill(out)).unwrap())
        .collect();
    let ring = KeyRing::new(secrets.iter().map(|secret| Key {
        id: secret.id(),
        hash: secret.hash(),
        scopes: Scope::ALL.into_iter().collect::<Scopes>(),
        expires_at: None,
        is_revoked: false,
    }));
    for secret in &secrets {
        assert!(ring.check(secret.reveal(), Wall(0)).is_ok());
    }
    let (mut tried, mut well_formed) = (0_u32, 0_u32);
    while tried < how_many() {
        let good = random.choice(&secrets).unwrap().reveal();
        let other = random.choice(&secrets).unwrap().reveal();
        let text = mutate(&mut random, good, other);
        if text == good || text == other {
            continue;
        }
        tried += 1;
        well_formed += u32::from(key::read(&text).is_ok());
        let opened = ring.check(&text, Wall(0));
        assert!(opened.is_err(), "seed {seed}: {text}");
    }
    // The checksum alone did not stop them all.
    assert!(well_formed > tried / 8, "{well_formed} of {tried}");
    assert!(!KeyHash::of("a").matches(&KeyHash::of("b")));
}
