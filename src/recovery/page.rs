//! Makes the control page of a dead process again, where somebody cut or overwrote it, from what its segments say.
//!
//! A header tells whose segment it is and which; a seal, that it ended. What was archived before the process died, the
//! journal's folder tells: segments before the first that is there were deleted by retention, compressed ones are whole.

use crate::clock::anchor::RATE_ONE;
use crate::clock::ticks;
use crate::reader::archive::{PACKED, segment_number};
use crate::ring::waiting::waiting_records;
use crate::segment::layout::{HEADER_BYTES, Header, Kind};
use crate::segment::scan::{Item, Scanner, Tail};
use crate::shm::control::{self, CONTROL_BYTES, SLOTS_MAX};
use crate::shm::control_page::ControlPage;
use crate::shm::folder;
use crate::shm::foreign::looked;
use crate::sys::boot::boot_id;
use crate::sys::file::{memory_file, open_regular};
use crate::sys::map::Mapping;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// The largest live segment that is believed in.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// A control page for what stands in the live folder `live`; `None` where nothing does. `names` are those of the files in the
/// journal's folder.
pub(super) fn rebuild(live: &Path, names: &[String]) -> io::Result<Option<ControlPage>> {
    let mut files = Vec::new();
    for slot in 0..SLOTS_MAX {
        files.push(looked(open_regular(&live.join(folder::live_name(slot))))?.flatten());
    }
    let count = files.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let mut segment_bytes = 0;
    for file in files.iter().flatten() {
        let bytes = file.metadata()?.len();
        segment_bytes = segment_bytes.max(if bytes <= SEGMENT_BYTES_MAX { bytes } else { 0 });
    }
    let page = ControlPage::new(Mapping::shared(&memory_file(c"control", CONTROL_BYTES)?, CONTROL_BYTES)?);
    let first_archived = names.iter().filter_map(|name| segment_number(name)).min();
    let mut newest: Option<Header> = None;
    for (file, slot) in files.into_iter().zip(&page.slots) {
        let Some(file) = file else { continue };
        let Some((header, end)) = look(file, segment_bytes)? else { continue };
        let compressed = PACKED.map(|end| format!("{:08}.seg{end}", header.number));
        let is_archived = first_archived.is_some_and(|first| header.number < first)
            || compressed.iter().any(|name| names.contains(name));
        slot.seal(end);
        if is_archived {
            slot.free();
        }
        slot.name(header.number);
        newest = newest.filter(|newest| newest.number > header.number).or(Some(header));
    }
    if newest.is_none() && !has_waiting(live)? {
        return Ok(None);
    }
    name(&page, newest, count, segment_bytes);
    Ok(Some(page))
}

