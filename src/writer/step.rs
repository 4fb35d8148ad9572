//! One round of the writer over all rings.
//!
//! Per step: note the time, drain every ring, append, then state up to which tick everything is in the journal (the
//! watermark). A call that was in progress when its ring was looked at holds the watermark back at the last time its
//! ring was seen without one, for at most `order_wait`; what comes later than that is appended all the same, is "late" by the
//! definition of the watermark, and counted.

use super::definitions::Definitions;
use super::journal::{Journal, Origin};
use super::lane::Lane;
use super::losses::without_ring;
use super::sampled::Sampling;
use crate::clock::anchor::{Anchor, Anchors};
use crate::flight;
use crate::level::Level;
use crate::ring::consumer::STAGE_BYTES;
use crate::ring::pool::Pool;
use crate::segment::append::frame_bytes;
use crate::segment::layout::Kind;
use crate::segment::live::LiveSegments;
use crate::shm::clock_page::ClockPage;
use crate::shm::control::Control;
use crate::shm::control_page::HealthPage;
use crate::shm::table::Table;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What the writer works on; all of it shared with other threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) control: &'a Control,
    pub(crate) segments: &'a LiveSegments,
    pub(crate) pool: &'a Pool,
    pub(crate) table: &'a Table,
}

/// Settings of the writer, in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long a call in progress may hold the watermark back.
    pub(crate) order_wait: u64,
    /// Taken off the time of a step: a mark may stand in the storing core's buffer for so long.
    pub(crate) slack: u64,
    /// What `now` is.
    pub(crate) stamp: Stamp,
    /// Between anchors while records come.
    pub(crate) anchor_busy: u64,
    /// Between anchors while none come.
    pub(crate) anchor_idle: u64,
}

/// Where records have their ticks from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stamp {
    /// A counter that advances by itself.
    Counter,
    /// A word that the writer's thread refreshes before each step.
    Coarse,
    /// A word that the user sets. There are no watermarks then: order is kept per thread, and live readers are told
    /// the number of steps instead.
    Manual,
}

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Done {
    /// Records appended.
    pub(crate) records: u64,
    /// Records that sampling left out, or that are remembered.
    pub(crate) left_out: u64,
    /// A ring could not be emptied because no segment is free.
    pub(crate) starved: bool,
}

/// The writer's state.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) journal: Journal,
    pub(super) anchors: Anchors,
    /// What time a tick is for all processes of the directory; `None` where this one keeps its time alone.
    pub(super) clock: Option<Arc<ClockPage>>,
    pub(super) definitions: Definitions,
    pub(super) lanes: Vec<Lane>,
    pub(super) pace: Pace,
    /// The newest tick in the journal.
    pub(super) newest: u64,
    /// The watermark that live readers were told; at least the journal's.
    pub(super) live: u64,
    /// Where records are sampled.
    pub(super) sampling: Option<Box<Sampling>>,
    /// Where records are remembered.
    pub(super) flight: Option<flight::Rules>,
    /// Scratch for [`drain_in_order`](Self::drain_in_order).
    pub(super) order: BinaryHeap<Reverse<(u64, usize)>>,
    /// Where records are copied to out of a ring; see [`Batch::staged`](crate::ring::consumer::Batch::staged).
    pub(super) stage: Vec<u8>,
    /// The last step's time.
    before: u64,
    steps: u64,
    /// Calls without a ring that the journal states.
    pub(super) without_ring: u64,
    /// This is recovery: nobody is in the midst of a call any more.
    pub(super) heir: bool,
    /// Records since the last anchor.
    pub(super) since_anchor: u64,
    pub(super) written: u64,
    pub(super) dropped: u64,
    pub(super) late: u64,
    starved: u64,
}

impl Writer {
    /// A writer that starts a journal behind segment `last_number`.
    pub(crate) fn new(origin: Origin, last_number: u64, anchors: Anchors, pace: Pace) -> Self {
        Self {
            journal: Journal::new(origin, last_number),
            anchors,
            clock: None,
            definitions: Definitions::new(),
            lanes: Vec::with_capacity(64),
            pace,
            newest: 0,
            live: 0,
            sampling: None,
            flight: None,
            order: BinaryHeap::with_capacity(64),
            stage: vec![0; STAGE_BYTES],
            before: 0,
            steps: 0,
            without_ring: 0,
            heir: false,
            since_anchor: 0,
            written: 0,
            dropped: 0,
            late: 0,
            starved: 0,
        }
    }

