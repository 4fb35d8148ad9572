//! Takes records out of the rings: each with all that must stand before it in its segment.

use super::definitions::Need;
use super::losses::STATEMENTS_BYTES_MAX;
use super::sampled::Sampled;
use super::step::{Done, Ground, Stamp, Writer};
use crate::ring::consumer::{Batch, Front, Waiting};
use crate::ring::memory::Ring;
use crate::ring::protocol::THREAD_WORDS;
use crate::segment::append::frame_bytes;
use crate::segment::layout::{
    FRAME_HEADER_BYTES, Kind, SITE_INLINE, SITE_THREAD, bare_site, is_remembered, u32_at, u64_at,
};
use std::sync::atomic::Ordering;

/// Bytes of a thread's definition: eight of numbers, 128 of name.
const THREAD_BYTES_MAX: usize = (THREAD_WORDS - 1) * 8;

impl Writer {
    /// Takes what `ring` holds; `false` when something had to stay.
    pub(super) fn drain<const SAMPLED: bool>(
        &mut self,
        ground: Ground<'_>,
        ring: &Ring,
        index: usize,
        now: u64,
        done: &mut Done,
    ) -> bool {
        let drained = self.drain_until::<SAMPLED>(ground, ring, index, now, self.horizon(now), done);
        let Some(lane) = self.lanes.get_mut(index) else { return true };
        lane.give_back(ring, self.flight.as_ref(), true);
        drained && self.state_trailing(ground, ring, index)
    }

    /// Takes what `ring` holds up to a record later than `until`; `false` when something before had to stay.
    pub(super) fn drain_until<const SAMPLED: bool>(
        &mut self,
        ground: Ground<'_>,
        ring: &Ring,
        index: usize,
        now: u64,
        until: u64,
        done: &mut Done,
    ) -> bool {
        let Some(lane) = self.lanes.get(index) else { return true };
        let head = lane.consumer.available(ring.header(), ring.capacity());
        if head == lane.consumer.tail {
            return true;
        }
        // Whoever takes in the order of time comes back for the rest several times.
        let mut stage = if until == u64::MAX { std::mem::take(&mut self.stage) } else { Vec::new() };
        let batch = ring.committed(lane.consumer.tail, head).staged(&mut stage);
        let drained = self.take_batch::<SAMPLED>(ground, (ring, index), &batch, (now, until), done);
        if !stage.is_empty() {
            self.stage = stage;
        }
        drained
    }

    /// Takes the records of `batch` up to one later than `until`; `false` when something before had to stay.
    fn take_batch<const SAMPLED: bool>(
        &mut self,
        ground: Ground<'_>,
        (ring, index): (&Ring, usize),
        batch: &Batch<'_>,
        (now, until): (u64, u64),
        done: &mut Done,
    ) -> bool {
        let mut left = false;
        while let Some(lane) = self.lanes.get_mut(index) {
            match lane.consumer.front(batch) {
                Front::Empty => break,
                Front::Record(waiting) if u64_at(waiting.bytes, 8) > until => break,
                // Nothing of ours is so large.
                Front::Record(waiting) if waiting.bytes.len() > ground.segments.frame_bytes_max() => {
                    left = !self.pass(ground, ring, index, waiting.bytes.len() as u64, now);
                    if left {
                        break;
                    }
                }
                Front::Record(waiting) => {
                    if !self.take::<SAMPLED>(ground, ring, index, waiting, done) {
                        left = true;
                        break;
                    }
                    let site = waiting.site;
                    if let Some(lane) = self.lanes.get_mut(index) {
                        // Numbers ascend while the process lives; one that does not was overwritten in between.
                        let called = if self.heir { waiting.called } else { waiting.called.max(lane.consumer.called) };
                        lane.consumer.advance(waiting.bytes.len() as u64, called);
                        lane.give_back(ring, self.flight.as_ref(), false);
                    }
                    if !SAMPLED {
                        self.take_run(ground, (ring, index), site, (batch, until), done);
                    }
                }
                Front::Lost { bytes } => {
                    left = !self.pass(ground, ring, index, bytes, now);
                    if left {
                        break;
                    }
                }
            }
        }
        !left
    }

    /// Appends one record with all that must stand before it; `false`, and nothing done, without room.
    #[inline]
    fn take<const SAMPLED: bool>(
        &mut self,
        ground: Ground<'_>,
        ring: &Ring,
        index: usize,
        waiting: Waiting<'_>,
        done: &mut Done,
    ) -> bool {
        if waiting.site == SITE_THREAD {
            self.take_thread(ring, index, waiting);
            return true;
        }
        let ticks = u64_at(waiting.bytes, 8);
        let remembered = is_remembered(waiting.site);
        if remembered && self.flight.is_some() {
            let done_so = self.remember(ground, ring, index, waiting);
            done.left_out += u64::from(done_so);
            return done_so;
        }
        if SAMPLED && !remembered {
            match self.sample(ground, ring, waiting, ticks, done) {
                Sampled::Append => {}
                Sampled::LeftOut => return true,
                Sampled::NoRoom => return false,
            }
        }
        if ticks <= self.live && ticks > self.journal.watermark && !self.mark_late(ground) {
            return false;
        }
        if !self.heed(ground, index, waiting) {
            return false;
        }
        let number = self.journal.number();
        let thread_known = self.lanes.get(index).is_some_and(|lane| lane.thread_in == number);
        let (site, dynamic) = self.site_need(ground, waiting.site, number);
        let component = dynamic.then(|| u32_at(waiting.bytes, FRAME_HEADER_BYTES));
        let named = component
            .is_none_or(|component| self.definitions.component(ground.table, component, number) == Need::Nothing);
        let plain = thread_known && site == Need::Nothing && named && waiting.hole == 0 && !self.anchors.waits();
        let fits = plain && self.journal.fits(waiting.bytes.len());
        if !fits && !self.prepare(ground, ring, index, waiting, ticks, 0) {
            return false;
        }
        if !self.journal.record(waiting.bytes, ticks) {
            return false;
        }
        if SAMPLED && !remembered {
            self.applied();
        }
        self.definitions.count(bare_site(waiting.site), component, waiting.bytes.len(), ticks);
        self.late += u64::from(ticks <= self.journal.watermark && self.pace.stamp != Stamp::Manual);
        self.newest = self.newest.max(ticks);
        self.written += 1;
        self.since_anchor += 1;
        done.records += 1;
        true
    }

