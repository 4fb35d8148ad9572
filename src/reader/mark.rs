//! How far a journal has come, as bytes that outlive the reader.
//!
//! A journal that is [resumed](super::journal::Journal::resume) from a mark reads again from the first segment in which an
//! entry was in wait, and leaves out what had gone out: entries that stand before `read` and come, by key and place, not
//! after `out_last`. Of those that were read when a later one had gone out already, from `late.from` on, some belong before
//! that one and go out next: they are measured by the last of them that did.

use super::record::Position;
use crate::segment::layout::u64_at;

/// Bytes of a mark.
pub const MARK_BYTES: usize = 112;

/// What holds at the start of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentStart {
    /// Its number.
    pub number: u64,
    /// The last watermark before it.
    pub watermark: Option<u64>,
    /// Whether what follows was recovered.
    pub recovered: bool,
    /// The greatest tick before it: the key of damage at its begin.
    pub ticks: u64,
}

/// Entries that were read after one had gone out that belongs behind them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Late {
    /// Where they begin to stand.
    pub from: Position,
    /// Key and place of the last of them that went out.
    pub out_last: Option<(u64, Position)>,
}

/// How far a journal has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Where to begin to read again.
    pub start: SegmentStart,
    /// Behind what was read.
    pub read: Position,
    /// The greatest key and place of an entry that went out.
    pub out_last: Option<(u64, Position)>,
    /// What was read since, while some of it belongs before that one and waits.
    pub late: Option<Late>,
    /// Everything that was read went out.
    pub whole: bool,
}

impl Mark {
    /// The mark as bytes.
    pub fn encode(&self) -> [u8; MARK_BYTES] {
        let (key, at) = self.out_last.unwrap_or_default();
        let late = self.late.unwrap_or(Late { from: Position::default(), out_last: None });
        let (late_key, late_at) = late.out_last.unwrap_or_default();
        let flags = u64::from(self.start.watermark.is_some())
            | u64::from(self.start.recovered) << 1
            | u64::from(self.out_last.is_some()) << 2
            | u64::from(self.whole) << 3
            | u64::from(self.late.is_some()) << 4
            | u64::from(late.out_last.is_some()) << 5;
        let words = [
            flags,
            self.start.number,
            self.start.watermark.unwrap_or(0),
            self.read.segment,
            self.read.offset,
            key,
            at.segment,
            at.offset,
            self.start.ticks,
            late.from.segment,
            late.from.offset,
            late_key,
            late_at.segment,
            late_at.offset,
        ];
        let mut bytes = [0; MARK_BYTES];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads a mark; `None` where the bytes are too few.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..MARK_BYTES)?;
        let (flags, word) = (u64_at(bytes, 0), |index: usize| u64_at(bytes, index * 8));
        let watermark = (flags & 1 != 0).then(|| word(2));
        let position = |index: usize| Position { segment: word(index), offset: word(index + 1) };
        let out_last = (flags & 4 != 0).then(|| (word(5), position(6)));
        let late_last = (flags & 32 != 0).then(|| (word(11), position(12)));
        let late = (flags & 16 != 0).then(|| Late { from: position(9), out_last: late_last });
        Some(Self {
            start: SegmentStart { number: word(1), watermark, recovered: flags & 2 != 0, ticks: word(8) },
            read: position(3),
            out_last,
            late,
            whole: flags & 8 != 0,
        })
    }

    /// Whether an entry with this key, which stands at `place`, had gone out.
    pub fn is_out(&self, key: u64, place: Position) -> bool {
        let out_last = self.late.filter(|late| place >= late.from).map_or(self.out_last, |late| late.out_last);
        place < self.read && Some((key, place)) <= out_last
    }
}
