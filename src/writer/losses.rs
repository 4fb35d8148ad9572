//! Calls that brought no record: each is stated in the journal, where it happened, and counted.

use super::step::{Ground, Stamp, Writer};
use crate::ring::memory::Ring;
use crate::ring::protocol::CAUSES;
use crate::segment::append::frame_bytes;
use crate::segment::layout::{CAUSE_INTERRUPTED, CAUSE_LOST, CAUSE_WITHOUT_RING, Kind, WRITER_RING};
use std::sync::atomic::Ordering;

/// A lost ring on which no call began for so many steps has none in progress that could still bring a record.
const STILL_STEPS: u32 = 64;

/// What one statement of a loss takes.
const STATEMENT_BYTES: usize = frame_bytes(16);
/// What the statements of one loss take at most: one for each cause, and one for what no cause was counted for.
pub(super) const STATEMENTS_BYTES_MAX: usize = (CAUSES + 1) * STATEMENT_BYTES;

impl Writer {
    /// States what cannot come any more out of a ring whose memory was lost, and settles the ring when its thread has left
    /// it. With `last`, no call begins any more. `false`, and nothing done, without room.
    #[cold]
    pub(super) fn account(&mut self, ground: Ground<'_>, ring: &Ring, index: usize, last: bool) -> bool {
        // From here on its thread takes another.
        ring.close();
        // Looked at before the count, which is final then.
        let returned = ground.pool.is_returned(index);
        let called = ring.called();
        let Some(lane) = self.lanes.get_mut(index) else { return true };
        ground.pool.count_lost(std::mem::take(&mut lane.lost));
        // A call that faults can take as long as many steps, but it is busy all the time.
        lane.still = if lane.still.0 == called && !ring.is_busy() {
            (called, lane.still.1.saturating_add(1))
        } else {
            (called, 0)
        };
        if !(returned || last || lane.still.1 >= STILL_STEPS) {
            return true;
        }
        if lane.consumer.available(ring.header(), ring.capacity()) != lane.consumer.tail {
            // Committed since the ring was drained; they come with the next step.
            return last;
        }
        let (before, clear_at) = (lane.consumer.called, lane.clear_at);
        if called > before {
            if !self.make_room(ground, STATEMENTS_BYTES_MAX) {
                return false;
            }
            self.state_drops(ring, called - before, self.loss_ticks(clear_at), before);
        }
        let Some(lane) = self.lanes.get_mut(index) else { return true };
        lane.consumer.account(called.max(before));
        lane.consumer.forget();
        ground.pool.count_lost(std::mem::take(&mut lane.lost));
        if returned {
            ground.pool.settle(index, &lane.dropped);
        }
        true
    }

    /// Passes over bytes of a ring that are no record; the calls that are missing then are stated when they are known.
    /// `false`, and nothing done, without room.
    #[cold]
    pub(super) fn pass(&mut self, ground: Ground<'_>, ring: &Ring, index: usize, bytes: u64, now: u64) -> bool {
        ring.mark_lost();
        let text = format!("{bytes} bytes of ring {index} were truncated or overwritten by somebody else");
        let done = self.note(ground, now, &text);
        if let Some(lane) = self.lanes.get_mut(index).filter(|_| done) {
            lane.consumer.advance(bytes, lane.consumer.called);
        }
        done
    }

    /// States what was dropped behind the last record; `false`, and nothing done, without room.
    pub(super) fn state_trailing(&mut self, ground: Ground<'_>, ring: &Ring, index: usize) -> bool {
        let Some(lane) = self.lanes.get(index) else { return true };
        let behind = lane.consumer.trailing_drops(ring.header(), self.heir);
        if behind == 0 {
            return true;
        }
        // They were dropped after the last time at which the ring was seen without a call in progress, and the
        // statement is not late: nothing before the watermark is missing but what it says.
        let (ticks, before) = (self.loss_ticks(lane.clear_at), lane.consumer.called);
        if !self.make_room(ground, STATEMENTS_BYTES_MAX + frame_bytes(lane.thread.len())) {
            return false;
        }
        // Nothing of this thread may have been written, where sampling left out the rest.
        let number = self.journal.number();
        if let Some(lane) = self.lanes.get_mut(index)
            && lane.thread_in != number
            && !lane.thread.is_empty()
            && self.journal.own(Kind::Thread, ticks, lane.thread_seq, &lane.thread)
        {
            lane.thread_in = number;
        }
        self.state_drops(ring, behind, ticks, before);
        // Behind the statement: what is accounted for but not stated would be lost by a kill in between.
        if let Some(lane) = self.lanes.get_mut(index) {
            lane.consumer.account(before + behind);
        }
        true
    }

