//! One round of the writer over all rings.
//!
//! Per step: note the time, drain every ring, append, then state up to which tick everything is in the journal (the
//! watermark). A call that was in progress when its ring was looked at holds the watermark back at the last time its
//! ring was seen without one, for at most `order_wait`; what comes later than that is appended all the same, is "late" by the
//! definition of the watermark, and counted.

use super::definitions::{Definitions, Need};
use super::journal::{Journal, Origin, Tally};
use super::sampled::{Sampled, Sampling};
use crate::clock::anchor::{Anchor, Anchors};
use crate::flight;
use crate::level::Level;
use crate::ring::consumer::{Batch, Front, STAGE_BYTES, Waiting};
use crate::ring::memory::Ring;
use crate::ring::pool::Pool;
use crate::ring::protocol::{CAUSES, Consumer, THREAD_WORDS};
use crate::segment::append::frame_bytes;
use crate::segment::layout::{
    CAUSE_INTERRUPTED, CAUSE_LOST, CAUSE_WITHOUT_RING, FRAME_HEADER_BYTES, Kind, SITE_INLINE, SITE_THREAD, WRITER_RING,
    bare_site, is_remembered, u32_at, u64_at,
};
use crate::segment::live::LiveSegments;
use crate::shm::clock_page::ClockPage;
use crate::shm::control::Control;
use crate::shm::control_page::HealthPage;
use crate::shm::table::Table;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
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

/// What the writer knows of a ring.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) consumer: Consumer,
    /// The last time at which no call was in progress.
    clear_at: u64,
    /// Payload of the thread's definition, and the call number from which it holds.
    thread: Vec<u8>,
    thread_seq: u32,
    /// The segment that has it.
    thread_in: u64,
    /// Drops that the journal states, by cause, and those of a lost ring.
    dropped: [u64; CAUSES],
    lost: u64,
    /// Definitions of threads that were taken, or given up with lost memory.
    announced: u64,
    /// Records that the flight recorder forgot, as the journal tells.
    pub(super) forgotten_told: u64,
    /// Of a lost ring: calls on it, and for how many steps it has not seen another.
    still: (u64, u32),
}

/// A lost ring on which no call began for so many steps has none in progress that could still bring a record.
const STILL_STEPS: u32 = 64;
/// Bytes of a thread's definition: eight of numbers, 128 of name.
const THREAD_BYTES_MAX: usize = (THREAD_WORDS - 1) * 8;

