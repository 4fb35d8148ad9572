//! Where a journal goes on that another one was read to, and where it ends.
//!
//! Entries go out in the order of their keys, so a mark names the last that did, and how far was read. One that is read later and
//! belongs before that one, because it came behind the watermark or because the reader was hurried, goes out next: until all such did,
//! the mark also says from where on they stand, and the last of them that went out ([`Late`]). For that, nothing is read across
//! a mark at once.

use super::super::mark::{Late, Mark};
use super::super::pending::Entry;
use super::super::record::Position;
use super::super::source::Extent;
use super::Journal;

impl Journal {
    /// A journal that goes on where another one had come to: what went out of it does not come again.
    pub fn resume(name: &str, mark: Mark) -> Self {
        let mut journal = Self::new(name);
        journal.want = Position { segment: mark.start.number, offset: 0 };
        (journal.watermark, journal.recovered) = (mark.start.watermark, mark.start.recovered);
        journal.limit = mark.start.watermark;
        journal.ticks_last = mark.start.ticks;
        journal.out_last = mark.out_last;
        journal.out_before = mark.out_last;
        (journal.late, journal.late_before) = (mark.late, mark.late);
        journal.resumed = Some(mark);
        journal
    }

    /// Lets nothing out but what had gone out of the journal that made `mark`, which must have no
    /// [late](Mark::late) entries; to be called before anything is fed.
    pub fn end_at(&mut self, mark: Mark) {
        self.end = Some(mark);
    }

    /// Whether all was read that is to be, up to the mark [at which it ends](Self::end_at).
    pub fn is_at_end(&self) -> bool {
        self.end.is_some_and(|end| end.read <= self.want)
    }

    /// How far the journal has come, the [current](Self::current) record included.
    ///
    /// `None` when more was read while entries were in wait that belong before one that went out, or when such went out
    /// while others were to be read again: then let go out what is ready first.
    pub fn mark(&self) -> Option<Mark> {
        let open = self.is_reading_again() || self.has_late();
        if open && self.untold {
            return None;
        }
        self.mark_behind(self.out_last, self.late.filter(|_| open))
    }

    /// The same, the current record left out: who goes on from there gets it again.
    pub fn mark_before(&self) -> Option<Mark> {
        if self.untold {
            return None;
        }
        self.mark_behind(self.out_before, self.late_before).map(|mark| Mark { whole: false, ..mark })
    }

    /// Whether what it was resumed from is not read again in full.
    pub(super) fn is_reading_again(&self) -> bool {
        self.resumed.is_some_and(|mark| self.want < mark.read)
    }

    /// Whether an entry is in wait that belongs before one that went out.
    pub(super) fn has_late(&self) -> bool {
        self.pending.front().is_some_and(|entry| Some((entry.key, self.pending.position(entry))) < self.out_last)
    }

    fn mark_behind(&self, out_last: Option<(u64, Position)>, late: Option<Late>) -> Option<Mark> {
        let number = self.pending.oldest_segment().unwrap_or(self.want.segment);
        let known = self.starts.iter().find(|start| start.number == number).copied();
        let mut start = known.unwrap_or_else(|| self.segment_start(number));
        let mut read = self.resumed.map_or(self.want, |mark| mark.read.max(self.want));
        let mut whole = self.is_empty() && self.resumed.is_none_or(|mark| mark.whole || mark.read <= self.want);
        if let Some(end) = self.end {
            // What is left out here is in wait there.
            start = if end.start.number < start.number { end.start } else { start };
            (read, whole) = (read.min(end.read), whole && end.whole);
        }
        Some(Mark { start, read, out_last, late, whole })
    }

    /// Leaves out what stands behind a mark up to which something else holds than behind it; says whether it did.
    pub(super) fn cut(&self, mut bytes: Vec<u8>, extent: Extent) -> (Vec<u8>, Extent, bool) {
        let marks = self.resumed.iter().chain(&self.end).map(|mark| mark.read);
        let ahead = marks.filter(|read| read.segment == self.want.segment && *read > self.want).min();
        let most = ahead.and_then(|read| usize::try_from(read.offset - self.want.offset).ok());
        match most.filter(|most| *most < bytes.len() && !self.uncut) {
            None => (bytes, extent, false),
            Some(most) => {
                bytes.truncate(most);
                (bytes, Extent::More, true)
            }
        }
    }

    /// Entries are in wait that belong before one that went out: remembers from where on, so that a mark can tell.
    #[cold]
    pub(super) fn find_late(&mut self, from: Position, again: bool) {
        match self.late {
            // As the mark said, which holds up to where it was made.
            Some(_) => self.untold |= !again || self.uncut,
            None => {
                self.late = Some(Late { from, out_last: None });
                self.untold |= again;
            }
        }
    }

    /// Whether an entry went out before this journal was resumed, or does not go out before it ends.
    #[cold]
    pub(super) fn is_left_out(&mut self, entry: &Entry) -> bool {
        let position = Position { segment: self.want.segment, offset: self.base + u64::from(entry.at) };
        self.resumed = self.resumed.filter(|mark| position < mark.read);
        self.resumed.is_some_and(|mark| mark.is_out(entry.key, position))
            || self.end.is_some_and(|end| !end.is_out(entry.key, position))
    }

    /// Notes that an entry went out while others that were read late are in wait, or were until now, or while what a mark
    /// says is read again.
    #[cold]
    pub(super) fn advance_seldom(&mut self, key: u64, place: Position) {
        (self.out_before, self.late_before) = (self.out_last, self.late);
        // Of those that are still to be read again, some may belong before it.
        let again = self.is_reading_again();
        self.untold |= again && (self.late.is_some() || Some(key) > self.watermark);
        match &mut self.late {
            Some(late) if Some((key, place)) < self.out_last => late.out_last = Some((key, place)),
            _ => {
                // In order, they all went out before.
                self.late = self.late.filter(|_| again);
                self.out_last = Some((key, place));
            }
        }
    }
}
