//! From the bytes of a segment to entries.

use super::super::definitions::{NONE, THREAD_OWN};
use super::super::pending::{Entry, Rare, What};
use super::super::record::Position;
use super::super::source::Extent;
use super::super::time::{Anchor, Anchors};
use super::seen::{Look, Seen};
use super::{Journal, Segment, payload_of};
use crate::segment::layout::{
    FLAG_MANUAL_CLOCK, HEADER_BYTES, Header, HeaderError, Kind, SALT_AT, SITE_INLINE, WRITER_RING, bare_site,
    is_remembered, u16_at, u32_at, u64_at,
};
use crate::segment::salvage::find_salt;
use crate::segment::scan::{Frame, Scanner, Tail};
use std::fmt::Write as _;

/// The most bytes of a frame that was not understood that are shown.
const SHOWN_BYTES_MAX: usize = 64;

impl Journal {
    pub(super) fn feed_header(&mut self, bytes: Vec<u8>, extent: Extent) {
        if self.unreadable {
            return self.skip(bytes, extent);
        }
        match Header::decode(&bytes) {
            Ok(header) if header.number == self.want.segment => {
                self.boot = header.boot;
                self.manual = header.flags & FLAG_MANUAL_CLOCK != 0;
                self.ticks_last = self.ticks_last.max(header.ticks);
                self.anchor = Anchor::nominal(header.ticks, header.unix_ns, header.ticks_per_s);
                self.begin_segment(header.salt);
                self.feed_frames(bytes, HEADER_BYTES, extent);
            }
            Err(HeaderError::Version(version)) => self.newer = Some(version),
            Err(HeaderError::Short) if matches!(extent, Extent::Growing | Extent::More) => self.pending.recycle(bytes),
            // What grows may be a slot that is about to be used again, so its bytes say nothing yet.
            _ if extent == Extent::Growing => self.pending.recycle(bytes),
            Ok(_) | Err(HeaderError::Short | HeaderError::Magic | HeaderError::Checksum) => {
                self.unreadable = true;
                self.salt_hint = bytes.get(..HEADER_BYTES).map(|header| u64_at(header, SALT_AT) as u32);
                self.skip(bytes, extent);
            }
        }
    }

    /// Takes the segment that is wanted for one with this salt.
    fn begin_segment(&mut self, salt: u32) {
        let number = self.want.segment;
        let oldest = self.pending.oldest_segment().unwrap_or(number);
        while self.starts.get(1).is_some_and(|next| next.number <= oldest) {
            self.starts.pop_front();
        }
        self.starts.push_back(self.segment_start(number));
        self.segment = Some(Segment { salt, anchors: Anchors::new(self.anchor), seen: Seen::default() });
    }

    /// Passes over a segment without a readable header, until its frames tell its salt: then it is read after all.
    fn skip(&mut self, bytes: Vec<u8>, extent: Extent) {
        let from = if self.want.offset == 0 { HEADER_BYTES } else { 0 };
        if let Some(salt) = find_salt(bytes.get(from..).unwrap_or_default(), self.salt_hint) {
            self.want.offset = 0;
            self.damage_from_begin(HEADER_BYTES as u64);
            self.pending.recycle(bytes);
            self.begin_segment(salt);
            self.unreadable = false;
            self.want.offset = HEADER_BYTES as u64;
            return;
        }
        self.want.offset += bytes.len() as u64;
        let lost = match extent {
            Extent::Broken { lost } => lost,
            _ => 0,
        };
        if matches!(extent, Extent::End | Extent::Broken { .. }) {
            let bytes = self.want.offset + lost;
            if bytes > 0 {
                self.damage_from_begin(bytes);
            }
            self.go_to(self.want.segment.saturating_add(1));
        }
        self.pending.recycle(bytes);
    }

