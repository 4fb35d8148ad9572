//! The writer's side of a ring: committed records as byte slices, oldest first.

use super::memory::Ring;
use super::protocol::Consumer;
use crate::segment::layout::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES, UNIT_BYTES, u16_at, u32_at};

/// A record as it stands in the ring: a frame without its checksum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting<'a> {
    /// The frame's bytes, header included.
    pub(crate) bytes: &'a [u8],
    /// Site number, or one of the `SITE_` constants.
    pub(crate) site: u32,
    /// Number of calls up to and including this one.
    pub(crate) called: u64,
    /// Calls dropped just before this one.
    pub(crate) hole: u64,
}

/// What stands at the tail.
#[derive(Debug)]
pub(crate) enum Front<'a> {
    /// Nothing.
    Empty,
    /// A record.
    Record(Waiting<'a>),
    /// Bytes that are no record: somebody scribbled over shared memory. They are given up up to `head`.
    Lost {
        /// How many bytes.
        bytes: u64,
    },
}

/// Committed bytes of a ring in one piece, where they stand or copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    bytes: &'a [u8],
    /// The ring's position of the first of them.
    from: u64,
    /// The ring's number, which every record on it bears.
    number: u16,
}

/// As many bytes are copied at most.
pub(crate) const STAGE_BYTES: usize = 16 * 1024;
const LINE_BYTES: usize = 64;

impl Ring {
    /// What was committed from position `from` to `head`, which came from [`available`](Consumer::available), where it stands.
    #[inline]
    pub(crate) fn committed(&self, from: u64, head: u64) -> Batch<'_> {
        let bytes = head.saturating_sub(from).min(self.capacity()) as usize;
        let start = self.data().wrapping_add((from & (self.capacity() - 1)) as usize);
        // SAFETY: the producer committed these bytes with release and will not touch them until they are released;
        // they lie within the doubled data, because they are at most one capacity.
        let bytes = unsafe { std::slice::from_raw_parts(start, bytes) };
        Batch { bytes, from, number: self.number() }
    }
}

impl<'a> Batch<'a> {
    /// The same, copied to `stage`, if it has room, from the last line to the first.
    ///
    /// In this order, because a processor that sees lines read upwards fetches the next ones ahead. Behind the end they are those
    /// to which the producer writes next: each store to one would wait until the other core has given it back, which
    /// made a call in a burst two to ten times as slow (docs/performance.md, "Scheduling").
    pub(crate) fn staged(self, stage: &'a mut [u8]) -> Self {
        let Some(copy) = stage.get_mut(..self.bytes.len()) else { return self };
        let first = self.bytes.as_ptr().align_offset(LINE_BYTES).min(self.bytes.len());
        let (copy_first, copy_rest) = copy.split_at_mut(first);
        let (first, rest) = self.bytes.split_at(first);
        let (copy_lines, copy_last) = copy_rest.as_chunks_mut::<LINE_BYTES>();
        let (lines, last) = rest.as_chunks::<LINE_BYTES>();
        copy_last.copy_from_slice(last);
        copy_lines.iter_mut().zip(lines).rev().for_each(|(to, from)| *to = *from);
        copy_first.copy_from_slice(first);
        Self { bytes: copy, ..self }
    }
}

impl Consumer {
    /// The record at the tail, if it lies in `batch`.
    #[inline]
    pub(crate) fn front<'a>(&self, batch: &Batch<'a>) -> Front<'a> {
        let offset = self.tail.wrapping_sub(batch.from);
        let rest = usize::try_from(offset).ok().and_then(|offset| batch.bytes.get(offset..)).unwrap_or_default();
        if rest.is_empty() {
            return Front::Empty;
        }
        let bytes = usize::from(u16_at(rest, 0)) * UNIT_BYTES;
        let whole = (FRAME_HEADER_BYTES..=FRAME_BYTES_MAX).contains(&bytes);
        match rest.get(..bytes) {
            Some(frame) if whole && u16_at(frame, 2) == batch.number => {
                // Negative when the last consumer was killed between telling its count and its place.
                let ahead = i64::from(u32_at(frame, 20).wrapping_sub(self.called as u32).cast_signed());
                let called = self.called.wrapping_add_signed(ahead).wrapping_add(1);
                let hole = u64::try_from(ahead).unwrap_or(0);
                Front::Record(Waiting { bytes: frame, site: u32_at(frame, 16), called, hole })
            }
            _ => Front::Lost { bytes: rest.len() as u64 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_staged_is_what_stands_in_the_ring(before in 0_usize..130, length in 0_usize..700, room in 0_usize..700) {
            let place: Vec<u8> = (0..before + length).map(|i| (i * 31 % 251) as u8).collect();
            let batch = Batch { bytes: place.get(before..).unwrap(), from: 8, number: 3 };
            let mut stage = vec![0; room];
            let staged = batch.staged(&mut stage);
            prop_assert_eq!(staged.bytes, batch.bytes);
            prop_assert_eq!((staged.from, staged.number), (8, 3));
            prop_assert_eq!(staged.bytes.as_ptr() == batch.bytes.as_ptr(), length > room);
        }
    }
}
