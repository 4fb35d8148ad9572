//! A good segment with mixed frames, damaged: every frame that is still whole comes back from where it stands, every
//! byte that is not is said to be damaged, and nothing else is.

use crate::reader::journal::{Fed, Journal};
use crate::reader::merge::{Merge, Step};
use crate::reader::record::Body;
use crate::reader::source::Extent;
use crate::reader::testing::{COMPONENT, JournalBuilder, SITE, SITE_ERROR, SITE_OF_COMPONENT, definition, payload};
use crate::segment::layout::{
    HEADER_BYTES, Kind, SALT_AT, SITE_INLINE, UNIT_BYTES, WRITER_RING, u16_at, u32_at, u64_at,
};
use crate::segment::scan::{Item, Scanner, Tail};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Arguments;

/// What is zeroed, swapped or taken from elsewhere at once.
const PAGE_BYTES: usize = 4096;

/// The damage that puts an earlier use's page in place.
const STALE: u8 = 4;

/// A sealed segment and where its frames stand.
pub(super) struct Image {
    pub(super) bytes: Vec<u8>,
    /// Offset, bytes, and whether a reader has something to show of it.
    frames: Vec<(usize, usize, bool)>,
    /// The same by their first word, which has the checksum.
    by_word: HashMap<u64, usize>,
    /// A page that an earlier use of the memory left.
    stale: Vec<u8>,
}

impl Image {
    /// At least `bytes` of frames of all kinds.
    pub(super) fn new(bytes: usize) -> Self {
        let mut journal = JournalBuilder::new(1);
        let mut ticks = 1;
        while journal.bytes.len() < bytes {
            round(&mut journal, ticks);
            ticks += 10;
        }
        journal.own(Kind::Seal, 0, &[0; 32]);
        let mut other = JournalBuilder::new(2);
        while other.bytes.len() < 2 * PAGE_BYTES {
            round(&mut other, 3);
        }
        let stale = other.bytes[PAGE_BYTES..2 * PAGE_BYTES].to_vec();
        let (bytes, salt) = (journal.bytes, journal.header.salt);
        let mut frames = Vec::new();
        for item in Scanner::new(&bytes[HEADER_BYTES..], HEADER_BYTES as u64, salt, Tail::Final) {
            let Item::Frame { offset, frame } = item else { panic!("the image is good") };
            let shown = matches!(frame.kind(), Some(Kind::Dropped | Kind::Suppressed | Kind::Note))
                || frame.ring != WRITER_RING;
            frames.push((offset as usize, frame.bytes(), shown));
        }
        let by_word = frames.iter().enumerate().map(|(index, (at, ..))| (u64_at(&bytes, *at), index)).collect();
        Self { bytes, frames, by_word, stale }
    }

    /// Reads `damaged`, in windows of so many bytes, and panics where something is not as it should be.
    pub(super) fn check(&self, damaged: &[u8], window: usize, what: Arguments<'_>) {
        let whole = self.whole(damaged);
        let (shown, damage) = read(damaged, window);
        let is_damaged = |at: usize| damage.iter().any(|(from, bytes)| (*from..from + bytes).contains(&at));
        for (at, bytes, is_shown) in &whole {
            assert!(!is_shown || shown.contains(at), "{what}: the whole frame at {at} is not shown");
            assert!(!(*at..at + bytes).any(is_damaged), "{what}: the whole frame at {at} is said to be damaged");
        }
        let known: BTreeMap<usize, usize> = whole.iter().map(|(at, bytes, _)| (*at, *bytes)).collect();
        assert!(shown.iter().all(|at| known.contains_key(at)), "{what}: of {shown:?} are shown that never were");
        let mut at = 0;
        while at < damaged.len() {
            if let Some(bytes) = known.get(&at) {
                at += bytes;
                continue;
            }
            // The words behind a header's checksum are padding.
            let padding = (HEADER_BYTES - 4..HEADER_BYTES).contains(&at);
            let same = self.bytes.get(at) == damaged.get(at);
            assert!(is_damaged(at) || (at < HEADER_BYTES && same) || padding, "{what}: nothing is said of byte {at}");
            at += 1;
        }
    }