    pub(super) fn feed_frames(&mut self, bytes: Vec<u8>, skip: usize, extent: Extent) {
        let Some(mut segment) = self.segment.take() else { return };
        let (tail, ends) = match extent {
            Extent::Growing => (Tail::Growing, false),
            Extent::More => (Tail::Window, false),
            _ => (Tail::Final, true),
        };
        let chunk = self.pending.chunk_next();
        let entries_before = self.pending.len();
        let base = self.want.offset;
        self.base = base;
        let mut rare = Vec::new();
        let mut sealed = false;
        let body = bytes.get(skip..).unwrap_or_default();
        let mut scanner = Scanner::new(body, base + skip as u64, segment.salt, tail).sifted();
        self.want.offset = scanner.position();
        loop {
            while let Some((offset, frame)) = scanner.frame() {
                // A seal is the last frame, unless pages were put in another order.
                sealed = self.take(&mut segment, &mut rare, chunk, (offset - base) as u32, &frame);
                self.want.offset = scanner.position();
            }
            let Some((offset, bytes)) = scanner.damage() else { break };
            if tail == Tail::Growing && self.suspect != Some(offset) {
                self.suspect = Some(offset);
                break;
            }
            sealed = false;
            let unix_ns = segment.anchors.unix_ns(self.ticks_last);
            self.damage_at(chunk, &mut rare, offset, bytes, unix_ns);
            self.want.offset = scanner.position();
        }
        if let Extent::Broken { lost } = extent {
            let unix_ns = segment.anchors.unix_ns(self.ticks_last);
            self.damage_at(chunk, &mut rare, self.want.offset, lost, unix_ns);
        }
        let entries = self.pending.len() - entries_before;
        self.pending.add_chunk(bytes, self.want.segment, base, rare, entries);
        self.segment = Some(segment);
        if ends || (sealed && extent == Extent::Growing) {
            self.go_to(self.want.segment.saturating_add(1));
        }
    }

    /// Takes one frame; says whether it seals the segment.
    #[inline]
    fn take(&mut self, segment: &mut Segment, rare: &mut Vec<Rare>, chunk: u32, at: u32, frame: &Frame<'_>) -> bool {
        let own = frame.ring == WRITER_RING;
        match segment.seen.look(frame) {
            Look::New => {}
            Look::Known => return false,
            Look::Misplaced => {
                // Bytes of another place: what stood here is lost.
                let unix_ns = segment.anchors.unix_ns(self.ticks_last);
                self.damage_at(chunk, rare, self.base + u64::from(at), frame.bytes() as u64, unix_ns);
                return false;
            }
        }
        if own {
            return self.take_own(segment, rare, chunk, at, frame);
        }
        let number = bare_site(frame.site);
        let (mut what, mut site, mut extra) = (What::Message, self.definitions.site_place(number), NONE);
        if number == SITE_INLINE {
            what = What::Inline;
            let bytes = u32_at(frame.payload, 0) as usize;
            let definition = frame.payload.get(4..).and_then(|rest| rest.get(..bytes)).unwrap_or_default();
            site = self.definitions.inline_site(definition);
        }
        match self.definitions.names_target(site) {
            Some(true) => {}
            Some(false) => {
                let payload = payload_of(what, frame.payload);
                extra = self.definitions.component_place(u32_at(payload, 0));
            }
            None => {
                let why =
                    if what == What::Inline { "call site carried along is malformed" } else { "unknown call site" };
                (what, extra) = (What::Unknown, unknown(rare, why, frame));
                self.tally.unknown += 1;
            }
        }
        let entry = if is_remembered(frame.site) {
            self.remembered(segment, chunk, at, frame)
        } else {
            self.entry_of(segment, chunk, at, frame.ticks, frame.ring)
        };
        self.push(Entry { site, extra, what, ..entry });
        false
    }

    /// An entry of a record that was remembered, without what it says. It says nothing of the order of others.
    #[cold]
    fn remembered(&mut self, segment: &Segment, chunk: u32, at: u32, frame: &Frame<'_>) -> Entry {
        let key = match (self.manual, self.flight_key) {
            (true, _) => self.key_last,
            (false, Some(key)) => key,
            // Damage took the frame that tells.
            (false, None) => self.watermark.unwrap_or(0).max(frame.ticks),
        };
        let thread = self.definitions.ring(frame.ring).map_or(0, |ring| ring.thread);
        let unix_ns = segment.anchors.unix_ns(frame.ticks);
        let entry = Entry::bare(What::Message, key, unix_ns, chunk, thread, NONE);
        Entry { flight: true, recovered: self.recovered, at, ..entry }
    }

