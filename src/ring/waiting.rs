//! Counts what waits in a ring that nobody maps: for reports about the dead. Nothing is changed, no number trusted.

use super::protocol::RingHeader;
use crate::segment::layout::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES, SITE_THREAD, UNIT_BYTES, u16_at, u32_at, u64_at};
use crate::sys::map::page_bytes;
use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::unix::fs::FileExt as _;

/// Records in the ring that stands in `file`, of which no segment is known to have them. 0 where it is no ring.
pub(crate) fn waiting_records(file: &File) -> io::Result<u64> {
    let mut header = [0; size_of::<RingHeader>()];
    let data_at = page_bytes() as u64;
    let capacity = file.metadata()?.len().saturating_sub(data_at);
    if !capacity.is_power_of_two() {
        return Ok(0);
    }
    file.read_exact_at(&mut header, 0)?;
    let word = |at: usize| u64_at(&header, at);
    if word(offset_of!(RingHeader, fixed.magic)) != super::memory::MAGIC {
        return Ok(0);
    }
    let (head, mut at) = (word(offset_of!(RingHeader, produced.head)), word(offset_of!(RingHeader, consumed.tail)));
    let mut records = 0;
    while head.checked_sub(at).is_some_and(|waiting| waiting > 0 && waiting <= capacity) {
        // A frame may go round the end, its first word and its site too: they are aligned words.
        let mut frame = [0; FRAME_HEADER_BYTES];
        for (index, part) in frame.chunks_exact_mut(UNIT_BYTES).enumerate() {
            file.read_exact_at(part, data_at + (at.wrapping_add((index * UNIT_BYTES) as u64) & (capacity - 1)))?;
        }
        let bytes = usize::from(u16_at(&frame, 0)) * UNIT_BYTES;
        if !(FRAME_HEADER_BYTES..=FRAME_BYTES_MAX).contains(&bytes) || bytes as u64 > head - at {
            break;
        }
        records += u64::from(u32_at(&frame, 16) != SITE_THREAD);
        at += bytes as u64;
    }
    Ok(records)
}