    /// The frames of the image that stand whole in `damaged`, wherever.
    fn whole(&self, damaged: &[u8]) -> Vec<(usize, usize, bool)> {
        let starts = (HEADER_BYTES..damaged.len()).step_by(UNIT_BYTES);
        let same = |at: usize| {
            let (from, bytes, shown) = self.frames[*self.by_word.get(&u64_at(damaged, at))?];
            (damaged.get(at..at + bytes) == self.bytes.get(from..from + bytes)).then_some((at, bytes, shown))
        };
        starts.filter_map(same).collect()
    }
}

/// Some frames of each kind.
fn round(journal: &mut JournalBuilder, ticks: u64) {
    journal.record(0, ticks, ticks);
    journal.record_of(SITE_OF_COMPONENT, 1, ticks + 1, &[&COMPONENT.to_le_bytes()[..], &payload(7)].concat());
    journal.record_of(SITE_ERROR, 2, ticks + 2, &[payload(8), vec![7; 40]].concat());
    let inline = definition(99, crate::Level::Info, Some("inline"));
    let inline = [&(inline.len() as u32).to_le_bytes()[..], &inline, &payload(9)].concat();
    journal.record_of(SITE_INLINE, 3, ticks + 3, &inline);
    journal.own(Kind::Dropped, ticks + 4, &[[1, 0, 0, 0, 1, 0, 0, 0], [5, 0, 0, 0, 0, 0, 0, 0]].concat());
    let repeat = [&SITE.to_le_bytes()[..], &[0; 4], &3_u64.to_le_bytes(), &1_u64.to_le_bytes(), &payload(3)].concat();
    journal.own(Kind::Suppressed, ticks + 5, &repeat);
    journal.own(Kind::Note, ticks + 6, b"\x03\0\x01\0\x05\0\0\0thello");
    journal.watermark(ticks + 6);
}

/// Offsets of what is shown, and the damage: offset and bytes.
fn read(bytes: &[u8], window: usize) -> (BTreeSet<usize>, Vec<(usize, usize)>) {
    let (mut shown, mut damage) = (BTreeSet::new(), Vec::new());
    let mut merge = Merge::new();
    let id = merge.add(Journal::new("p"));
    let mut drain = |merge: &mut Merge| {
        while merge.advance() == Step::Record {
            let record = merge.current().unwrap();
            let at = record.position.offset as usize;
            match record.body {
                Body::Damage { bytes } => damage.push((at, bytes as usize)),
                _ => assert!(shown.insert(at), "the frame at {at} is shown twice"),
            }
        }
    };
    let mut more = 0;
    for round in 0.. {
        assert!(round <= 64 + 4 * bytes.len(), "the journal asks for ever");
        let journal = merge.journal_mut(id).unwrap();
        let want = journal.want();
        if want.segment != 1 {
            break;
        }
        let at = (want.offset as usize).min(bytes.len());
        let end = bytes.len().min(at + (window + more).max(HEADER_BYTES));
        let extent = if end == bytes.len() { Extent::End } else { Extent::More };
        let fed = journal.feed(bytes[at..end].to_vec(), extent);
        drain(&mut merge);
        match fed {
            Fed::Progress => more = 0,
            Fed::Idle => more = more * 2 + 64,
            Fed::Retry | Fed::Newer(_) => panic!("{fed:?} of a finished segment of this version"),
        }
    }
    merge.journal_mut(id).unwrap().let_out();
    drain(&mut merge);
    (shown, damage)
}

