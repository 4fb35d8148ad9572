//! The writer with sampling: asks for the verdict over each record, and writes summaries.
//!
//! The order of what is done here is that of the [table of kills](crate::sampling).

use super::definitions::{Definitions, Need, component_name};
use super::losses::STATEMENTS_BYTES_MAX;
use super::step::{Done, Ground, Stamp, Writer};
use super::take::definition_bytes;
use crate::ring::consumer::Waiting;
use crate::ring::memory::Ring;
use crate::sampling::{Catalogue, Sampler, Verdict, catalogue};
use crate::segment::append::frame_bytes;
use crate::segment::layout::Kind;
use crate::shm::table::Table;
use std::sync::atomic::Ordering;

/// Sampling, as a writer has it.
#[derive(Debug)]
pub(crate) struct Sampling {
    pub(super) sampler: Sampler,
    catalogue: Catalogue,
    /// Requests for all summaries that were carried out.
    asked: u64,
}

impl Sampling {
    pub(crate) fn new(sampler: Sampler) -> Box<Self> {
        Box::new(Self { sampler, catalogue: Catalogue::default(), asked: 0 })
    }
}

/// What sampling made of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sampled {
    /// It is to be appended; then comes [`Writer::applied`].
    Append,
    /// It was left out, and counted.
    LeftOut,
    /// There is no room for what has to be appended before.
    NoRoom,
}

/// The table of definitions behind its index.
struct Known<'a, 'b>(&'a mut Definitions, &'b Table);

impl catalogue::Definitions for Known<'_, '_> {
    fn site(&mut self, number: u32) -> Option<&[u8]> {
        self.0.site_payload(self.1, number)
    }

    fn component(&mut self, number: u32) -> Option<&str> {
        component_name(self.0.component_payload(self.1, number)?)
    }
}

impl Writer {
    /// This writer, with sampling.
    pub(crate) fn with_sampling(mut self, sampler: Option<Sampler>) -> Self {
        self.sampling = sampler.map(Sampling::new);
        self
    }

    /// This writer, with the sampling of another.
    #[cfg(any(test, fuzzing, feature = "testing"))]
    pub(crate) fn with_sampling_of(mut self, other: Self) -> Self {
        self.sampling = other.sampling;
        self
    }

    /// Whether it has sampling.
    pub(crate) fn samples(&self) -> bool {
        self.sampling.is_some()
    }

    fn judge(&mut self, ground: Ground<'_>, waiting: Waiting<'_>) -> Verdict {
        let Some(Sampling { sampler, catalogue, .. }) = self.sampling.as_deref_mut() else { return Verdict::Write };
        let known = &mut Known(&mut self.definitions, ground.table);
        match catalogue.subject(sampler.rules(), known, waiting.bytes, waiting.called) {
            None => sampler.pass(),
            Some(subject) => sampler.judge(&subject),
        }
    }

    /// Before a round: others may have taken the memory of its state away.
    pub(super) fn tend_sampling(&mut self, ground: Ground<'_>, now: u64) {
        if self.sampling.as_deref_mut().is_some_and(|sampling| sampling.sampler.tend()) {
            let text = "the state of sampling was truncated by somebody else: what it left out since its last summaries is not told";
            self.note(ground, now, text);
        }
    }

    /// Lets sampling judge a record, and leaves it out where that is the verdict.
    pub(super) fn sample(
        &mut self,
        ground: Ground<'_>,
        ring: &Ring,
        waiting: Waiting<'_>,
        ticks: u64,
        done: &mut Done,
    ) -> Sampled {
        loop {
            match self.judge(ground, waiting) {
                Verdict::Write => return Sampled::Append,
                Verdict::Summary(entry) => {
                    if !self.summarise(ground, entry, u64::MAX) {
                        return Sampled::NoRoom;
                    }
                }
                Verdict::LeaveOut => {
                    if waiting.hole > 0 {
                        if !self.make_room(ground, STATEMENTS_BYTES_MAX) {
                            return Sampled::NoRoom;
                        }
                        self.state_drops(ring, waiting.hole, ticks, waiting.called.wrapping_sub(waiting.hole + 1));
                    }
                    self.applied();
                    done.left_out += 1;
                    return Sampled::LeftOut;
                }
            }
        }
    }

    /// The record that was judged last is where it belongs.
    #[inline]
    pub(super) fn applied(&mut self) {
        if let Some(sampling) = self.sampling.as_deref_mut() {
            sampling.sampler.apply();
        }
    }

