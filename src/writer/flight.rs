//! The writer with a flight recorder: leaves records in their rings, and brings them to the journal when an error follows.
//!
//! What a kill leaves of it is told in [`flight`](crate::flight).

use super::losses::STATEMENTS_BYTES_MAX;
use super::step::{Done, Ground, Stamp, Writer};
use crate::flight::Rules;
use crate::ring::consumer::{Front, Waiting};
use crate::ring::memory::Ring;
use crate::segment::append::frame_bytes;
use crate::segment::layout::{FRAME_HEADER_BYTES, Kind, SITE_INLINE, WRITER_RING, bare_site, u32_at, u64_at};
use std::cmp::Reverse;
use std::sync::atomic::Ordering;

/// Bytes of a [`Kind::Flight`] frame.
const TOLD_BYTES: usize = frame_bytes(16);
/// Where the level stands in a definition.
const LEVEL_AT: usize = 4;

/// For whose sake remembered records are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cause {
    /// The ring of the record, or [`WRITER_RING`].
    ring: u16,
    /// Its time.
    ticks: u64,
}

impl Writer {
    /// This writer, with a flight recorder.
    pub(crate) fn with_flight(mut self, rules: Option<Rules>) -> Self {
        self.flight = rules;
        self
    }

    /// Up to which time records are taken in this step.
    #[inline]
    pub(super) fn horizon(&self, now: u64) -> u64 {
        let in_order = self.flight.is_some_and(|rules| rules.process);
        if in_order && !self.heir && self.pace.stamp != Stamp::Manual { now } else { u64::MAX }
    }

    /// Takes what all rings hold in the order of time, if an error is to find what others logged before it, and not what
    /// they logged behind it. Who is in the midst of a call comes later.
    pub(super) fn drain_in_order(&mut self, ground: Ground<'_>, now: u64, done: &mut Done) {
        if self.flight.is_none_or(|rules| !rules.process) {
            return;
        }
        let horizon = self.horizon(now);
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend((0..self.lanes.len()).filter_map(|index| Some(Reverse((self.front(ground, index)?, index)))));
        while let Some(Reverse((ticks, index))) = order.pop() {
            if ticks > horizon {
                break;
            }
            let Some(ring) = ground.pool.ring(index) else { continue };
            let until = order.peek().map_or(horizon, |Reverse((next, _))| horizon.min(*next));
            let drained = if self.samples() {
                self.drain_until::<true>(ground, ring, index, now, until, done)
            } else {
                self.drain_until::<false>(ground, ring, index, now, until, done)
            };
            if !drained {
                break;
            }
            order.extend(self.front(ground, index).map(|ticks| Reverse((ticks, index))));
        }
        self.order = order;
    }

    /// The time of the record at the front of a ring; 0 where no record can be told.
    fn front(&self, ground: Ground<'_>, index: usize) -> Option<u64> {
        let ring = ground.pool.ring(index).filter(|_| !ground.pool.is_settled(index))?;
        let consumer = &self.lanes.get(index)?.consumer;
        let head = consumer.available(ring.header(), ring.capacity());
        match consumer.front(&ring.committed(consumer.tail, head)) {
            Front::Empty => None,
            Front::Record(waiting) => Some(u64_at(waiting.bytes, 8)),
            Front::Lost { .. } => Some(0),
        }
    }

    /// Leaves the record that is about to be taken in its ring; `false`, and nothing done, without room for what has to be
    /// stated before.
    pub(super) fn remember(&mut self, ground: Ground<'_>, ring: &Ring, index: usize, waiting: Waiting<'_>) -> bool {
        if waiting.hole > 0 {
            if !self.make_room(ground, STATEMENTS_BYTES_MAX) {
                return false;
            }
            let ticks = u64_at(waiting.bytes, 8);
            self.state_drops(ring, waiting.hole, ticks, waiting.called.wrapping_sub(waiting.hole + 1));
        }
        if let Some(lane) = self.lanes.get_mut(index) {
            lane.consumer.remember();
        }
        true
    }

    /// Writes what is remembered if this record is one of those that ask for it; `false` when there is no room for all of
    /// it.
    #[inline]
    pub(super) fn heed(&mut self, ground: Ground<'_>, index: usize, waiting: Waiting<'_>) -> bool {
        let Some(rules) = self.flight else { return true };
        let level = if bare_site(waiting.site) == SITE_INLINE {
            waiting.bytes.get(FRAME_HEADER_BYTES + 4 + LEVEL_AT).copied().unwrap_or(0)
        } else {
            self.definitions.level(ground.table, waiting.site)
        };
        level == 0 || level > rules.trigger as u8 || self.set_off(ground, rules, index, waiting)
    }