/// Whether a ring in the folder `live` still holds records.
fn has_waiting(live: &Path) -> io::Result<bool> {
    for number in 0..super::ring_count(live)? {
        let file = looked(open_regular(&live.join(folder::ring_name(number))))?.flatten();
        if file.map_or(Ok(0), |file| waiting_records(&file))? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The whole header of a live segment, and where it ends, 0 where it grew; `None` where it has none.
fn look(file: File, segment_bytes: u64) -> io::Result<Option<(Header, u64)>> {
    let mut bytes = Vec::new();
    file.take(segment_bytes).read_to_end(&mut bytes)?;
    let Ok(header) = Header::decode(&bytes) else { return Ok(None) };
    let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
    let mut frames = Scanner::new(body, HEADER_BYTES as u64, header.salt, Tail::Final);
    let end = frames.find_map(|item| match item {
        Item::Frame { offset, frame } if frame.kind() == Some(Kind::Seal) => Some(offset + frame.bytes() as u64),
        _ => None,
    });
    Ok(Some((header, end.unwrap_or(0))))
}

/// Says on the page whose it is, as the newest segment's header does.
fn name(page: &ControlPage, newest: Option<Header>, slots: usize, segment_bytes: u64) {
    let (identity, anchor) = (&page.identity, &page.anchor);
    let put = |words: &[AtomicU64; 2], bytes: [u8; 16]| {
        let value = u128::from_le_bytes(bytes);
        for (word, value) in words.iter().zip([value as u64, (value >> 64) as u64]) {
            word.store(value, Ordering::Relaxed);
        }
    };
    let ticks_per_s = newest.map_or(1_000_000_000, |newest| newest.ticks_per_s.max(1));
    // Without a segment it is not known what time a tick was; all that is left was logged about now.
    let (ticks, unix_ns) = newest.map_or_else(|| ticks::sample(ticks::now, 1), |newest| (newest.ticks, newest.unix_ns));
    put(&identity.process, newest.map_or([0; 16], |newest| newest.process));
    put(&identity.boot, newest.map_or_else(boot_id, |newest| newest.boot));
    identity.ticks_per_s.store(ticks_per_s, Ordering::Relaxed);
    identity.segment_flags.store(newest.map_or(0, |newest| newest.flags), Ordering::Relaxed);
    identity.slots.store(slots as u32, Ordering::Relaxed);
    identity.segment_bytes.store(segment_bytes, Ordering::Relaxed);
    identity.version.store(control::VERSION, Ordering::Relaxed);
    identity.magic.store(control::MAGIC, Ordering::Release);
    anchor.ticks.store(ticks, Ordering::Relaxed);
    anchor.unix_ns.store(unix_ns, Ordering::Relaxed);
    let rate = (1_000_000_000_u128 << 32) / u128::from(ticks_per_s);
    anchor.rate.store(u64::try_from(rate).unwrap_or(RATE_ONE), Ordering::Relaxed);
    page.writer.segment.store(newest.map_or(0, |newest| newest.number), Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::append::encode_frame;
    use crate::segment::layout::WRITER_RING;
    use std::fs;

    const SEGMENT_BYTES: usize = 64 << 10;

    fn segment(number: u64, sealed: bool) -> Vec<u8> {
        let (process, boot, salt) = ([1; 16], [2; 16], 7 + number as u32);
        let header = Header { process, number, salt, ticks: 5, unix_ns: 6, ticks_per_s: 1_000_000_000, boot, flags: 0 };
        let mut bytes = header.encode().to_vec();
        encode_frame(&mut bytes, salt, 0, 1, 9, 0, &[0; 8]);
        if sealed {
            encode_frame(&mut bytes, salt, WRITER_RING, 1, Kind::Seal as u32, 0, &[0; 32]);
        }
        bytes.resize(SEGMENT_BYTES, 0);
        bytes
    }

    #[test]
    fn the_segments_and_their_archive_say_which_are_free_which_sealed_and_which_grows() {
        let live = tempfile::tempdir().unwrap();
        for (slot, bytes) in
            [segment(5, false), segment(3, true), vec![0; SEGMENT_BYTES], segment(4, true)].iter().enumerate()
        {
            fs::write(live.path().join(folder::live_name(slot)), bytes).unwrap();
        }
        let free = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let page = rebuild(live.path(), &names).unwrap().unwrap();
            assert_eq!(page.identity.slots.load(Ordering::Relaxed), 4);
            assert_eq!(page.identity.segment_bytes.load(Ordering::Relaxed), SEGMENT_BYTES as u64);
            assert_eq!(page.identity.process[0].load(Ordering::Relaxed), u64::from_le_bytes([1; 8]));
            assert_eq!(page.writer.segment.load(Ordering::Relaxed), 5);
            let slots = || page.slots.iter().take(4);
            let numbers: Vec<u64> = slots().map(|slot| slot.number.load(Ordering::Relaxed)).collect();
            let sealed: Vec<bool> = slots().map(|slot| slot.end() != 0).collect();
            assert_eq!((numbers, sealed), (vec![5, 3, 0, 4], vec![false, true, false, true]));
            slots().map(|slot| slot.is_free()).collect::<Vec<_>>()
        };
        assert_eq!(free(&[]), [false, false, true, false]);
        assert_eq!(free(&["00000003.seg.gz", "00000004.seg"]), [false, true, true, false]);
        assert_eq!(free(&["00000004.seg.gz", "00000005.seg"]), [false, true, true, true]);
        // Nothing was ever begun.
        fs::remove_file(live.path().join(folder::live_name(0))).unwrap();
        (1..4).for_each(|slot| fs::write(live.path().join(folder::live_name(slot)), b"").unwrap());
        assert!(rebuild(live.path(), &[]).unwrap().is_none());
    }
}