/// What one statement of a loss takes.
const STATEMENT_BYTES: usize = frame_bytes(16);
/// What the statements of one loss take at most: one for each cause, and one for what no cause was counted for.
pub(super) const STATEMENTS_BYTES_MAX: usize = (CAUSES + 1) * STATEMENT_BYTES;

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
    /// Where records are copied to out of a ring; see [`Batch::staged`].
    stage: Vec<u8>,
    /// The last step's time.
    before: u64,
    steps: u64,
    /// Calls without a ring that the journal states.
    without_ring: u64,
    /// This is recovery: nobody is in the midst of a call any more.
    pub(super) heir: bool,
    /// Records since the last anchor.
    pub(super) since_anchor: u64,
    pub(super) written: u64,
    dropped: u64,
    late: u64,
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

    /// Takes over from a writer that died: `known` says what its newest segment tells.
    pub(crate) fn adopt(&mut self, ground: Ground<'_>, known: &Inheritance) {
        let words = &ground.control.writer;
        self.heir = true;
        self.without_ring = accounted(words.without_ring.load(Ordering::Relaxed), known.accounted.get(&WRITER_RING));
        self.written = words.written.load(Ordering::Relaxed);
        self.dropped = words.dropped.load(Ordering::Relaxed);
        self.late = words.late.load(Ordering::Relaxed);
        self.live = words.watermark.load(Ordering::Relaxed);
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

    /// States what cannot come any more out of a ring whose memory was lost, and settles the ring when its thread has left
    /// it. With `last`, no call begins any more. `false`, and nothing done, without room.
    #[cold]
    fn account(&mut self, ground: Ground<'_>, ring: &Ring, index: usize, last: bool) -> bool {
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

    /// Takes what `ring` holds; `false` when something had to stay.
    fn drain<const SAMPLED: bool>(
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

    /// Passes over bytes of a ring that are no record; the calls that are missing then are stated when they are known.
    /// `false`, and nothing done, without room.
    #[cold]
    fn pass(&mut self, ground: Ground<'_>, ring: &Ring, index: usize, bytes: u64, now: u64) -> bool {
        ring.mark_lost();
        let text = format!("{bytes} bytes of ring {index} were truncated or overwritten by somebody else");
        let done = self.note(ground, now, &text);
        if let Some(lane) = self.lanes.get_mut(index).filter(|_| done) {
            lane.consumer.advance(bytes, lane.consumer.called);
        }
        done
    }

    /// States what was dropped behind the last record; `false`, and nothing done, without room.
    fn state_trailing(&mut self, ground: Ground<'_>, ring: &Ring, index: usize) -> bool {
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
    fn release_all(&mut self, ground: Ground<'_>) {
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
    fn state_without_ring(&mut self, ground: Ground<'_>, clear_at: u64) -> bool {
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
            _ if self.heir => self.newest.max(self.live + 1).max(self.anchors.current().ticks),
            _ => clear_at.max(self.live + 1),
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

    /// Puts what the worker has to say into the journal; without room it waits.
    #[cold]
    fn take_statement(&mut self, ground: Ground<'_>, now: u64, level: Level, text: &str) {
        if self.note_at(level, ground, now.max(self.live + 1), text) {
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
    fn mark_late(&mut self, ground: Ground<'_>) -> bool {
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

impl Lane {
    /// For a ring that cannot be read.
    fn empty() -> Self {
        Self {
            consumer: Consumer::none(),
            clear_at: 0,
            thread: Vec::new(),
            thread_seq: 0,
            thread_in: 0,
            dropped: [0; CAUSES],
            lost: 0,
            forgotten_told: 0,
            announced: 0,
            still: (0, 0),
        }
    }

    /// Passes over what the journal has already, up to and including the call before `accounted`; the name of the
    /// thread comes from where the last writer put it. `each` gets the records that are passed over.
    fn inherit(&mut self, ring: &Ring, accounted: Option<u32>, mut each: impl FnMut(Waiting<'_>)) {
        if let Some((length, words)) = ring.header().consumed.thread.split_first() {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
            let length = usize::try_from(length.load(Ordering::Relaxed)).unwrap_or(0);
            self.thread = bytes.get(..length).unwrap_or_default().to_vec();
        }
        let Some(accounted) = accounted else { return };
        let batch = ring.committed(self.consumer.tail, self.consumer.available(ring.header(), ring.capacity()));
        while let Front::Record(waiting) = self.consumer.front(&batch) {
            // A record is in the journal when its number, which is one less than `called`, is before `accounted`.
            if (waiting.called as u32).wrapping_sub(accounted) as i32 > 0 {
                break;
            }
            if waiting.site == SITE_THREAD {
                self.thread = waiting.bytes.get(FRAME_HEADER_BYTES..).unwrap_or_default().to_vec();
                self.thread_seq = u32_at(waiting.bytes, 20);
            } else {
                each(waiting);
            }
            self.consumer.advance(waiting.bytes.len() as u64, waiting.called);
        }
        // Drops behind the last record may be accounted for as well.
        self.consumer.account(self::accounted(self.consumer.called, Some(&accounted)));
    }

    /// Whether segment `number` says of which thread the ring is.
    #[inline]
    pub(super) fn is_defined_in(&self, number: u64) -> bool {
        self.thread_in == number
    }

    /// Gives the bytes that were taken back to the producer, but for what is remembered; see [`Consumer::release`].
    #[inline]
    pub(super) fn give_back(&mut self, ring: &Ring, flight: Option<&flight::Rules>, force: bool) {
        if let Some(flight) = flight
            && self.consumer.is_due(ring.capacity(), force)
        {
            self.consumer.trim(ring, flight.limits);
        }
        self.consumer.release(ring.header(), ring.capacity(), force);
    }

    fn new(ring: &Ring, now: u64) -> Self {
        Self {
            consumer: Consumer::attach(ring.header()),
            clear_at: now,
            thread: Vec::with_capacity(64),
            thread_seq: 0,
            thread_in: 0,
            dropped: [0; CAUSES],
            lost: 0,
            forgotten_told: 0,
            announced: 0,
            still: (0, 0),
        }
    }
}

/// The number of calls that the journal accounts for: `told`, or what its newest segment says if that is more.
fn accounted(told: u64, low_half: Option<&u32>) -> u64 {
    let ahead = low_half.map_or(0, |half| half.wrapping_sub(told as u32));
    // What is told stands in shared memory, and others may have stored anything there.
    if (ahead as i32) > 0 { told.saturating_add(u64::from(ahead)) } else { told }
}

/// Calls that no ring could count.
fn without_ring(ground: Ground<'_>) -> u64 {
    ground.control.request.dropped_without_ring.load(Ordering::Acquire)
}

/// The later of two numbers of calls, of which the low half is known.
fn later(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    match (one, other) {
        (Some(one), Some(other)) if other.wrapping_sub(one) as i32 > 0 => Some(other),
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}

pub(super) fn definition_bytes(need: Need) -> usize {
    match need {
        Need::Definition(copied) => frame_bytes(copied.length),
        Need::Nothing | Need::Unknown => 0,
    }
}
