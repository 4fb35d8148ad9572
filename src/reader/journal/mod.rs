//! The journal of one process as a state machine: bytes of segments in, records out.
//!
//! Pure: it opens nothing and knows no clock. It says what it [wants](Journal::want); the caller reads that from a
//! [`Source`](super::source::Source) and [feeds](Journal::feed) it. Whatever the bytes are, nothing panics, and memory
//! is bounded by [`PENDING_BYTES_MAX`] and the limits of [`definitions`](super::definitions).
//!
//! # Order
//! Each entry has a key; entries go out by key, equal keys in the order of the journal, once the watermark has passed the
//! key. The key is the record's tick, but a late record's is the watermark that it missed, so that it goes out at once
//! wherever the batches end and every rendering gives the same order; and no key is below an earlier one of the same
//! ring, so that the order of a thread's records is kept even if its clock goes back. The key of a record that the flight
//! recorder remembered is that of the record for whose sake it was written, so that it goes out directly before it. Under a manual clock nothing is late,
//! and all goes out as it stands.

mod hand_out;
mod marks;
mod seen;
mod take;

use super::definitions::Definitions;
use super::mark::{Late, Mark, SegmentStart};
use super::pending::{Entry, Pending, What};
use super::record::Position;
use super::source::Extent;
use super::time::{Anchor, Anchors};
use super::wanted::Wanted;
use crate::segment::layout::{Header, u32_at};
use crate::segment::packed::{Index, Outline};
use seen::Seen;
use std::collections::VecDeque;

/// Default limit for what a journal holds back in wait of its watermark. Beyond it the oldest half goes out as it is.
pub const PENDING_BYTES_MAX: usize = 64 << 20;
/// How much older than its segment's header a record may be: more than a writer ever waits for one.
const BEGIN_SLACK_NS: i64 = 1_000_000_000;

/// What became of bytes that were fed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fed {
    /// Something was taken, or the journal wants another place now.
    Progress,
    /// Nothing was taken: ask again when there may be more bytes.
    Idle,
    /// The same place has to be read again, now, before it can be judged.
    Retry,
    /// The segment has a newer layout, of this version: nothing more can be read.
    Newer(u32),
}

/// What was met on the way, for those who report it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Records, notes and summaries.
    pub records: u64,
    /// Of them, marked late.
    pub late: u64,
    /// Of them, remembered by the flight recorder.
    pub flight: u64,
    /// Records that others counted as dropped.
    pub dropped: u64,
    /// Bytes that could not be read.
    pub damaged_bytes: u64,
    /// Where the first of them stand.
    pub damaged_at: Option<Position>,
    /// Frames that could not be understood.
    pub unknown: u64,
    /// Segments that were not there any more.
    pub missing_segments: u64,
    /// Entries that went out before the watermark, because too many waited.
    pub forced: u64,
    /// Blocks of packed segments that were passed over, because nothing in them is wanted.
    pub blocks_passed: u64,
}

/// One journal.
pub struct Journal {
    name: String,
    /// What is wanted next.
    want: Position,
    segment: Option<Segment>,
    /// A segment without a readable header is passed over, until its frames tell what the header does not.
    unreadable: bool,
    /// What stands where the salt would be in a header that is not readable.
    salt_hint: Option<u32>,
    /// Where damage was seen once in a growing segment. It counts when a second look confirms it: a copy of live memory
    /// need not show stores in their order.
    suspect: Option<u64>,
    boot: [u8; 16],
    /// The last anchor, over segments.
    anchor: Anchor,
    newer: Option<u32>,
    definitions: Definitions,
    pending: Pending,
    watermark: Option<u64>,
    /// Entries up to this key may go out.
    limit: Option<u64>,
    /// Greatest tick seen, for what has no tick of its own.
    ticks_last: u64,
    recovered: bool,
    /// The place in the order of what was remembered.
    flight_key: Option<u64>,
    /// Ticks are the user's: records go out at once, in the order in which they stand.
    manual: bool,
    /// Greatest key so far; kept for a manual clock only.
    key_last: u64,
    pending_bytes_max: usize,
    tally: Tally,
    /// What held at the start of each segment that entries still stand in, and of the present one.
    starts: VecDeque<SegmentStart>,
    /// Offset of the bytes that are being taken.
    base: u64,
    /// The greatest key and place of an entry that went out.
    out_last: Option<(u64, Position)>,
    /// What it was before the last one went out.
    out_before: Option<(u64, Position)>,
    /// What was read while entries that belong before `out_last` are in wait.
    late: Option<Late>,
    /// What it was before the last one went out.
    late_before: Option<Late>,
    /// No mark could tell what is in wait: more was read while late entries were, or some went out early while what a mark
    /// says is read again.
    untold: bool,
    /// What had gone out before this journal was resumed.
    resumed: Option<Mark>,
    /// What goes out of this one at all.
    end: Option<Mark>,
    /// A cut at a mark left nothing to be taken: damage goes on behind it.
    uncut: bool,
}

/// The segment being read.
struct Segment {
    salt: u32,
    anchors: Anchors,
    seen: Seen,
}