    /// Goes on with the state of sampling that a dead writer left: a record that is in the journal, but not in that
    /// state, is judged as it was then.
    pub(super) fn replay(&mut self, ground: Ground<'_>, waiting: Waiting<'_>) {
        if self.judge(ground, waiting) == Verdict::Write {
            self.applied();
        }
    }

    /// Calls on a ring up to the last one that sampling judged; `None` without any.
    pub(super) fn judged(&self, ring: u16) -> Option<u64> {
        self.sampling.as_deref().map(|sampling| sampling.sampler.applied(ring)).filter(|called| *called > 0)
    }

    /// Whether a summary is owed.
    pub(super) fn owes_summaries(&self) -> bool {
        self.sampling.as_deref().is_some_and(|sampling| sampling.sampler.owes())
    }

    /// The number of a request for all summaries that was not carried out yet. Looked at before the rings are drained, so
    /// that what was logged before the request is among what it asks for.
    #[inline]
    pub(super) fn summaries_asked(&self, ground: Ground<'_>) -> Option<u64> {
        let sampling = self.sampling.as_deref()?;
        let asked = ground.control.request.summaries.load(Ordering::Acquire);
        (asked != sampling.asked).then_some(asked)
    }

    /// Writes the summaries that are due when everything before `watermark` has been seen, and all where they were asked
    /// for.
    pub(super) fn summarise_due(&mut self, ground: Ground<'_>, watermark: u64, now: u64, asked: Option<u64>) {
        let horizon = if self.pace.stamp == Stamp::Manual { now } else { watermark };
        let due = if asked.is_some() { u64::MAX } else { horizon };
        if self.summarise_until(ground, due, horizon)
            && let (Some(asked), Some(sampling)) = (asked, self.sampling.as_deref_mut())
        {
            sampling.asked = asked;
        }
    }

    /// Writes all summaries; `false` when there is no room for one.
    pub(crate) fn summarise_all(&mut self, ground: Ground<'_>, now: u64) -> bool {
        self.summarise_until(ground, u64::MAX, now)
    }

    fn summarise_until(&mut self, ground: Ground<'_>, due: u64, horizon: u64) -> bool {
        loop {
            let Some(sampling) = self.sampling.as_deref_mut() else { return true };
            let Some(entry) = sampling.sampler.next_due(due) else { return true };
            if !self.summarise(ground, entry, horizon) {
                return false;
            }
        }
    }

    /// Appends the summary of an entry; `false`, and nothing done, without room.
    ///
    /// Its tick is that of the last record that it tells of, but behind the watermark that readers know, so that it is not
    /// late, and if possible not behind `horizon`, the next watermark, so that who waits for that sees it.
    #[cold]
    fn summarise(&mut self, ground: Ground<'_>, entry: usize, horizon: u64) -> bool {
        let Some(sampling) = self.sampling.as_deref_mut() else { return true };
        let Some(summary) = sampling.sampler.summary(entry) else { return true };
        let payload = sampling.sampler.payload().len();
        let ticks = match self.pace.stamp {
            Stamp::Manual => summary.last.max(self.newest),
            Stamp::Counter | Stamp::Coarse => summary.last.min(horizon).max(self.live.saturating_add(1)),
        };
        // Twice, because after a rotation everything has to be defined again.
        for _ in 0..2 {
            let number = self.journal.number();
            let (site, dynamic) = self.site_need(ground, summary.site, number);
            let component = if dynamic {
                self.definitions.component(ground.table, summary.component, number)
            } else {
                Need::Nothing
            };
            let needed = frame_bytes(payload) + definition_bytes(site) + definition_bytes(component);
            if !self.make_room(ground, needed) {
                return false;
            }
            if self.journal.number() != number {
                continue;
            }
            if self.define(Kind::Component, component) {
                self.definitions.component_defined(summary.component, number);
            }
            if self.define(Kind::Site, site) {
                self.definitions.site_defined(summary.site, number);
            }
            let Some(sampling) = self.sampling.as_deref_mut() else { return true };
            let seq = sampling.sampler.begin_summary(entry);
            if !self.journal.own(Kind::Suppressed, ticks, seq, sampling.sampler.payload()) {
                return false;
            }
            sampling.sampler.end_summary(entry);
            self.newest = self.newest.max(ticks);
            return true;
        }
        false
    }

    /// Tells others how many records were left out.
    pub(super) fn publish_sampled(&self, ground: Ground<'_>) {
        let Some(sampling) = self.sampling.as_deref() else { return };
        for (word, count) in ground.control.writer.sampled_out.iter().zip(sampling.sampler.out()) {
            word.store(count, Ordering::Relaxed);
        }
    }
}
