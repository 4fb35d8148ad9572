//! How much of the journals a cursor has not passed. Pure.

use crate::reader::cursor::Cursor;
use crate::reader::mark::Mark;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A segment of the archive, as its file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct File {
    /// Its number in the journal.
    pub number: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Whether it is compressed: then offsets in it are no places in the file.
    pub packed: bool,
}

/// What a cursor has before it, on disk. What stands in live memory only, a second or so, is not in it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Waiting {
    /// Segments that were not read to their end.
    pub segments: u64,
    /// Bytes of their files that were not read; those of a compressed one count whole.
    pub bytes: u64,
    /// Segments that are gone from the archive and had not been read, though live memory may still have the newest of them;
    /// of a journal that is gone altogether it is one, as nobody knows more.
    pub missing: u64,
}

/// What waits for `cursor` in `journals`, the files of each by its name.
pub fn waiting(cursor: &Cursor, journals: &BTreeMap<String, Vec<File>>) -> Waiting {
    let mut all = Waiting::default();
    for (name, files) in journals {
        let mark = cursor.marks.get(name);
        all.missing += mark.map_or(0, |mark| gone(mark.read.segment, files));
        let mut left = BTreeMap::<u64, u64>::new();
        for file in files {
            let bytes = unread(file, mark);
            if bytes > 0 {
                // While both forms of a segment are there, it is one.
                let known = left.entry(file.number).or_insert(bytes);
                *known = (*known).min(bytes);
            }
        }
        all.segments += left.len() as u64;
        all.bytes += left.values().sum::<u64>();
    }
    // Of a journal that is gone nothing was left when it had been read to the end of a sealed segment.
    let at_end = |mark: &Mark| mark.whole && mark.read.offset == 0;
    let is_gone = |(name, mark): &(&String, &Mark)| !(at_end(mark) || journals.contains_key(*name));
    all.missing += cursor.marks.iter().filter(is_gone).count() as u64;
    all
}

/// Segments from `first` on that are not there, though later ones are: also between two that are, as one that is being
/// read by others is kept.
fn gone(first: u64, files: &[File]) -> u64 {
    let there: BTreeSet<u64> = files.iter().map(|file| file.number).filter(|number| *number >= first).collect();
    there.last().map_or(0, |last| (last - first + 1).saturating_sub(there.len() as u64))
}

fn unread(file: &File, mark: Option<&Mark>) -> u64 {
    match mark {
        Some(mark) if file.number < mark.read.segment => 0,
        Some(mark) if file.number == mark.read.segment && file.packed => {
            if mark.whole {
                0
            } else {
                file.bytes
            }
        }
        Some(mark) if file.number == mark.read.segment => file.bytes.saturating_sub(mark.read.offset),
        _ => file.bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::mark::SegmentStart;
    use crate::reader::record::Position;

    fn mark(segment: u64, offset: u64, whole: bool) -> Mark {
        let start = SegmentStart { number: segment, watermark: None, recovered: false, ticks: 0 };
        Mark { start, read: Position { segment, offset }, out_last: None, late: None, whole }
    }

    fn plain(number: u64) -> File {
        File { number, bytes: 1000, packed: false }
    }

    #[test]
    fn what_was_not_read_waits_and_what_is_gone_before_it_was_is_missing() {
        let journals = |files: &[(&str, &[File])]| {
            files.iter().map(|(name, files)| ((*name).to_owned(), files.to_vec())).collect::<BTreeMap<_, _>>()
        };
        let of = |marks: &[(&str, Mark)], there: &BTreeMap<_, _>| {
            let marks = marks.iter().map(|(name, mark)| ((*name).to_owned(), *mark)).collect();
            let Waiting { segments, bytes, missing } = waiting(&Cursor { marks }, there);
            (segments, bytes, missing)
        };
        let packed = |number| File { number, bytes: 100, packed: true };
        let three = journals(&[("a", &[packed(3), plain(4), plain(5)])]);
        assert_eq!(of(&[], &three), (3, 2100, 0));
        assert_eq!(of(&[("a", mark(4, 600, true))], &three), (2, 1400, 0));
        assert_eq!(of(&[("a", mark(6, 0, true))], &three), (0, 0, 0));
        assert_eq!(of(&[("a", mark(1, 600, true))], &three), (3, 2100, 2));
        let holed = journals(&[("a", &[plain(1), plain(4), plain(7)])]);
        assert_eq!(of(&[("a", mark(1, 600, true))], &holed), (3, 2400, 4));
        assert_eq!(of(&[("a", mark(5, 0, true))], &holed), (1, 1000, 2));
        assert_eq!(of(&[("a", mark(3, 9000, true))], &journals(&[("a", &[packed(3)])])), (0, 0, 0));
        assert_eq!(of(&[], &journals(&[("a", &[packed(3), plain(3)])])), (1, 100, 0));
        // Journals that are gone: one had been read to the end of its last segment.
        assert_eq!(of(&[("a", mark(4, 0, true)), ("b", mark(4, 8, true))], &journals(&[])), (0, 0, 1));
    }
}
