//! Runs: records of one call site that follow each other in a ring, as in a burst.
//!
//! What the first of them had to be asked (is its call site defined in the segment, is its thread, is it late) holds
//! for those behind it as well, up to the first that differs; that one is taken the long way. What is counted is added at the end.

use super::step::{Done, Ground, Writer};
use crate::ring::consumer::{Batch, Front};
use crate::ring::memory::Ring;
use crate::segment::layout::{SITE_THREAD, is_remembered, u64_at};

impl Writer {
    /// Takes the records of `site` that stand at the front of `ring` in `batch`, none later than `until`, as long as
    /// nothing has to be said before them. One of that site was just taken from there. Not where records are sampled or remembered.
    #[inline]
    pub(super) fn take_run(
        &mut self,
        ground: Ground<'_>,
        (ring, index): (&Ring, usize),
        site: u32,
        (batch, until): (&Batch<'_>, u64),
        done: &mut Done,
    ) {
        let number = self.journal.number();
        if self.heir || self.flight.is_some() || site == SITE_THREAD || is_remembered(site) || self.anchors.waits() {
            return;
        }
        let Some(place) = self.definitions.place_in(site, number) else { return };
        let Some(lane) = self.lanes.get_mut(index).filter(|lane| lane.is_defined_in(number)) else { return };
        // Those up to here are late, or have it said that they are.
        let floor = self.live.max(self.journal.watermark);
        let bytes_max = ground.segments.frame_bytes_max();
        let (mut records, mut bytes, mut oldest) = (0, 0, u64::MAX);
        while let Front::Record(waiting) = lane.consumer.front(batch) {
            let (frame, ticks) = (waiting.bytes, u64_at(waiting.bytes, 8));
            let alike = waiting.site == site && waiting.hole == 0 && waiting.called > lane.consumer.called;
            if !alike
                || ticks <= floor
                || ticks > until
                || frame.len() > bytes_max
                || !self.journal.record(frame, ticks)
            {
                break;
            }
            lane.consumer.advance(frame.len() as u64, waiting.called);
            lane.give_back(ring, None, false);
            records += 1;
            bytes += frame.len() as u64;
            oldest = oldest.min(ticks);
            self.newest = self.newest.max(ticks);
        }
        self.definitions.census.add(place, records, bytes, oldest);
        self.written += records;
        self.since_anchor += records;
        done.records += records;
    }
}