    /// The key of a record, before its ring is looked at.
    #[inline]
    fn key(&self, ticks: u64) -> u64 {
        let late = Some(ticks) <= self.watermark && !self.manual;
        if late { self.watermark.unwrap_or(ticks) } else { ticks }
    }

    /// An entry of a ring, without what it says.
    #[inline(always)]
    fn entry_of(&mut self, segment: &Segment, chunk: u32, at: u32, ticks: u64, ring: u16) -> Entry {
        let late = Some(ticks) <= self.watermark && !self.manual;
        let mut key = self.key(ticks);
        let mut thread = 0;
        if let Some(ring) = self.definitions.ring(ring) {
            key = key.max(ring.key);
            ring.key = key;
            thread = ring.thread;
        }
        if self.manual {
            key = key.max(self.key_last);
            self.key_last = key;
        }
        self.ticks_last = self.ticks_last.max(ticks);
        let unix_ns = segment.anchors.unix_ns(ticks);
        Entry { late, recovered: self.recovered, at, ..Entry::bare(What::Message, key, unix_ns, chunk, thread, NONE) }
    }

    /// The same, for what is no plain record and comes seldom.
    fn entry(&mut self, segment: &Segment, chunk: u32, at: u32, ticks: u64, ring: u16) -> Entry {
        self.entry_of(segment, chunk, at, ticks, ring)
    }

    #[inline]
    fn push(&mut self, entry: Entry) {
        if (self.resumed.is_some() || self.end.is_some()) && self.is_left_out(&entry) {
            return;
        }
        self.tally.records += 1;
        self.tally.late += u64::from(entry.late);
        self.tally.flight += u64::from(entry.flight);
        self.pending.push(entry);
    }

    /// Takes a frame that the writer made itself; says whether it seals the segment.
    #[cold]
    fn take_own(
        &mut self,
        segment: &mut Segment,
        rare: &mut Vec<Rare>,
        chunk: u32,
        at: u32,
        frame: &Frame<'_>,
    ) -> bool {
        let payload = frame.payload;
        let understood = match frame.kind() {
            Some(Kind::Site) => self.definitions.define_site(payload),
            Some(Kind::Thread) => self.definitions.define_thread(payload),
            Some(Kind::Component) => self.definitions.define_component(payload),
            Some(Kind::Anchor) => {
                let (unix_ns, rate) = (u64_at(payload, 0) as i64, u64_at(payload, 8));
                self.anchor = Anchor { ticks: frame.ticks, unix_ns, rate };
                segment.anchors.push(self.anchor);
                true
            }
            Some(Kind::Watermark) => {
                self.watermark = self.watermark.max(Some(frame.ticks));
                self.limit = self.limit.max(self.watermark);
                true
            }
            Some(Kind::Recovered) => {
                self.recovered = true;
                true
            }
            Some(Kind::Seal) => return true,
            Some(Kind::Passed) => return false,
            Some(Kind::Dropped) => {
                // A statement does not hold back the records behind it, whose ticks it need not be older than.
                let ring = u16_at(payload, 0);
                let key = self.definitions.ring(ring).map(|ring| ring.key);
                let entry = self.entry(segment, chunk, at, frame.ticks, ring);
                if let (Some(key), Some(ring)) = (key, self.definitions.ring(ring)) {
                    ring.key = key;
                }
                self.tally.dropped = self.tally.dropped.saturating_add(u64_at(payload, 8));
                self.push(Entry { what: What::Dropped, ..entry });
                true
            }
            Some(Kind::Flight) => {
                let key = self.key(frame.ticks);
                let by = self.definitions.ring(u16_at(payload, 2)).map_or(0, |ring| ring.key);
                self.flight_key = Some(key.max(by));
                true
            }
            Some(Kind::Suppressed) => self.take_suppressed(segment, rare, chunk, at, frame),
            Some(Kind::Note) => {
                let entry = self.entry(segment, chunk, at, frame.ticks, WRITER_RING);
                self.push(Entry { what: What::Note, ..entry });
                true
            }
            None => false,
        };
        if !understood {
            self.tally.unknown += 1;
            let entry = self.entry(segment, chunk, at, frame.ticks, WRITER_RING);
            let extra = unknown(rare, "a frame of the writer's that is malformed or of an unknown kind", frame);
            self.push(Entry { what: What::Unknown, extra, ..entry });
        }
        false
    }