    /// One round. `now` is read from the clock that stamps the records; `sample` reads it together with the wall clock,
    /// and is called about once a second.
    pub(crate) fn step(&mut self, ground: Ground<'_>, now: u64, sample: impl FnOnce() -> (u64, i64)) -> Done {
        self.journal.now = now;
        if self.journal.is_lost(ground.segments) {
            // What of it is left is archived; how much that is, the worker says.
            self.release_all(ground);
            self.journal.give_up(ground.control, ground.segments);
        }
        self.keep_time(ground, now, sample);
        for number in self.lanes.len()..ground.pool.made() {
            let Some(ring) = ground.pool.ring(number) else { break };
            let mut lane = Lane::new(ring, now);
            if self.flight.is_some() {
                lane.consumer.begin_memory(ring.header());
            }
            self.lanes.push(lane);
        }
        let seen = match self.pace.stamp {
            Stamp::Counter => now.saturating_sub(self.pace.slack),
            // Who began before this step's refresh was visible to it has the value of the step before.
            Stamp::Coarse => self.before.saturating_sub(1),
            Stamp::Manual => 0,
        };
        self.before = now;
        let mut done = Done::default();
        if self.sampling.is_some() {
            self.tend_sampling(ground, now);
        }
        self.drain_in_order(ground, now, &mut done);
        let asked = self.summaries_asked(ground);
        let mut watermark = seen;
        for index in 0..self.lanes.len() {
            let Some(ring) = ground.pool.ring(index) else { continue };
            if ring.is_lost() && ground.pool.is_settled(index) {
                continue;
            }
            let Some(lane) = self.lanes.get_mut(index) else { break };
            // The mark is looked at before the ring is drained: a call that begins later reads its clock after `now`.
            let in_progress = lane.consumer.in_progress(ring.header());
            let drained = if self.sampling.is_none() {
                self.drain::<false>(ground, ring, index, now, &mut done)
            } else {
                self.drain::<true>(ground, ring, index, now, &mut done)
            };
            let drained = drained && (!ring.is_lost() || self.account(ground, ring, index, false));
            let Some(lane) = self.lanes.get_mut(index) else { break };
            if !drained {
                // What is left in the ring may be older than anything.
                watermark = watermark.min(lane.clear_at);
                done.starved = true;
            } else if in_progress {
                let patience = lane.clear_at.saturating_add(self.pace.order_wait);
                watermark = watermark.min(if patience > now { lane.clear_at } else { seen });
            } else {
                lane.clear_at = seen;
            }
        }
        done.starved |= !self.state_without_ring(ground, watermark);
        if let Some((level, text)) = ground.control.statement.waiting() {
            self.take_statement(ground, now, level, &text);
        }
        self.steps += 1;
        if self.sampling.is_some() {
            let asked = if done.starved { None } else { asked };
            self.summarise_due(ground, watermark, now, asked);
        }
        self.state_watermark(ground, watermark);
        self.live = self.live.max(watermark);
        self.publish(ground, now, done);
        done
    }

    /// How ticks are time at present.
    pub(crate) fn anchor(&self) -> Anchor {
        self.anchors.current()
    }

    /// Says again in a control page that was made anew what others count there.
    pub(crate) fn restore(&self, ground: Ground<'_>) {
        ground.control.request.dropped_without_ring.fetch_add(self.without_ring, Ordering::Relaxed);
        ground.control.writer.without_ring.store(self.without_ring, Ordering::Relaxed);
        self.definitions.census.restore();
    }

    /// This writer, with what it counts stored in `page`.
    pub(crate) fn with_health(mut self, page: Arc<HealthPage>) -> Self {
        self.definitions.census.publish_to(page);
        self
    }

    /// Whether every ring is empty, no call in progress, and every loss stated.
    pub(crate) fn is_drained(&self, ground: Ground<'_>) -> bool {
        self.lanes.len() == ground.pool.made()
            && self.is_emptied(ground)
            && self.lanes.iter().zip(0..).all(|(lane, number)| {
                ground.pool.ring(number).is_none_or(|ring| !lane.consumer.in_progress(ring.header()))
            })
    }