    #[inline]
    pub(super) fn site_need(&mut self, ground: Ground<'_>, site: u32, number: u64) -> (Need, bool) {
        match bare_site(site) {
            SITE_INLINE => (Need::Nothing, false),
            site => self.definitions.site(ground.table, site, number),
        }
    }

    /// Writes what the segment lacks for this record; rotates first when all of it, and `more` bytes, does not fit.
    #[cold]
    pub(super) fn prepare(
        &mut self,
        ground: Ground<'_>,
        ring: &Ring,
        index: usize,
        waiting: Waiting<'_>,
        ticks: u64,
        more: usize,
    ) -> bool {
        if self.anchors.waits() && !self.take_anchors(ground) {
            return false;
        }
        // Twice, because after a rotation everything has to be defined again.
        for _ in 0..2 {
            let number = self.journal.number();
            let (site, dynamic) = self.site_need(ground, waiting.site, number);
            let component = u32_at(waiting.bytes, FRAME_HEADER_BYTES);
            let component_need =
                if dynamic { self.definitions.component(ground.table, component, number) } else { Need::Nothing };
            if ground.table.is_incomplete() && (site == Need::Unknown || component_need == Need::Unknown) {
                // It was lost, and is there again after this step.
                return false;
            }
            let lane = self.lanes.get(index);
            let thread =
                lane.map_or(0, |lane| if lane.thread_in == number { 0 } else { frame_bytes(lane.thread.len()) });
            let needed = waiting.bytes.len()
                + more
                + thread
                + definition_bytes(site)
                + definition_bytes(component_need)
                + if waiting.hole > 0 { STATEMENTS_BYTES_MAX } else { 0 };
            if !self.make_room(ground, needed) {
                return false;
            }
            if self.journal.number() != number {
                continue;
            }
            if let Some(lane) = self.lanes.get_mut(index)
                && thread > 0
                && (lane.thread.is_empty() || self.journal.own(Kind::Thread, ticks, lane.thread_seq, &lane.thread))
            {
                lane.thread_in = number;
            }
            if self.define(Kind::Component, component_need) {
                self.definitions.component_defined(component, number);
            }
            if self.define(Kind::Site, site) {
                self.definitions.site_defined(bare_site(waiting.site), number);
            }
            if waiting.hole > 0 {
                self.state_drops(ring, waiting.hole, ticks, waiting.called.wrapping_sub(waiting.hole + 1));
            }
            return true;
        }
        false
    }

    /// Makes sure that a segment has room for `bytes`; rotates if need be.
    ///
    /// Before a rotation all rings are told what was taken: recovery looks for what they still hold in the newest segment only.
    pub(super) fn make_room(&mut self, ground: Ground<'_>, bytes: usize) -> bool {
        if self.journal.fits(bytes) {
            return true;
        }
        self.release_all(ground);
        self.journal.make_room(ground.control, ground.segments, &self.anchors, bytes)
    }

    #[cold]
    pub(super) fn release_all(&mut self, ground: Ground<'_>) {
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            if let Some(ring) = ground.pool.ring(number) {
                lane.consumer.release(ring.header(), ring.capacity(), true);
                lane.consumer.release_called(ring.header());
                if lane.consumer.memory.is_some() {
                    lane.consumer.publish(ring.header());
                }
            }
        }
        ground.control.writer.without_ring.store(self.without_ring, Ordering::Relaxed);
    }

    pub(super) fn define(&mut self, kind: Kind, need: Need) -> bool {
        let Need::Definition(copied) = need else { return false };
        self.journal.own(kind, 0, 0, self.definitions.payload(copied))
    }

    fn take_thread(&mut self, ring: &Ring, index: usize, waiting: Waiting<'_>) {
        let Some(lane) = self.lanes.get_mut(index) else { return };
        lane.thread.clear();
        // What another thread left is nobody's any more.
        lane.consumer.forget();
        lane.announced += 1;
        let payload = waiting.bytes.get(FRAME_HEADER_BYTES..).unwrap_or_default();
        lane.thread.extend_from_slice(payload.get(..payload.len().min(THREAD_BYTES_MAX)).unwrap_or_default());
        lane.thread_seq = u32_at(waiting.bytes, 20);
        lane.thread_in = 0;
        // For recovery. A kill in the midst of it leaves `tail` before this record, so that recovery takes it again.
        if let Some((length, words)) = ring.header().consumed.thread.split_first() {
            for (word, bytes) in words.iter().zip(lane.thread.chunks(8)) {
                word.store(u64_at(bytes, 0), Ordering::Relaxed);
            }
            length.store(lane.thread.len() as u64, Ordering::Relaxed);
        }
    }
}

pub(super) fn definition_bytes(need: Need) -> usize {
    match need {
        Need::Definition(copied) => frame_bytes(copied.length),
        Need::Nothing | Need::Unknown => 0,
    }
}
