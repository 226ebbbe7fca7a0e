//! Which streams speak. A socket that is open and answers pings may carry nothing: only data
//! frames of a stream prove that stream alive.

use crate::overlap::Notice;
use crate::settings::Settings;
use crate::stream::StreamId;
use kurs_core::Mono;

/// What is known of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Voice {
    /// Not subscribed, or not watched.
    Unwatched,
    /// Subscribed then; its first frame is awaited.
    Awaited(Mono),
    /// Its first frame did not come in time; last asked for then.
    NeverCame(Mono),
    /// Spoke last then.
    Speaks(Mono),
    /// Fell silent; last asked for again, or found silent, then.
    Silent(Mono),
}

/// The voices of all streams, over all connections that carry them.
#[derive(Debug, Clone, Default)]
pub struct StreamWatch {
    voices: Vec<Voice>,
}

impl StreamWatch {
    /// A subscription was sent: the first frame is awaited from now on, unless the stream
    /// already speaks on another connection.
    pub fn subscribed(&mut self, now: Mono, stream: StreamId) {
        let Some(index) = stream.index() else { return };
        if self.voices.len() <= index {
            self.voices.resize(index + 1, Voice::Unwatched);
        }
        if let Some(voice) = self.voices.get_mut(index)
            && *voice == Voice::Unwatched
        {
            *voice = Voice::Awaited(now);
        }
    }

    /// The stream is no longer wanted.
    pub fn forget(&mut self, stream: StreamId) {
        if let Some(voice) = stream.index().and_then(|index| self.voices.get_mut(index)) {
            *voice = Voice::Unwatched;
        }
    }

    /// No connection is left: nothing can be said of any stream.
    pub fn clear(&mut self) {
        self.voices.clear();
    }

    /// Data arrived. True when the stream was not known to speak.
    pub fn data(&mut self, now: Mono, stream: StreamId) -> bool {
        let Some(voice) = stream.index().and_then(|index| self.voices.get_mut(index)) else {
            return false;
        };
        match voice {
            Voice::Unwatched => false,
            Voice::Speaks(last) => {
                *last = now;
                false
            }
            _ => {
                *voice = Voice::Speaks(now);
                true
            }
        }
    }

    /// True when the stream speaks at present.
    #[must_use]
    pub fn speaks(&self, stream: StreamId) -> bool {
        let voice = stream.index().and_then(|index| self.voices.get(index));
        matches!(voice, Some(Voice::Speaks(_)))
    }

    /// Finds streams whose time is up; `resubscribe` collects those to ask for again.
    pub fn advance(
        &mut self,
        now: Mono,
        settings: &Settings,
        notices: &mut Vec<Notice>,
        resubscribe: &mut Vec<StreamId>,
    ) {
        for (voice, number) in self.voices.iter_mut().zip(0_u32..) {
            let stream = StreamId(number);
            let Some(deadline) = voice.deadline(settings) else {
                continue;
            };
            if now < deadline {
                continue;
            }
            *voice = match *voice {
                Voice::Awaited(_) => {
                    notices.push(Notice::StreamNeverCame(stream));
                    Voice::NeverCame(now)
                }
                Voice::Speaks(_) => {
                    notices.push(Notice::StreamSilent(stream));
                    Voice::Silent(now)
                }
                Voice::NeverCame(_) => {
                    resubscribe.push(stream);
                    Voice::NeverCame(now)
                }
                Voice::Silent(_) => {
                    resubscribe.push(stream);
                    Voice::Silent(now)
                }
                Voice::Unwatched => Voice::Unwatched,
            };
        }
    }

    /// When [`StreamWatch::advance`] next has something to do.
    #[must_use]
    pub fn next_deadline(&self, settings: &Settings) -> Option<Mono> {
        self.voices
            .iter()
            .filter_map(|voice| voice.deadline(settings))
            .min()
    }
}

impl Voice {
    fn deadline(self, settings: &Settings) -> Option<Mono> {
        match self {
            Self::Unwatched => None,
            Self::Awaited(since) => Some(since.plus(settings.first_frame)),
            Self::Speaks(last) => Some(last.plus(settings.stream_silence)),
            Self::NeverCame(at) | Self::Silent(at) => Some(at.plus(settings.resubscribe_after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const STREAM: StreamId = StreamId(3);

    fn advance(watch: &mut StreamWatch, seconds: u64) -> (Vec<Notice>, Vec<StreamId>) {
        let (mut notices, mut again) = (Vec::new(), Vec::new());
        let now = Mono(0).plus(Duration::from_secs(seconds));
        watch.advance(now, &Settings::default(), &mut notices, &mut again);
        (notices, again)
    }

    #[test]
    fn a_stream_that_never_came_is_reported_once_and_asked_for_again() {
        let mut watch = StreamWatch::default();
        watch.subscribed(Mono(0), STREAM);
        assert_eq!(advance(&mut watch, 4), (vec![], vec![]));
        assert_eq!(
            advance(&mut watch, 5),
            (vec![Notice::StreamNeverCame(STREAM)], vec![])
        );
        assert_eq!(advance(&mut watch, 30), (vec![], vec![]));
        assert_eq!(advance(&mut watch, 35), (vec![], vec![STREAM]));
    }

    #[test]
    fn silence_is_judged_per_stream_and_ends_with_data() {
        let mut watch = StreamWatch::default();
        let other = StreamId(1);
        watch.subscribed(Mono(0), STREAM);
        watch.subscribed(Mono(0), other);
        assert!(watch.data(Mono(0), STREAM));
        assert!(watch.data(Mono(0), other));
        assert!(!watch.data(Mono(0).plus(Duration::from_secs(2)), other));
        assert_eq!(advance(&mut watch, 3).0, vec![Notice::StreamSilent(STREAM)]);
        assert!(watch.speaks(other) && !watch.speaks(STREAM));
        assert!(watch.data(Mono(0).plus(Duration::from_secs(4)), STREAM));
    }

    #[test]
    fn data_of_unknown_streams_is_ignored() {
        let mut watch = StreamWatch::default();
        assert!(!watch.data(Mono(0), StreamId(u32::MAX)));
        watch.subscribed(Mono(0), StreamId(u32::MAX));
        assert_eq!(watch.next_deadline(&Settings::default()), None);
    }
}
