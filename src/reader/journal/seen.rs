//! Which frames of a segment were taken already.
//!
//! A frame's checksum says that its bytes are whole, not that they stand where they were written: a flipped bit in a
//! compressed segment can copy frames that came before to where others were. So each record is taken once, by its
//! number on its ring, and each thing that the writer says once, word for word.
//!
//! Numbers need not ascend. Damage can put pages in another order, whose records are whole all the same, and the flight
//! recorder writes records behind later ones of their ring. No two of a ring have the same one, until 2^32 calls have gone
//! by: by then, records are later than all before.
//!
//! Pure. Memory: runs of numbers without a hole, so no more than some bytes for each frame of the segment.

use crate::segment::layout::{Kind, WRITER_RING};
use crate::segment::scan::Frame;
use std::collections::{BTreeMap, HashSet};

/// What was taken of one segment.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By number of the ring.
    rings: Vec<Option<Box<Numbers>>>,
    /// Kind, number, ticks and checksum of what the writer said.
    said: HashSet<(u32, u32, u64, u32)>,
}

impl Seen {
    /// What a frame is; takes note of it.
    #[inline]
    pub(super) fn look(&mut self, frame: &Frame<'_>) -> Look {
        if frame.ring == WRITER_RING { self.own(frame) } else { Look::of(self.record(frame)) }
    }

    /// Whether a record is taken for the first time.
    #[inline]
    fn record(&mut self, frame: &Frame<'_>) -> bool {
        match self.rings.get_mut(usize::from(frame.ring)) {
            Some(Some(numbers)) => numbers.take(frame.seq, frame.ticks),
            _ => self.first(frame),
        }
    }

    #[cold]
    fn first(&mut self, frame: &Frame<'_>) -> bool {
        let index = usize::from(frame.ring);
        if index >= self.rings.len() {
            self.rings.resize_with(index + 1, || None);
        }
        if let Some(ring) = self.rings.get_mut(index) {
            *ring = Some(Box::new(Numbers::begin(frame.seq, frame.ticks)));
        }
        true
    }

    /// Recovery, which is the writer again, does not know of which thread or anchor the segment was told just before the
    /// kill, and may tell it the same again.
    fn own(&mut self, frame: &Frame<'_>) -> Look {
        let again = match frame.kind() {
            Some(Kind::Thread | Kind::Anchor) => Look::Known,
            Some(Kind::Dropped | Kind::Suppressed | Kind::Note) => Look::Misplaced,
            // What changes nothing when it is said again.
            _ => return Look::New,
        };
        let said = (frame.site, frame.seq, frame.ticks, crate::crc::append(0, frame.payload));
        if self.said.insert(said) { Look::New } else { again }
    }
}

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    /// To be taken.
    New,
    /// Of no use: it was taken already, and may rightly stand there again.
    Known,
    /// A copy of another one, where something else stood.
    Misplaced,
}

impl Look {
    #[inline]
    const fn of(is_first: bool) -> Self {
        if is_first { Self::New } else { Self::Misplaced }
    }
}

/// Numbers of one ring that were taken, as runs on the circle of all `u32`.
#[derive(Debug)]
struct Numbers {
    /// The run that grows.
    from: u32,
    /// Behind its last number.
    to: u32,
    /// Where `to` may not grow on: the run behind.
    limit: u32,
    /// The greatest tick.
    ticks: u64,
    /// Other runs: their first number, and how many.
    past: BTreeMap<u32, u32>,
}

impl Numbers {
    fn begin(seq: u32, ticks: u64) -> Self {
        Self { from: seq, to: seq.wrapping_add(1), limit: seq, ticks, past: BTreeMap::new() }
    }

    #[inline]
    fn take(&mut self, seq: u32, ticks: u64) -> bool {
        if seq == self.to && seq != self.limit {
            self.to = seq.wrapping_add(1);
            self.ticks = self.ticks.max(ticks);
            return true;
        }
        // Between this run and the next one nothing was taken.
        if seq.wrapping_sub(self.to) < self.limit.wrapping_sub(self.to) {
            self.past.insert(self.from, self.to.wrapping_sub(self.from));
            (self.from, self.to) = (seq, seq.wrapping_add(1));
            self.ticks = self.ticks.max(ticks);
            return true;
        }
        self.take_elsewhere(seq, ticks)
    }

