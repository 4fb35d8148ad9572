//! The growing segment, and its rotation into the next free slot.

use crate::clock::anchor::{Anchor, Anchors};
use crate::segment::append::{encode_frame, frame_bytes};
use crate::segment::layout::{Header, Kind, WRITER_RING};
use crate::segment::live::{Appender, LiveSegments};
use crate::shm::control::Control;

/// Kept free at a segment's end for its seal and the zero word behind it.
const SEAL_RESERVE: usize = frame_bytes(32) + 8;

/// What stays the same over a process's segments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) process: [u8; 16],
    pub(crate) boot: [u8; 16],
    pub(crate) ticks_per_s: u64,
    /// Segment flags.
    pub(crate) flags: u64,
}

/// Counts of the growing segment, for its seal.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) frames: u64,
    pub(crate) records: u64,
    pub(crate) ticks_first: u64,
    pub(crate) ticks_last: u64,
}

impl Tally {
    /// Counts a record of this tick.
    #[inline]
    pub(crate) fn record(&mut self, ticks: u64) {
        if self.records == 0 || ticks < self.ticks_first {
            self.ticks_first = ticks;
        }
        self.ticks_last = self.ticks_last.max(ticks);
        self.records += 1;
    }
}

/// The journal as its writer sees it.
#[derive(Debug)]
pub(crate) struct Journal {
    origin: Origin,
    appender: Option<Appender>,
    number: u64,
    tally: Tally,
    /// The last watermark in the journal.
    pub(crate) watermark: u64,
    /// The time of the writer's step.
    pub(crate) now: u64,
    scratch: Vec<u8>,
    /// Bytes of frames appended over all segments.
    pub(crate) bytes: u64,
    /// Segments sealed.
    pub(crate) rotations: u64,
}

impl Journal {
    /// A journal that goes on after segment `last_number`.
    pub(crate) fn new(origin: Origin, last_number: u64) -> Self {
        Self {
            origin,
            appender: None,
            number: last_number,
            tally: Tally::default(),
            watermark: 0,
            now: 0,
            scratch: Vec::with_capacity(64 * 1024),
            bytes: 0,
            rotations: 0,
        }
    }

    /// Goes on in the segment `number` of a dead writer, which stands in `slot` and ends at `at`.
    pub(crate) fn adopt(&mut self, segments: &LiveSegments, slot: usize, salt: u32, at: usize, tally: Tally) {
        self.appender = Appender::adopt(segments, slot, salt, at, SEAL_RESERVE);
        self.tally = tally;
    }

    /// Number of the growing segment.
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Makes sure that a segment grows and has room for `bytes`; `false` when no slot is free.
    #[inline]
    pub(crate) fn make_room(
        &mut self,
        control: &Control,
        segments: &LiveSegments,
        anchors: &Anchors,
        bytes: usize,
    ) -> bool {
        if self.appender.as_ref().is_some_and(|appender| appender.fits(bytes)) {
            return true;
        }
        self.rotate(control, segments, anchors) && self.appender.as_ref().is_some_and(|appender| appender.fits(bytes))
    }

    /// Whether `bytes` fit into the growing segment.
    #[inline]
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.appender.as_ref().is_some_and(|appender| appender.fits(bytes))
    }

    /// Seals the growing segment and opens the next, if a slot is free.
    #[cold]
    pub(crate) fn rotate(&mut self, control: &Control, segments: &LiveSegments, anchors: &Anchors) -> bool {
        let Some(slot) = segments.take_free(control, true) else { return false };
        self.seal(control, segments);
        let header = Header {
            process: self.origin.process,
            number: self.number + 1,
            salt: salt(&self.origin.process, self.number + 1),
            ticks: self.now,
            unix_ns: anchors.unix_ns(self.now),
            ticks_per_s: self.origin.ticks_per_s,
            boot: self.origin.boot,
            flags: self.origin.flags,
        };
        self.appender = Appender::open(segments, control, slot, &header, SEAL_RESERVE);
        if self.appender.is_none() {
            segments.let_go(slot);
            return false;
        }
        self.number += 1;
        self.tally = Tally::default();
        segments.begin(control, self.number);
        for anchor in anchors.recent() {
            self.anchor(*anchor);
        }
        if self.watermark > 0 {
            self.own(Kind::Watermark, self.watermark, 0, &[]);
        }
        true
    }

    /// Ends the growing segment.
    pub(crate) fn seal(&mut self, control: &Control, segments: &LiveSegments) {
        let Some(appender) = self.appender.as_mut() else { return };
        appender.open_reserve(segments);
        let tally = self.tally;
        let mut payload = [0; 32];
        let words = [tally.frames, tally.ticks_first, tally.ticks_last, tally.records];
        for (slot, word) in payload.chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        self.own(Kind::Seal, self.watermark, 0, &payload);
        if let Some(appender) = self.appender.take() {
            segments.seal(control, appender.slot(), appender.at() as u64, tally.records);
            self.rotations += 1;
        }
    }

    /// Whether somebody has taken the growing segment's memory away.
    #[inline]
    pub(crate) fn is_lost(&self, segments: &LiveSegments) -> bool {
        self.appender.as_ref().is_some_and(|appender| segments.is_lost(appender.slot()))
    }

    /// Ends a growing segment whose memory was lost: what of it is left gets its header again, and is archived.
    #[cold]
    pub(crate) fn give_up(&mut self, control: &Control, segments: &LiveSegments) {
        if let Some(appender) = &self.appender {
            appender.put_header();
        }
        self.seal(control, segments);
    }

    /// Tells those who read on other threads how far the segment is filled.
    #[inline]
    pub(crate) fn tell(&self, segments: &LiveSegments) {
        if let Some(appender) = &self.appender {
            segments.fill(appender.slot(), appender.at());
        }
    }

    /// Appends a record's frame as it came from a ring.
    #[inline]
    pub(crate) fn record(&mut self, frame: &[u8], ticks: u64) -> bool {
        #[cfg(test)]
        crate::testing::fuse::burn();
        let done = self.appender.as_mut().is_some_and(|appender| appender.append(frame));
        #[cfg(test)]
        crate::testing::fuse::burn();
        if done {
            self.bytes += frame.len() as u64;
            self.tally.frames += 1;
            self.tally.record(ticks);
        }
        done
    }

    /// Appends a frame of the writer's own.
    pub(crate) fn own(&mut self, kind: Kind, ticks: u64, seq: u32, payload: &[u8]) -> bool {
        self.scratch.clear();
        encode_frame(&mut self.scratch, 0, WRITER_RING, ticks, kind as u32, seq, payload);
        #[cfg(test)]
        crate::testing::fuse::burn();
        let done = self.appender.as_mut().is_some_and(|appender| appender.append(&self.scratch));
        #[cfg(test)]
        crate::testing::fuse::burn();
        if done {
            self.bytes += self.scratch.len() as u64;
            self.tally.frames += 1;
        }
        done
    }

    /// Appends an anchor.
    pub(crate) fn anchor(&mut self, anchor: Anchor) -> bool {
        let mut payload = [0; 16];
        let (ns, rate) = payload.split_at_mut(8);
        ns.copy_from_slice(&anchor.unix_ns.to_le_bytes());
        rate.copy_from_slice(&anchor.rate.to_le_bytes());
        self.own(Kind::Anchor, anchor.ticks, 0, &payload)
    }
}

/// Start value of a segment's checksums: different for each segment of each process.
fn salt(process: &[u8; 16], number: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(process), &number.to_le_bytes()) | 1
}
