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

impl Consumer {
    /// The record at the tail, if it lies before `head`, which came from [`available`](Self::available).
    #[inline]
    pub(crate) fn front<'a>(&self, ring: &'a Ring, head: u64) -> Front<'a> {
        if self.tail >= head {
            return Front::Empty;
        }
        let waiting = (head - self.tail) as usize;
        let start = ring.data().wrapping_add((self.tail & (ring.capacity() - 1)) as usize);
        // SAFETY: the producer committed these bytes with release and will not touch them until they are released;
        // they lie within the doubled data, because `available` checked that they are at most one capacity.
        let rest = unsafe { std::slice::from_raw_parts(start, waiting) };
        let bytes = usize::from(u16_at(rest, 0)) * UNIT_BYTES;
        let whole = (FRAME_HEADER_BYTES..=FRAME_BYTES_MAX).contains(&bytes);
        match rest.get(..bytes) {
            Some(frame) if whole && u16_at(frame, 2) == ring.number() => {
                // Negative when the last consumer was killed between telling its count and its place.
                let ahead = i64::from(u32_at(frame, 20).wrapping_sub(self.called as u32).cast_signed());
                let called = self.called.wrapping_add_signed(ahead).wrapping_add(1);
                let hole = u64::try_from(ahead).unwrap_or(0);
                Front::Record(Waiting { bytes: frame, site: u32_at(frame, 16), called, hole })
            }
            _ => Front::Lost { bytes: head - self.tail },
        }
    }
}