    #[cold]
    fn take_elsewhere(&mut self, seq: u32, ticks: u64) -> bool {
        self.past.insert(self.from, self.to.wrapping_sub(self.from));
        let before = self.past.range(..=seq).next_back().or_else(|| self.past.last_key_value());
        let taken = before.is_some_and(|(from, count)| seq.wrapping_sub(*from) < *count);
        if taken && ticks <= self.ticks {
            return false;
        }
        if taken {
            *self = Self::begin(seq, ticks);
            return true;
        }
        // The run that ends here goes on; else another begins.
        let (from, _) = before.filter(|(from, count)| from.wrapping_add(**count) == seq).unwrap_or((&seq, &0));
        self.from = *from;
        self.to = seq.wrapping_add(1);
        let behind = self.past.range(self.to..).next().or_else(|| self.past.first_key_value());
        self.limit = behind.map_or(self.from, |(from, _)| *from);
        self.ticks = self.ticks.max(ticks);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(ring: u16, seq: u32, ticks: u64) -> Frame<'static> {
        Frame { ring, ticks, site: 1, seq, payload: &[] }
    }

    #[test]
    fn a_number_comes_again_only_after_all_others() {
        let mut seen = Seen::default();
        assert!(seen.record(&frame(3, u32::MAX, 10)) && seen.record(&frame(3, 0, 11)));
        assert!(!seen.record(&frame(3, u32::MAX, 10)) && !seen.record(&frame(3, 0, 11)));
        assert!(seen.record(&frame(4, 0, 11)), "another ring");
        assert!(seen.record(&frame(3, 0, 12)), "2^32 calls later");
        assert!(!seen.record(&frame(3, 0, 12)));
    }

    #[test]
    fn what_the_writer_says_is_told_once() {
        let mut seen = Seen::default();
        let note = |ticks, payload| Frame { site: Kind::Note as u32, payload, ..frame(0xffff, 0, ticks) };
        assert_eq!([(); 2].map(|()| seen.look(&note(1, b"cut"))), [Look::New, Look::Misplaced]);
        assert_eq!([seen.look(&note(2, b"cut")), seen.look(&note(1, b"hut"))], [Look::New; 2]);
        let own = |kind| Frame { site: kind as u32, ..frame(WRITER_RING, 0, 1) };
        assert_eq!([(); 2].map(|()| seen.look(&own(Kind::Thread))), [Look::New, Look::Known], "recovery does so");
        assert_eq!([(); 2].map(|()| seen.look(&own(Kind::Anchor))), [Look::New, Look::Known]);
        assert_eq!([(); 2].map(|()| seen.look(&own(Kind::Watermark))), [Look::New; 2]);
    }

    proptest! {
        /// Against a set of all numbers, over the place where they begin again.
        #[test]
        fn each_number_is_taken_once(
            numbers in proptest::collection::vec(prop_oneof![-20_i32..20, proptest::num::i32::ANY], 0..200)
        ) {
            let (mut seen, mut model) = (Seen::default(), HashSet::new());
            for number in numbers {
                let seq = number.cast_unsigned();
                prop_assert_eq!(seen.record(&frame(0, seq, 1)), model.insert(seq), "{}", number);
            }
        }

        /// The same for runs.
        #[test]
        fn runs_that_meet_are_told_apart(runs in proptest::collection::vec((-40_i32..40, 1_i32..12), 0..40)) {
            let (mut seen, mut model) = (Seen::default(), HashSet::new());
            for number in runs.into_iter().flat_map(|(from, count)| from..from + count) {
                let seq = number.cast_unsigned();
                prop_assert_eq!(seen.record(&frame(0, seq, 1)), model.insert(seq), "{}", number);
            }
        }
    }
}