    /// Whether nothing is left in the rings, calls in progress aside, and every loss stated.
    pub(crate) fn is_emptied(&self, ground: Ground<'_>) -> bool {
        let emptied = |(lane, number): (&Lane, usize)| {
            ground.pool.ring(number).is_none_or(|ring| {
                lane.consumer.available(ring.header(), ring.capacity()) == lane.consumer.tail
                    && lane.consumer.trailing_drops(ring.header(), self.heir) == 0
            })
        };
        self.lanes.iter().zip(0..).all(emptied) && without_ring(ground) <= self.without_ring
    }

    /// Ends the journal: the growing segment is sealed. The rings were drained before.
    ///
    /// Without room, summaries stay in shared memory; [`summarise_all`](Self::summarise_all) before tells.
    pub(crate) fn finish(&mut self, ground: Ground<'_>, now: u64) {
        for index in 0..self.lanes.len() {
            if let Some(ring) = ground.pool.ring(index).filter(|ring| ring.is_lost() && !ground.pool.is_settled(index))
            {
                self.account(ground, ring, index, true);
            }
        }
        self.summarise_all(ground, now);
        if self.is_emptied(ground) {
            self.end_flight(ground);
        }
        self.state_watermark(ground, self.newest.max(now));
        self.live = self.live.max(self.journal.watermark);
        self.journal.seal(ground.control, ground.segments);
        self.publish(ground, now, Done::default());
    }

    /// Puts what the worker has to say into the journal; without room it waits.
    #[cold]
    fn take_statement(&mut self, ground: Ground<'_>, now: u64, level: Level, text: &str) {
        if self.note_at(level, ground, now.max(self.live.saturating_add(1)), text) {
            ground.control.statement.taken();
        }
    }

    /// Puts the logger's own words into the journal, as a warning; `false`, and nothing done, without room.
    pub(crate) fn note(&mut self, ground: Ground<'_>, ticks: u64, message: &str) -> bool {
        self.note_at(Level::Warn, ground, ticks, message)
    }

    /// The same, at a level.
    #[cold]
    fn note_at(&mut self, level: Level, ground: Ground<'_>, ticks: u64, message: &str) -> bool {
        let target = "tachograph";
        let mut payload = Vec::with_capacity(8 + target.len() + message.len());
        payload.extend([level as u8, 0]);
        payload.extend((target.len() as u16).to_le_bytes());
        payload.extend((message.len() as u32).to_le_bytes());
        payload.extend(target.as_bytes());
        payload.extend(message.as_bytes());
        let done =
            self.make_room(ground, frame_bytes(payload.len())) && self.journal.own(Kind::Note, ticks, 0, &payload);
        if done {
            self.newest = self.newest.max(ticks);
        }
        done
    }

    fn state_watermark(&mut self, ground: Ground<'_>, watermark: u64) {
        if self.newest <= self.journal.watermark || watermark <= self.journal.watermark {
            return;
        }
        self.mark(ground, watermark);
    }

    /// Live readers were told more than the journal says, and now a record comes that is late by it: the journal must
    /// say so first, or the record's lateness could not be seen later.
    #[cold]
    pub(super) fn mark_late(&mut self, ground: Ground<'_>) -> bool {
        self.mark(ground, self.live)
    }

    fn mark(&mut self, ground: Ground<'_>, watermark: u64) -> bool {
        let done = self.make_room(ground, frame_bytes(0)) && self.journal.own(Kind::Watermark, watermark, 0, &[]);
        if done {
            self.journal.watermark = watermark;
        }
        done
    }

    fn publish(&mut self, ground: Ground<'_>, now: u64, done: Done) {
        let words = &ground.control.writer;
        self.starved += u64::from(done.starved);
        self.publish_sampled(ground);
        self.publish_flight(ground);
        self.journal.tell(ground.segments);
        self.definitions.census.publish(now, self.pace.stamp != Stamp::Manual);
        words.written.store(self.written, Ordering::Relaxed);
        words.dropped.store(self.dropped, Ordering::Relaxed);
        words.late.store(self.late, Ordering::Relaxed);
        words.bytes.store(self.journal.bytes, Ordering::Relaxed);
        words.rotations.store(self.journal.rotations, Ordering::Relaxed);
        words.starved.store(self.starved, Ordering::Relaxed);
        words.heartbeat.store(now, Ordering::Release);
        let watermark = if self.pace.stamp == Stamp::Manual { self.steps } else { self.live };
        // SYNC POINT with the load of `watermark` in readers: all frames up to it are published.
        words.watermark.store(watermark, Ordering::Release);
    }
}
