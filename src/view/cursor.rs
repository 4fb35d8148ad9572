//! How far the views have come in the journals.
//!
//! ```text
//!  0        4        8                8 + 32·n
//!  ┌────────┬────────┬────────────────┬─────────────┐
//!  │ n      │ merge  │ n × (process 16, segment 8,  │ merge bytes │
//!  │        │ bytes  │      offset 8)               │             │
//!  └────────┴────────┴──────────────────────────────┴─────────────┘
//! ```

use crate::segment::layout::{array, u32_at, u64_at};

/// Place in one process's journal up to which everything is in the views.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessCursor {
    /// Identity of the process, as in its segments' headers.
    pub process: [u8; 16],
    /// Number of the segment.
    pub segment: u64,
    /// Offset in it.
    pub offset: u64,
}

/// Places in all journals that the views are made from, and what the merge must remember to go on in the same order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Cursor {
    /// One place for each process.
    pub processes: Vec<ProcessCursor>,
    /// The merge's own state; opaque here.
    pub merge: Vec<u8>,
}

const HEAD_BYTES: usize = 8;
const PROCESS_BYTES: usize = 32;

impl Cursor {
    /// Appends the cursor as bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.processes.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.merge.len() as u32).to_le_bytes());
        for place in &self.processes {
            out.extend_from_slice(&place.process);
            out.extend_from_slice(&place.segment.to_le_bytes());
            out.extend_from_slice(&place.offset.to_le_bytes());
        }
        out.extend_from_slice(&self.merge);
    }

    /// Reads a cursor from all of `bytes`; `None` where they are not exactly one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let count = u32_at(bytes.get(..HEAD_BYTES)?, 0) as usize;
        let merge_bytes = u32_at(bytes, 4) as usize;
        let merge_at = count.checked_mul(PROCESS_BYTES)?.checked_add(HEAD_BYTES)?;
        if merge_at.checked_add(merge_bytes)? != bytes.len() {
            return None;
        }
        let places = bytes.get(HEAD_BYTES..merge_at)?.chunks_exact(PROCESS_BYTES);
        let place = |part: &[u8]| ProcessCursor {
            process: array(part, 0),
            segment: u64_at(part, 16),
            offset: u64_at(part, 24),
        };
        Some(Self { processes: places.map(place).collect(), merge: bytes.get(merge_at..)?.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_safe_and_cursors_round_trip(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            places in proptest::collection::vec(any::<([u8; 16], u64, u64)>(), 0..5),
        ) {
            let _ = Cursor::decode(&bytes);
            let place = |(process, segment, offset)| ProcessCursor { process, segment, offset };
            let cursor = Cursor { processes: places.into_iter().map(place).collect(), merge: bytes };
            let mut out = Vec::new();
            cursor.encode(&mut out);
            prop_assert_eq!(Cursor::decode(&out), Some(cursor));
            prop_assert_eq!(Cursor::decode(out.get(1..).unwrap()), None);
        }
    }
}
