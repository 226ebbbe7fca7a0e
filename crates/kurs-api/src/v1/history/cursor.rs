//! Where a page of history ended, as text.

use kurs_core::{Epoch, Seq, SourceId, UpdateId, Wall};
use kurs_store::Cursor;
use std::fmt::Write;

/// Where an earlier page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Received(Cursor),
    Published(Wall, UpdateId),
}

/// What the cursor of a published series begins with.
const PUBLISHED_MARK: &str = "p_";

pub(super) fn published_cursor_text(at: Wall, id: UpdateId) -> String {
    format!(
        "{PUBLISHED_MARK}{}_{}_{}_{}",
        at.0, id.shard, id.epoch.0, id.seq.0
    )
}

/// A cursor as text: times and numbers in their order, the source in hexadecimal.
pub(super) fn cursor_text(cursor: &Cursor) -> String {
    let id = cursor.id;
    let mut text = format!(
        "{}_{}_{}_{}_",
        cursor.received_at.0, id.shard, id.epoch.0, id.seq.0
    );
    for byte in cursor.source.as_str().bytes() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(super) fn cursor_of(text: &str) -> Option<After> {
    if let Some(rest) = text.strip_prefix(PUBLISHED_MARK) {
        let mut parts = rest.split('_');
        let at = Wall(parts.next()?.parse().ok()?);
        let id = id_of(&mut parts)?;
        return parts.next().is_none().then_some(After::Published(at, id));
    }
    received_cursor_of(text).map(After::Received)
}

fn id_of<'a>(parts: &mut impl Iterator<Item = &'a str>) -> Option<UpdateId> {
    Some(UpdateId {
        shard: parts.next()?.parse().ok()?,
        epoch: Epoch(parts.next()?.parse().ok()?),
        seq: Seq(parts.next()?.parse().ok()?),
    })
}

fn received_cursor_of(text: &str) -> Option<Cursor> {
    let mut parts = text.split('_');
    let received_at = Wall(parts.next()?.parse().ok()?);
    let id = id_of(&mut parts)?;
    let source: Option<Vec<u8>> = parts
        .next()?
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let source = SourceId::parse(std::str::from_utf8(&source?).ok()?).ok()?;
    parts.next().is_none().then_some(Cursor {
        received_at,
        source,
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor {
            received_at: Wall(1_723_161_255_208_123),
            source: SourceId::parse("sim:binance").unwrap(),
            id: UpdateId {
                shard: 1,
                epoch: Epoch(2),
                seq: Seq(u64::MAX),
            },
        };
        let text = cursor_text(&cursor);
        assert!(crate::pattern::Form::Cursor.accepts(&text), "{text}");
        assert_eq!(cursor_of(&text), Some(After::Received(cursor)));
        let text = published_cursor_text(cursor.received_at, cursor.id);
        assert!(crate::pattern::Form::Cursor.accepts(&text), "{text}");
        assert_eq!(
            cursor_of(&text),
            Some(After::Published(cursor.received_at, cursor.id))
        );
        for broken in [
            "",
            "a",
            "1_2_3_4",
            "1_2_3_4_zz",
            "1_2_3_4_62_5",
            "1_2_3_4_",
            "p_1_2_3",
            "p_1_2_3_4_5",
        ] {
            assert_eq!(cursor_of(broken), None, "{broken}");
        }
    }
}
