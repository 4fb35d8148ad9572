//! How far a journal has come, as bytes that outlive the reader.
//!
//! A journal that is [resumed](super::journal::Journal::resume) from a mark reads again from the first segment in which an
//! entry was in wait, and leaves out what had gone out: entries that stand before `read` and come, by key and place, not
//! after the last one that went out.

use super::record::Position;
use crate::segment::layout::u64_at;

/// Bytes of a mark.
pub const MARK_BYTES: usize = 72;

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

/// How far a journal has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Where to begin to read again.
    pub start: SegmentStart,
    /// Behind what was read.
    pub read: Position,
    /// Key and place of the last entry that went out.
    pub out_last: Option<(u64, Position)>,
    /// Everything that was read went out.
    pub whole: bool,
}

impl Mark {
    /// The mark as bytes.
    pub fn encode(&self) -> [u8; MARK_BYTES] {
        let (key, at) = self.out_last.unwrap_or_default();
        let flags = u64::from(self.start.watermark.is_some())
            | u64::from(self.start.recovered) << 1
            | u64::from(self.out_last.is_some()) << 2
            | u64::from(self.whole) << 3;
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
        let out_last = (flags & 4 != 0).then(|| (word(5), Position { segment: word(6), offset: word(7) }));
        Some(Self {
            start: SegmentStart { number: word(1), watermark, recovered: flags & 2 != 0, ticks: word(8) },
            read: Position { segment: word(3), offset: word(4) },
            out_last,
            whole: flags & 8 != 0,
        })
    }
}
