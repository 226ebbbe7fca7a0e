//! Where the frames of HTTP/2 end (RFC 9113, sections 3.4 and 4.1), and nothing else of it: tells
//! a client that has said something whole from one that never does.

/// Bytes of the preface that a client sends first.
const PREFACE: u32 = 24;
/// Bytes of a frame's head.
const HEAD: usize = 9;

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Follows the bytes of a client.
#[derive(Debug)]
pub(crate) struct Frames {
    stage: Stage,
    /// The client's settings came: the connection stands.
    is_settled: bool,
    /// A head has begun whose continuation has not come.
    is_head_open: bool,
    /// How often everything was whole.
    wholes: u64,
}

#[derive(Debug)]
enum Stage {
    /// So many bytes of the preface are missing.
    Preface(u32),
    /// So many bytes of a frame's head came.
    Head(usize, [u8; HEAD]),
    /// So many bytes of a frame of this type and these flags are missing.
    Payload(u32, u8, u8),
}

impl Frames {
    pub(crate) const fn new() -> Self {
        Self {
            stage: Stage::Preface(PREFACE),
            is_settled: false,
            is_head_open: false,
            wholes: 0,
        }
    }

    /// True when nothing that has begun is missing its end.
    pub(crate) const fn is_whole(&self) -> bool {
        self.is_settled && !self.is_head_open && matches!(self.stage, Stage::Head(0, _))
    }

    /// How often everything was whole: what is missing its end began after the last time.
    pub(crate) const fn wholes(&self) -> u64 {
        self.wholes
    }

    /// These bytes came.
    pub(crate) fn came(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = match &mut self.stage {
                Stage::Preface(missing) => {
                    let used = take(missing, bytes);
                    if *missing == 0 {
                        self.stage = Stage::Head(0, [0; HEAD]);
                    }
                    used
                }
                Stage::Head(have, head) => {
                    let used = (HEAD - *have).min(bytes.len());
                    for (to, from) in head.iter_mut().skip(*have).zip(bytes) {
                        *to = *from;
                    }
                    *have += used;
                    if *have == HEAD {
                        let [a, b, c, kind, flags, ..] = *head;
                        let length = u32::from_be_bytes([0, a, b, c]);
                        self.stage = Stage::Payload(length, kind, flags);
                        if length == 0 {
                            self.ended(kind, flags);
                        }
                    }
                    used
                }
                Stage::Payload(missing, kind, flags) => {
                    let (kind, flags) = (*kind, *flags);
                    let used = take(missing, bytes);
                    if *missing == 0 {
                        self.ended(kind, flags);
                    }
                    used
                }
            };
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    /// A frame has come whole.
    fn ended(&mut self, kind: u8, flags: u8) {
        self.stage = Stage::Head(0, [0; HEAD]);
        match kind {
            SETTINGS => self.is_settled = true,
            HEADERS | CONTINUATION => self.is_head_open = flags & END_HEADERS == 0,
            _ => {}
        }
        if self.is_whole() {
            self.wholes += 1;
        }
    }
}

/// Takes of the bytes what is missing; says how many.
fn take(missing: &mut u32, bytes: &[u8]) -> usize {
    let used = usize::try_from(*missing).map_or(bytes.len(), |missing| missing.min(bytes.len()));
    *missing -= u32::try_from(used).unwrap_or(*missing);
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(HEAD + payload, b'x');
        frame
    }

    /// Whether everything is whole after each of these pieces, however they are cut.
    fn check(pieces: &[(Vec<u8>, bool)]) {
        for cut in [1, 7, usize::MAX] {
            let mut frames = Frames::new();
            for (at, (piece, expect)) in pieces.iter().enumerate() {
                for part in piece.chunks(cut.min(piece.len())) {
                    frames.came(part);
                }
                assert_eq!(frames.is_whole(), *expect, "piece {at} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_connection_is_whole_between_its_frames_once_its_settings_came() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        check(&[
            (preface.clone(), false),
            (frame(SETTINGS, 0, 18), true),
            (frame(SETTINGS, 1, 0), true),
            (frame(HEADERS, END_HEADERS, 40), true),
            (frame(0, 0, 300)[..200].to_vec(), false),
            (vec![b'x'; 109], true),
            (vec![0, 0], false),
        ]);
        check(&[(preface[..20].to_vec(), false)]);
    }

    #[test]
    fn a_head_is_whole_when_its_last_continuation_came() {
        let mut begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        begin.extend(frame(SETTINGS, 0, 0));
        check(&[
            (begin, true),
            (frame(HEADERS, 0, 10), false),
            (frame(CONTINUATION, 0, 10), false),
            (frame(CONTINUATION, END_HEADERS, 0), true),
        ]);
    }

    #[test]
    fn what_is_missing_its_end_began_after_the_last_time_that_all_was_whole() {
        let mut frames = Frames::new();
        frames.came(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        frames.came(&frame(SETTINGS, 0, 0));
        assert_eq!(frames.wholes(), 1);
        let mut two = frame(6, 0, 8);
        two.extend(&frame(6, 0, 8)[..4]);
        frames.came(&two);
        assert!(!frames.is_whole());
        assert_eq!(frames.wholes(), 2);
    }
}
