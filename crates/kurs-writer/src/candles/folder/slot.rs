//! One open candle.

use super::super::bar::{Bar, Ordered};
use super::super::series::Place;
use kurs_core::{Price, Wall};

/// What a candle held before its series came up here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// Nothing: the candle began under our eyes.
    None,
    /// Not known yet. Such a candle is not handed out: it would replace a better one.
    Awaited,
    /// This.
    Known(Option<Bar>),
}

/// One open candle.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) start: Wall,
    head: Head,
    own: Ordered,
    /// Something came since it was handed out.
    pub(super) has_changed: bool,
    /// A value came that belongs into the head: the store has to be asked once it is closed.
    pub(super) is_blemished: bool,
}

impl Slot {
    pub(super) const fn new(start: Wall, place: Place, value: Price, head: Head) -> Self {
        Self {
            start,
            head,
            own: Ordered::of(place, value),
            has_changed: true,
            is_blemished: false,
        }
    }

    pub(super) fn add(&mut self, place: Place, value: Price, since: Place) {
        if self.head != Head::None && place < since {
            self.is_blemished = true;
            return;
        }
        self.own.add(place, value);
        self.has_changed = true;
    }

    pub(super) fn join(&mut self, head: Option<Bar>) {
        if self.head == Head::Awaited {
            self.head = Head::Known(head);
        }
    }

    /// All that is in it; `None` while that is not known.
    pub(super) fn bar(&self) -> Option<Bar> {
        match self.head {
            Head::None => Some(self.own.bar),
            Head::Known(head) => Some(self.own.bar.after(head)),
            Head::Awaited => None,
        }
    }
}