    /// Puts "`count` records were dropped here" into the journal, which has room for it, once for each cause. `before` is
    /// the number of calls before them: each statement says how many calls are accounted for behind it, for recovery.
    pub(super) fn state_drops(&mut self, ring: &Ring, count: u64, ticks: u64, before: u64) {
        let header = ring.header();
        let mut left = count;
        for (cause, (total, stated)) in header.refused.dropped.iter().zip(&header.consumed.stated).enumerate() {
            let before_these = stated.load(Ordering::Relaxed);
            // What came behind the last of the `count` drops may be counted already.
            let these = total.load(Ordering::Relaxed).saturating_sub(before_these).min(left);
            if these > 0 {
                left -= these;
                self.state(ring.number(), cause as u32, these, ticks, before.wrapping_add(count - left));
                stated.store(before_these + these, Ordering::Relaxed);
            }
        }
        if ring.is_lost()
            && let Some(lane) = self.lanes.get_mut(usize::from(ring.number()))
        {
            // Of the calls that are missing, these said who logs.
            let gone = ring.announced().saturating_sub(lane.announced).min(left);
            lane.announced += gone;
            left -= gone;
        }
        if left > 0 {
            let cause = if ring.is_lost() { CAUSE_LOST } else { CAUSE_INTERRUPTED };
            self.state(ring.number(), cause, left, ticks, before.wrapping_add(count));
        }
    }

    /// States calls that found no ring; `false`, and nothing done, without room.
    pub(super) fn state_without_ring(&mut self, ground: Ground<'_>, clear_at: u64) -> bool {
        let total = without_ring(ground);
        let count = total.saturating_sub(self.without_ring);
        if count == 0 {
            return true;
        }
        if !self.make_room(ground, STATEMENT_BYTES) {
            return false;
        }
        self.state(WRITER_RING, CAUSE_WITHOUT_RING, count, self.loss_ticks(clear_at), total);
        self.without_ring = total;
        true
    }

    /// The tick of a loss that no record stands behind: later than what readers were told, and no earlier than
    /// `clear_at`.
    fn loss_ticks(&self, clear_at: u64) -> u64 {
        match self.pace.stamp {
            Stamp::Manual => self.newest,
            _ if self.heir => self.newest.max(self.live.saturating_add(1)).max(self.anchors.current().ticks),
            _ => clear_at.max(self.live.saturating_add(1)),
        }
    }

    fn state(&mut self, ring: u16, cause: u32, count: u64, ticks: u64, called: u64) {
        let mut payload = [0; 16];
        let words = [u64::from(ring) | u64::from(cause) << 32, count];
        for (slot, word) in payload.chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        self.journal.own(Kind::Dropped, ticks, called as u32, &payload);
        self.newest = self.newest.max(ticks);
        self.dropped = self.dropped.saturating_add(count);
        self.definitions.census.dropped(cause, count);
        let Some(lane) = self.lanes.get_mut(usize::from(ring)) else { return };
        let sum = if cause == CAUSE_LOST { Some(&mut lane.lost) } else { lane.dropped.get_mut(cause as usize) };
        if let Some(sum) = sum {
            *sum = sum.saturating_add(count);
        }
    }
}

/// Calls that no ring could count.
pub(super) fn without_ring(ground: Ground<'_>) -> u64 {
    ground.control.request.dropped_without_ring.load(Ordering::Acquire)
}