    #[cold]
    fn set_off(&mut self, ground: Ground<'_>, rules: Rules, index: usize, waiting: Waiting<'_>) -> bool {
        let cause = Cause { ring: index as u16, ticks: u64_at(waiting.bytes, 8) };
        let others = if rules.process { self.lanes.len() } else { 0 };
        (0..others).filter(|other| *other != index).all(|other| self.write_remembered(ground, rules, other, cause))
            && self.write_remembered(ground, rules, index, cause)
    }

    /// Writes what a ring remembers; `false` when there is no room for all of it. What was written then is not
    /// remembered any more.
    fn write_remembered(&mut self, ground: Ground<'_>, rules: Rules, index: usize, cause: Cause) -> bool {
        let Some(ring) = ground.pool.ring(index) else { return true };
        let Some(lane) = self.lanes.get_mut(index).filter(|_| !ground.pool.is_settled(index)) else { return true };
        lane.consumer.trim(ring, rules.limits);
        if lane.consumer.memories().0 == 0 {
            return true;
        }
        // What is written from here on is passed over by who comes after a kill, if it stands before the tail.
        lane.consumer.publish(ring.header());
        let mut told_in = None;
        let mut done = true;
        while let Some(lane) = self.lanes.get_mut(index) {
            let Some(waiting) = lane.consumer.oldest_remembered(ring) else { break };
            let ticks = u64_at(waiting.bytes, 8);
            // Drops before it were stated when it was taken.
            let waiting = Waiting { hole: 0, ..waiting };
            done = self.prepare(ground, ring, index, waiting, ticks, TOLD_BYTES);
            if done && told_in != Some(self.journal.number()) {
                // Anew in each segment, because who reads may begin with any.
                done = self.tell_flight(index, cause);
                told_in = Some(self.journal.number());
            }
            done = done && self.journal.record(waiting.bytes, ticks);
            let Some(lane) = self.lanes.get_mut(index).filter(|_| done) else { break };
            lane.consumer.wrote_remembered(&waiting);
            // Not late: it is written as soon as there is a cause for it.
            let (_, dynamic) = self.site_need(ground, waiting.site, self.journal.number());
            let component = dynamic.then(|| u32_at(waiting.bytes, FRAME_HEADER_BYTES));
            self.definitions.count(bare_site(waiting.site), component, waiting.bytes.len(), cause.ticks);
            self.written += 1;
            self.since_anchor += 1;
        }
        if let Some(lane) = self.lanes.get_mut(index) {
            lane.consumer.publish(ring.header());
        }
        done
    }

    /// Says how many records of a ring were forgotten, and what the remembered ones that follow are written for. There is
    /// room.
    fn tell_flight(&mut self, index: usize, cause: Cause) -> bool {
        let Some(lane) = self.lanes.get_mut(index) else { return true };
        let (_, forgotten) = lane.consumer.memories();
        let head = index as u64 | u64::from(cause.ring) << 16;
        let mut payload = [0; 16];
        for (slot, word) in payload.chunks_exact_mut(8).zip([head, forgotten]) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        let done = self.journal.own(Kind::Flight, cause.ticks, 0, &payload);
        if done {
            lane.forgotten_told = forgotten;
        }
        done
    }

    /// Ends the flight recorder, when everything is in the journal: a process that closes forgets what it remembers, of one
    /// that died all of it is written. `false` when there is no room; then ask again.
    pub(crate) fn end_flight(&mut self, ground: Ground<'_>) -> bool {
        let Some(rules) = self.flight else { return true };
        for index in 0..self.lanes.len() {
            let cause = Cause { ring: WRITER_RING, ticks: self.newest };
            if self.heir && !self.write_remembered(ground, rules, index, cause) {
                return false;
            }
            let Some(lane) = self.lanes.get_mut(index) else { break };
            lane.consumer.forget();
            if let Some(ring) = ground.pool.ring(index).filter(|_| !ground.pool.is_settled(index)) {
                lane.consumer.publish(ring.header());
            }
            let (_, forgotten) = lane.consumer.memories();
            if forgotten == lane.forgotten_told {
                continue;
            }
            if !self.make_room(ground, TOLD_BYTES) || !self.tell_flight(index, cause) {
                return false;
            }
        }
        true
    }

    /// Whether anything is remembered.
    pub(super) fn has_memories(&self) -> bool {
        self.lanes.iter().any(|lane| lane.consumer.memories().0 > 0)
    }

    /// Tells others how many records are remembered, and how many were forgotten.
    pub(super) fn publish_flight(&self, ground: Ground<'_>) {
        if self.flight.is_none() {
            return;
        }
        let all = self.lanes.iter().map(|lane| lane.consumer.memories());
        let (count, forgotten) =
            all.fold((0, 0), |(count, sum), (more, gone)| (count + more, gone.saturating_add(sum)));
        ground.control.writer.remembered.store(count, Ordering::Relaxed);
        ground.control.writer.forgotten.store(forgotten, Ordering::Relaxed);
    }
}
