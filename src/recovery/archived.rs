//! Gives live segments back what the archive has of them, where somebody damaged them after it was archived.
//!
//! Bytes are archived once they are final, and a segment's number, process and checksums tell whose they are: a whole frame
//! on disk is what stood at its place of the live segment. So where the two differ, the disk is right, and the
//! successor of the dead writer goes on with all that is left of either. What follows from the live segments then, the ends of
//! frames, what is accounted for, and what the archive appends, needs no second thought. The bytes stay on disk as they
//! are: they are written again, the same.

use crate::disk::Disk;
use crate::segment::layout::{HEADER_BYTES, Header, UNIT_BYTES};
use crate::segment::live::LiveSegments;
use crate::segment::scan::{Item, Scanner, Tail};
use crate::shm::control::Control;
use crate::worker::archive::segment_name;
use std::io;
use std::ops::Range;

/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Restores the segments that are not free from the journal's folder `archive`; says which were damaged.
///
/// A slot whose memory has the whole header of another segment than its words say is taken for that segment's: the
/// header has a checksum.
pub(super) fn restore<D: Disk>(control: &Control, segments: &LiveSegments, archive: &D) -> io::Result<Vec<String>> {
    let mut damage = Vec::new();
    for index in 0..segments.count() {
        let Some(words) = segments.slot(index).filter(|words| !words.is_free()) else { continue };
        let said = words.number.load(std::sync::atomic::Ordering::Acquire);
        let header = Header::decode(segments.dead_bytes(index)).ok();
        if let Some(other) = header.map(|header| header.number).filter(|number| *number != said) {
            let known = segments.slot_of(other).is_some();
            segments.rename(control, index, if known { 0 } else { other });
            damage.push(format!("the words of segment {other} in shared memory were damaged by somebody else"));
            if known {
                continue;
            }
        }
        let number = header.map_or(said, |header| header.number);
        let Some(bytes) = read(archive, &segment_name(number), segments.dead_bytes(index).len())? else { continue };
        let end = Some(words.end()).filter(|end| *end != 0);
        let missing = missing(&bytes, segments.dead_bytes(index), number, end);
        for range in &missing {
            segments.put(index, range.start, bytes.get(range.clone()).unwrap_or_default());
        }
        if !missing.is_empty() {
            damage.push(format!(
                "segment {number} was damaged in shared memory by somebody else: the archive has kept it up to byte {}",
                missing.last().map_or(0, |range| range.end)
            ));
        }
    }
    Ok(damage)
}

/// What stands whole in the archived copy of segment `number`, and not so in the live one, whose last frame ends at `end`
/// if that is known.
fn missing(archived: &[u8], live: &[u8], number: u64, end: Option<u64>) -> Vec<Range<usize>> {
    let Some(header) = Header::decode(archived).ok().filter(|header| header.number == number) else {
        return Vec::new();
    };
    // Another process's file, which somebody put there.
    if Header::decode(live).is_ok_and(|live| live != header) || live.starts_with(archived) {
        return Vec::new();
    }
    // One word behind the last frame says that it is the last.
    let end = end.and_then(|end| usize::try_from(end).ok()).unwrap_or(live.len().saturating_sub(UNIT_BYTES));
    let body = archived.get(HEADER_BYTES..).unwrap_or_default();
    let frames = Scanner::new(body, HEADER_BYTES as u64, header.salt, Tail::Final).filter_map(|item| match item {
        Item::Frame { offset, frame } => Some(offset as usize..offset as usize + frame.bytes()),
        Item::Damage { .. } => None,
    });
    let places = std::iter::once(0..HEADER_BYTES).chain(frames);
    places.filter(|place| place.end <= end && archived.get(place.clone()) != live.get(place.clone())).collect()
}

/// The first `bytes_max` bytes of a file; `None` where there is none.
fn read<D: Disk>(folder: &D, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match folder.open_read(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    let mut chunk = vec![0; CHUNK_BYTES.min(bytes_max)];
    while bytes.len() < bytes_max {
        let room = (bytes_max - bytes.len()).min(chunk.len());
        let count = folder.read_at(&file, chunk.get_mut(..room).unwrap_or_default(), bytes.len() as u64)?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::append::encode_frame;

    fn segment(number: u64, frames: u32) -> Vec<u8> {
        let header = Header {
            process: [1; 16],
            number,
            salt: 7 + number as u32,
            ticks: 0,
            unix_ns: 0,
            ticks_per_s: 1,
            boot: [0; 16],
            flags: 0,
        };
        let mut bytes = header.encode().to_vec();
        (0..frames).for_each(|seq| encode_frame(&mut bytes, header.salt, 0, 1, 9, seq, &[0xa5; 16]));
        bytes
    }

    /// The live segment after what the archive has was put into it.
    fn mended(archived: &[u8], live: &[u8], number: u64, end: Option<u64>) -> Vec<u8> {
        let mut live = live.to_vec();
        for place in missing(archived, &live.clone(), number, end) {
            live[place.clone()].copy_from_slice(&archived[place]);
        }
        live
    }

    #[test]
    fn whole_frames_of_the_archive_are_kept_and_the_live_ones_behind_them() {
        let good = [segment(3, 5), vec![0; 400]].concat();
        let (archived, end) = (segment(3, 3), segment(3, 5).len());
        assert!(missing(&archived, &good, 3, None).is_empty());
        for at in 0..archived.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x41;
            assert_eq!(mended(&archived, &bad, 3, None), good, "byte {at}");
            assert_eq!(mended(&archived, &bad, 3, Some(end as u64)), good, "byte {at}");
            // What is not whole on disk is the live one's to say.
            let cut = &archived[..at];
            let (frames, kept) = (at.saturating_sub(HEADER_BYTES) / 40, at >= HEADER_BYTES);
            let whole = if kept { HEADER_BYTES + frames * 40 } else { 0 };
            let zeros = vec![0; good.len()];
            let mended = mended(cut, &zeros, 3, None);
            assert!(mended[..whole] == good[..whole] && mended[whole..] == zeros[whole..], "prefix {at}");
        }
    }

    #[test]
    fn the_archive_of_another_segment_or_process_changes_nothing() {
        let live = [segment(3, 5), vec![0; 400]].concat();
        assert!(missing(&segment(2, 3), &live, 3, None).is_empty());
        let mut other = segment(3, 3);
        let header = Header { process: [2; 16], ..Header::decode(&other).unwrap() };
        other[..HEADER_BYTES].copy_from_slice(&header.encode());
        assert!(missing(&other, &live, 3, None).is_empty());
        // Beyond its end a sealed segment has nothing.
        let end = segment(3, 1).len() as u64;
        assert!(missing(&segment(3, 2), &[segment(3, 1), vec![0; 400]].concat(), 3, Some(end)).is_empty());
    }
}