impl Journal {
    /// A journal from its first segment on.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            want: Position { segment: 1, offset: 0 },
            segment: None,
            unreadable: false,
            salt_hint: None,
            suspect: None,
            boot: [0; 16],
            anchor: Anchor::nominal(0, 0, 1_000_000_000),
            newer: None,
            definitions: Definitions::new(),
            pending: Pending::new(),
            watermark: None,
            limit: None,
            ticks_last: 0,
            recovered: false,
            flight_key: None,
            manual: false,
            key_last: 0,
            pending_bytes_max: PENDING_BYTES_MAX,
            tally: Tally::default(),
            starts: VecDeque::new(),
            base: 0,
            out_last: None,
            out_before: None,
            late: None,
            late_before: None,
            untold: false,
            resumed: None,
            end: None,
            uncut: false,
        }
    }

    /// The tick up to which everything went out, late records excepted, as far as the last record that did tells;
    /// `None` before one did, and with a manual clock.
    pub fn passed(&self) -> Option<u64> {
        self.key_out().map(|key| key.saturating_sub(1))
    }

    /// The key of the last record that went out; `None` before one did, and with a manual clock.
    pub(super) fn key_out(&self) -> Option<u64> {
        self.out_last.filter(|_| !self.manual).map(|(key, _)| key)
    }

    /// What holds now, where segment `number` begins.
    fn segment_start(&self, number: u64) -> SegmentStart {
        let (watermark, recovered, ticks) = (self.watermark, self.recovered, self.ticks_last);
        SegmentStart { number, watermark, recovered, ticks }
    }

    /// Begins with another segment than the first; to be called before anything was fed.
    pub fn start_at(&mut self, segment: u64) {
        self.want = Position { segment, offset: 0 };
    }

    /// Replaces [`PENDING_BYTES_MAX`].
    pub fn set_pending_bytes_max(&mut self, bytes: usize) {
        self.pending_bytes_max = bytes;
    }

    /// Name of the process's journal.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells the boot in which ticks are counted, for a process that may not have logged yet: without it the live
    /// watermark says nothing to others.
    pub fn set_boot(&mut self, boot: [u8; 16]) {
        self.boot = boot;
    }

    /// The boot in which ticks were counted; zeros before the first segment.
    pub fn boot(&self) -> &[u8; 16] {
        &self.boot
    }

    /// The place whose bytes are to be fed next.
    pub fn want(&self) -> Position {
        self.want
    }

    /// The version of the layout that made this reader stop, if it met a newer one.
    pub fn newer(&self) -> Option<u32> {
        self.newer
    }

    /// What was met so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// An empty buffer to be filled and fed; buffers are used again.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.pending.buffer()
    }

    /// Takes the bytes at [`want`](Self::want), and what is behind them.
    pub fn feed(&mut self, bytes: Vec<u8>, extent: Extent) -> Fed {
        self.pending.release();
        self.pending.compact();
        if let Some(version) = self.newer {
            return Fed::Newer(version);
        }
        let (before, suspect) = (self.want, self.suspect);
        let (bytes, extent, is_cut) = self.cut(bytes, extent);
        if !self.is_reading_again() && !self.has_late() {
            (self.late, self.untold) = (None, false);
        }
        let again = self.is_reading_again();
        match extent {
            Extent::Missing { next } => {
                self.pending.recycle(bytes);
                if let Some(next) = next.filter(|next| *next > self.want.segment) {
                    self.tally.missing_segments += next - self.want.segment;
                    self.go_to(next);
                }
            }
            _ if self.segment.is_none() => self.feed_header(bytes, extent),
            _ => self.feed_frames(bytes, 0, extent),
        }
        self.pending.settle();
        if self.has_late() {
            self.find_late(before, again);
        }
        if self.manual {
            self.hurry();
        }
        if self.pending.bytes() > self.pending_bytes_max {
            self.force();
        }
        if self.definitions.threads_untidy() {
            self.definitions.tidy_threads(self.pending.threads_mut());
        }
        match self.newer {
            Some(version) => Fed::Newer(version),
            None if self.suspect.is_some() && self.suspect != suspect => Fed::Retry,
            None if self.want != before => {
                self.uncut = false;
                Fed::Progress
            }
            None if is_cut => {
                self.uncut = true;
                Fed::Retry
            }
            None => Fed::Idle,
        }
    }

    /// Whether it makes no difference to the other records that some are not fed.
    pub(super) fn may_leave_out(&self) -> bool {
        self.resumed.is_none()
    }

    /// Whether a block of the segment that is being read has nothing that is wanted.
    pub(super) fn may_pass(&self, block: &Index, wanted: &Wanted) -> bool {
        let Some(segment) = self.segment.as_ref().filter(|_| !self.manual && self.may_leave_out()) else {
            return false;
        };
        let Outline { ticks, anchor, .. } = block.outline;
        // Times do not go back: none is below the one by the anchors before, none above the one by the last anchor.
        let last = Anchor { ticks: anchor.ticks, unix_ns: anchor.unix_ns, rate: anchor.rate };
        let greatest = match anchor.rate {
            0 => segment.anchors.unix_ns(ticks.1),
            _ => last.unix_ns(ticks.1.max(anchor.ticks)).max(segment.anchors.unix_ns(ticks.1)),
        };
        !block.spare && wanted.lacks(&block.outline, (segment.anchors.unix_ns(ticks.0), greatest))
    }

    /// Passes over the block that begins at [`want`](Self::want), of which the index alone was read.
    pub(super) fn pass(&mut self, block: &Index) {
        self.pending.release();
        let Outline { ticks, watermark, anchor, .. } = block.outline;
        if anchor.rate != 0 {
            self.anchor = Anchor { ticks: anchor.ticks, unix_ns: anchor.unix_ns, rate: anchor.rate };
            if let Some(segment) = &mut self.segment {
                segment.anchors.push(self.anchor);
            }
        }
        if watermark != 0 {
            self.watermark = self.watermark.max(Some(watermark));
            self.limit = self.limit.max(self.watermark);
        }
        self.ticks_last = self.ticks_last.max(ticks.1);
        self.want.offset = block.raw_end();
        self.tally.blocks_passed += 1;
    }

    /// Says that every record with a tick up to this one has been fed, late ones excepted: the live watermark, loaded
    /// before the segment was read to its end.
    ///
    /// Says whether that is news.
    pub fn raise(&mut self, watermark: u64) -> bool {
        if self.manual || self.limit >= Some(watermark) {
            return false;
        }
        self.limit = Some(watermark);
        true
    }

    /// Whether a record may go out.
    pub fn has_ready(&self) -> bool {
        self.front().is_some()
    }

    /// Lets everything out that was fed so far, whatever the watermark: nothing more is to come, or nobody waits for it.
    ///
    /// What was to be [read again](Self::resume) and was not there is not waited for either: should it come after all, it
    /// is new.
    pub fn let_out(&mut self) {
        self.resumed = self.resumed.filter(|mark| mark.read <= self.want);
        self.hurry();
    }

    /// Lets everything out that was fed so far, though more may come that belongs before it.
    pub fn hurry(&mut self) {
        self.limit = self.limit.max(self.pending.last_key());
    }

    /// Tells what is known before anything is fed: the header of the first segment. Its records are not much older.
    pub fn begin(&mut self, header: &Header) {
        let slack = i128::from(header.ticks_per_s) * i128::from(BEGIN_SLACK_NS) / 1_000_000_000;
        self.want = Position { segment: header.number, offset: 0 };
        self.boot = header.boot;
        self.anchor = Anchor::nominal(header.ticks, header.unix_ns, header.ticks_per_s);
        self.limit = Some(u64::try_from(i128::from(header.ticks) - slack).unwrap_or(0));
    }

    /// How far the journal is complete.
    pub(super) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// [`limit`](Self::limit) as time.
    pub(super) fn limit_unix_ns(&self) -> Option<i64> {
        self.limit.map(|limit| self.anchor.unix_ns(limit))
    }

    /// Whether nothing was ever read of it.
    pub fn is_untouched(&self) -> bool {
        self.segment.is_none() && self.resumed.is_none() && self.out_last.is_none() && self.is_empty()
    }

    /// Whether entries wait, be they ready or not.
    pub fn is_empty(&self) -> bool {
        self.pending.len() == 0
    }

    /// The next entry, if it may go out.
    #[inline]
    pub(super) fn front(&self) -> Option<&Entry> {
        let limit = self.limit?;
        self.pending.front().filter(|entry| entry.key <= limit)
    }

    /// Makes the front the current entry, if its key is not beyond `key_max`; `false` if there is none, and then no entry is
    /// current.
    #[inline]
    pub(super) fn advance(&mut self, key_max: u64) -> bool {
        let limit = self.limit.map(|limit| limit.min(key_max));
        let Some((key, place)) = limit.and_then(|limit| self.pending.advance(limit)) else {
            self.pending.release();
            return false;
        };
        if self.resumed.is_some() || self.late.is_some() || self.late_before.is_some() {
            self.advance_seldom(key, place);
        } else {
            self.out_before = self.out_last.replace((key, place));
        }
        true
    }

    fn go_to(&mut self, segment: u64) {
        self.want = Position { segment, offset: 0 };
        self.segment = None;
        self.unreadable = false;
        self.suspect = None;
    }

    /// Lets the older half out.
    #[cold]
    fn force(&mut self) {
        let ready = self.front().is_some();
        if let (false, Some(key)) = (ready, self.pending.median_key()) {
            self.tally.forced += self.pending.len() as u64 / 2;
            self.limit = self.limit.max(Some(key));
        }
    }
}

/// The part of a frame's payload that holds the call's values, the component's number included.
#[inline]
fn payload_of(what: What, payload: &[u8]) -> &[u8] {
    let skip = match what {
        What::Inline => (u32_at(payload, 0) as usize).saturating_add(4),
        What::Suppressed => 24,
        _ => 0,
    };
    payload.get(skip..).unwrap_or_default()
}