/// The bytes are damages, five each: what, where, how.
pub fn segment_recover(data: &[u8]) {
    let image = Image::new(3 * PAGE_BYTES);
    let mut bytes = image.bytes.clone();
    for damage in data.chunks_exact(5).take(16) {
        let (a, b) = (usize::from(u16_at(damage, 1)), usize::from(u16_at(damage, 3)));
        apply(&mut bytes, &image.stale, damage[0], a, b);
    }
    // Frames of an earlier use tell their salt as well as the segment's own tell theirs.
    let told = bytes.get(SALT_AT..SALT_AT + 4) == image.bytes.get(SALT_AT..SALT_AT + 4);
    let stale = data.chunks_exact(5).any(|damage| damage[0] % 6 == STALE);
    // And a single frame tells nothing.
    let pair = image.whole(&bytes).windows(2).any(|two| two[0].0 + two[0].1 == two[1].0);
    if !told && (stale || !pair) {
        return;
    }
    image.check(&bytes, PAGE_BYTES * 8, format_args!("in one window"));
    if bytes.get(..HEADER_BYTES - 4) == image.bytes.get(..HEADER_BYTES - 4) {
        image.check(&bytes, usize::from(u16_at(data, 0)), format_args!("in small windows"));
    }
}

fn apply(bytes: &mut Vec<u8>, stale: &[u8], what: u8, a: usize, b: usize) {
    if bytes.is_empty() {
        return;
    }
    let at = a % bytes.len();
    let pages = bytes.len().div_ceil(PAGE_BYTES);
    let page = |number: usize, end: usize| number * PAGE_BYTES..((number + 1) * PAGE_BYTES).min(end);
    let end = bytes.len();
    match what % 6 {
        0 => bytes[at] ^= 1 << (b % 8),
        1 => bytes.truncate(at),
        2 => bytes[page(a % pages, end)].fill(0),
        3 => {
            let (one, two) = (page(a % pages, end), page(b % pages, end));
            if one.len() == two.len() && !a.is_multiple_of(pages) && !b.is_multiple_of(pages) {
                let kept = bytes[one.clone()].to_vec();
                bytes.copy_within(two.clone(), one.start);
                bytes[two].copy_from_slice(&kept);
            }
        }
        STALE => {
            let range = page(a % pages, end);
            let length = range.len();
            bytes[range].copy_from_slice(&stale[..length]);
        }
        _ => {
            let until = (at + b % 200).min(end);
            let mix = u32_at(&(a as u64 * 0x9e37_79b9 + b as u64).to_le_bytes(), 0);
            for (index, byte) in bytes[at..until].iter_mut().enumerate() {
                *byte = (mix.rotate_left(index as u32 % 31) >> 3) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Image of a few KiB.
    fn small() -> Image {
        Image::new(1_400)
    }

    #[test]
    fn the_image_is_whole_and_has_everything() {
        let image = small();
        image.check(&image.bytes, 1 << 20, format_args!("undamaged"));
        image.check(&image.bytes, 64, format_args!("undamaged, in small windows"));
        assert!(image.frames.iter().filter(|(.., shown)| *shown).count() > 6);
    }

    #[test]
    fn every_bit_of_a_segment_flipped() {
        let image = small();
        for bit in 0..image.bytes.len() * 8 {
            let mut bytes = image.bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            image.check(&bytes, 1 << 20, format_args!("bit {} of byte {}", bit % 8, bit / 8));
        }
    }

    #[test]
    fn every_prefix_of_a_segment() {
        let image = small();
        for end in 0..=image.bytes.len() {
            image.check(&image.bytes[..end], 1 << 20, format_args!("cut at {end}"));
            image.check(&image.bytes[..end], 200, format_args!("cut at {end}, in small windows"));
        }
    }

    #[test]
    fn any_pages_missing_swapped_or_of_an_earlier_use() {
        let image = Image::new(6 * PAGE_BYTES);
        let pages = image.bytes.len().div_ceil(PAGE_BYTES);
        for what in 2..5 {
            for a in 0..pages {
                for b in 0..pages {
                    if what == STALE && a == 0 {
                        continue;
                    }
                    let mut bytes = image.bytes.clone();
                    apply(&mut bytes, &image.stale, what, a, b);
                    image.check(&bytes, 1 << 20, format_args!("{what} of pages {a} and {b}"));
                }
            }
        }
        for missing in 0..1_u32 << pages {
            let mut bytes = image.bytes.clone();
            for page in (0..pages).filter(|page| missing & 1 << page != 0) {
                apply(&mut bytes, &image.stale, 2, page, 0);
            }
            image.check(&bytes, 1 << 20, format_args!("missing pages {missing:b}"));
        }
    }
}
