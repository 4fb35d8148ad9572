//! The writer of recovery: goes on where one that died left off.

use super::journal::Tally;
use super::lane::{Lane, accounted};
use super::losses::without_ring;
use super::step::{Ground, Writer};
use crate::segment::append::frame_bytes;
use crate::segment::layout::{COUNT_MAX, Kind, WRITER_RING, is_remembered};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// No clock has counted so far; what says so was overwritten.
pub(crate) const TICKS_MAX: u64 = u64::MAX >> 1;

/// What the newest segment of a dead writer tells its successor.
#[derive(Debug, Default)]
pub(crate) struct Inheritance {
    /// The segment that was growing: slot, salt, end, counts.
    pub(crate) growing: Option<(usize, u32, usize, Tally)>,
    /// The last watermark in it.
    pub(crate) watermark: u64,
    /// The newest tick in it.
    pub(crate) newest: u64,
    /// Low half of the number of calls that it accounts for, by ring.
    pub(crate) accounted: HashMap<u16, u32>,
    /// Low half of the number of the last remembered record in it, by ring.
    pub(crate) remembered: HashMap<u16, u32>,
    /// Number of the last summary in it.
    pub(crate) summary: Option<u32>,
}

impl Writer {
    /// Takes over from a writer that died: `known` says what its newest segment tells.
    pub(crate) fn adopt(&mut self, ground: Ground<'_>, known: &Inheritance) {
        let words = &ground.control.writer;
        self.heir = true;
        let count = |word: &AtomicU64| word.load(Ordering::Relaxed).min(COUNT_MAX);
        self.without_ring = accounted(words.without_ring.load(Ordering::Relaxed), known.accounted.get(&WRITER_RING));
        self.written = count(&words.written);
        self.dropped = count(&words.dropped);
        self.late = count(&words.late);
        self.live = words.watermark.load(Ordering::Relaxed).min(TICKS_MAX);
        self.newest = known.newest;
        self.journal.watermark = known.watermark;
        if let Some((slot, salt, at, tally)) = known.growing {
            self.journal.adopt(ground.segments, slot, salt, at, tally);
        }
        for number in 0..ground.pool.made() {
            let ring = ground.pool.ring(number);
            let mut lane = Lane::empty();
            if let Some(ring) = ring {
                lane = Lane::new(ring, 0);
                // A record that was left out stands in no segment.
                let judged = self.judged(ring.number());
                let accounted = later(known.accounted.get(&ring.number()).copied(), judged.map(|called| called as u32));
                lane.inherit(ring, accounted, |waiting| {
                    if Some(waiting.called) > judged && !is_remembered(waiting.site) {
                        self.replay(ground, waiting);
                    }
                });
                if self.flight.is_some() {
                    lane.consumer.adopt_memory(ring, known.remembered.get(&ring.number()).copied());
                }
            }
            self.lanes.push(lane);
        }
        // What was passed over is in the journal; the next recovery, should this one be killed, need not know by which segment.
        self.release_all(ground);
    }

    /// Marks what follows as recovered, if anything does.
    pub(crate) fn mark_recovered(&mut self, ground: Ground<'_>) {
        let waiting = |(lane, number): (&Lane, usize)| {
            ground.pool.ring(number).is_some_and(|ring| {
                lane.consumer.available(ring.header(), ring.capacity()) > lane.consumer.tail
                    || ring.header().refused.called.load(Ordering::Acquire) > lane.consumer.called
            })
        };
        let any = self.lanes.iter().zip(0..).any(waiting)
            || without_ring(ground) > self.without_ring
            || self.owes_summaries()
            || self.has_memories();
        if any && self.make_room(ground, frame_bytes(0)) {
            self.journal.own(Kind::Recovered, self.newest, 0, &[]);
        }
    }
}

/// The later of two numbers of calls, of which the low half is known.
fn later(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    match (one, other) {
        (Some(one), Some(other)) if other.wrapping_sub(one) as i32 > 0 => Some(other),
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}
