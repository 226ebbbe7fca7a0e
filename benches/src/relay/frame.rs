//! Frames of a WebSocket server, as bytes.

/// First byte of a whole text message.
const WHOLE_TEXT: u8 = 0x81;
/// First byte of a whole binary message.
const WHOLE_BINARY: u8 = 0x82;
/// First byte of a ping.
const PING: u8 = 0x89;
/// Second byte when a length of two bytes follows.
const TWO_BYTES: u8 = 126;
/// Second byte when a length of eight bytes follows.
const EIGHT_BYTES: u8 = 127;
/// Bits of the first byte that say what a frame is; eight and more are control frames.
const OPCODE: u8 = 0x0f;

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its own length.
    pub(crate) bytes: usize,
    pub(crate) payload_bytes: usize,
    /// No ping, pong or close.
    pub(crate) is_data: bool,
}

impl Head {
    /// The head at the beginning, if it is there whole. A server never masks.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let (length_bytes, payload_bytes) = match second & 0x7f {
            TWO_BYTES => {
                let length: [u8; 2] = bytes.get(2..4)?.try_into().ok()?;
                (2, usize::from(u16::from_be_bytes(length)))
            }
            EIGHT_BYTES => {
                let length: [u8; 8] = bytes.get(2..10)?.try_into().ok()?;
                (8, usize::try_from(u64::from_be_bytes(length)).ok()?)
            }
            short => (0, usize::from(short)),
        };
        Some(Self {
            bytes: 2 + length_bytes,
            payload_bytes,
            is_data: first & OPCODE < 8,
        })
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 10);
    bytes.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < TWO_BYTES => bytes.push(short),
        (_, Ok(length)) => {
            bytes.push(TWO_BYTES);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            bytes.push(EIGHT_BYTES);
            let length = u64::try_from(payload.len()).unwrap_or(u64::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// A text as one message.
pub(crate) fn text(text: &str) -> Vec<u8> {
    frame(WHOLE_TEXT, text.as_bytes())
}

/// Bytes as one message.
pub(crate) fn binary(bytes: &[u8]) -> Vec<u8> {
    frame(WHOLE_BINARY, bytes)
}

/// A ping with this payload.
pub(crate) fn ping(bytes: &[u8]) -> Vec<u8> {
    frame(PING, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_is_written_is_found_again_whatever_its_length() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 70_000] {
            let payload = "x".repeat(length);
            let whole = text(&payload);
            let head = Head::of(&whole).unwrap();
            assert_eq!((head.payload_bytes, head.is_data), (length, true));
            assert_eq!(&whole[head.bytes..], payload.as_bytes());
            for torn in 0..head.bytes {
                assert_eq!(Head::of(&whole[..torn]), None);
            }
        }
        assert!(!Head::of(&ping(b"a")).unwrap().is_data);
        assert!(Head::of(&binary(b"a")).unwrap().is_data);
    }
}