    fn take_suppressed(
        &mut self,
        segment: &Segment,
        rare: &mut Vec<Rare>,
        chunk: u32,
        at: u32,
        frame: &Frame<'_>,
    ) -> bool {
        let site = self.definitions.site_place(u32_at(frame.payload, 0));
        let Some(known) = self.definitions.site(site) else { return false };
        let mut component = NONE;
        if known.def.target.is_none() {
            component = self.definitions.component_place(u32_at(payload_of(What::Suppressed, frame.payload), 0));
        }
        let since_ns = segment.anchors.unix_ns(u64_at(frame.payload, 16));
        let extra = rare.len() as u32;
        rare.push(Rare::Suppressed { since_ns, component });
        let entry = self.entry(segment, chunk, at, frame.ticks, WRITER_RING);
        self.push(Entry { what: What::Suppressed, site, extra, ..entry });
        true
    }

    /// Damage at the begin of the segment that is wanted, whose bytes are of no use.
    fn damage_from_begin(&mut self, bytes: u64) {
        let (chunk, before) = (self.pending.chunk_next(), self.pending.len());
        let unix_ns = self.anchor.unix_ns(self.ticks_last);
        self.base = 0;
        let mut rare = Vec::new();
        self.damage_at(chunk, &mut rare, 0, bytes, unix_ns);
        let entries = self.pending.len() - before;
        self.pending.add_chunk(Vec::new(), self.want.segment, 0, rare, entries);
    }

    #[cold]
    fn damage_at(&mut self, chunk: u32, rare: &mut Vec<Rare>, offset: u64, bytes: u64, unix_ns: i64) {
        let ticks = self.ticks_last;
        // Behind all that was taken before it, which may have gone out.
        let key = ticks.max(self.watermark.unwrap_or(0)).max(self.flight_key.unwrap_or(0)).max(self.key_last);
        // How far it reaches depends on where what is read at once ends. So its place in the order is that of its last byte,
        // and of what went out before this was resumed, the rest goes out.
        let end = offset.saturating_add(bytes);
        let out = self.resumed.and_then(|mark| mark.out_last).filter(|(of, _)| *of == key);
        let told = out.map(|(_, place)| place).filter(|place| place.segment == self.want.segment);
        let offset = told.map_or(offset, |place| offset.max(place.offset.saturating_add(1).min(end)));
        let bytes = end - offset;
        let at = u32::try_from(end.saturating_sub(1).saturating_sub(self.base)).unwrap_or(u32::MAX);
        let extra = rare.len() as u32;
        let entry = Entry::bare(What::Damage, key, unix_ns, chunk, THREAD_OWN, extra);
        let entry = Entry { recovered: self.recovered, at, ..entry };
        if bytes == 0 || self.is_left_out(&entry) {
            return;
        }
        self.tally.damaged_bytes += bytes;
        let position = Position { segment: self.want.segment, offset };
        self.tally.damaged_at.get_or_insert(position);
        rare.push(Rare::Damage { offset, bytes, ticks });
        self.pending.push(entry);
    }
}

/// Keeps a readable trace of a frame that is not understood.
#[cold]
fn unknown(rare: &mut Vec<Rare>, why: &str, frame: &Frame<'_>) -> u32 {
    let mut reason = format!("{why}: ring {}, site {}, {} bytes:", frame.ring, frame.site, frame.payload.len());
    for byte in frame.payload.iter().take(SHOWN_BYTES_MAX) {
        let _ = write!(reason, " {byte:02x}");
    }
    if frame.payload.len() > SHOWN_BYTES_MAX {
        reason.push_str(" …");
    }
    rare.push(Rare::Unknown { reason });
    rare.len() as u32 - 1
}
