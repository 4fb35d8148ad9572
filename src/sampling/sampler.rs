//! The table of identities, and the decision over each record.

use super::memory::{At, Cause, Dimensions, Memory, Step};
use super::place::Place;
use super::rules::{Bucket, Class, Rules, Sameness, Share};
use super::subject::Subject;
use crate::shm::words::Words;
use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};
use std::sync::Arc;

/// Entries that an identity may stand in, by its hash. When all are taken, the one that was not seen for the longest goes,
/// of those of which nothing is left out if there are any: a flood keeps its place however many other messages come.
pub(crate) const WAYS: usize = 8;

/// What becomes of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It is written. Once it is, [`Sampler::apply`] has to be called.
    Write,
    /// It is left out, once [`Sampler::apply`] was called.
    LeaveOut,
    /// The summary of this entry has to be written first; then ask again.
    Summary(usize),
}

/// A summary that is to be written; [`Sampler::payload`] is its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Summary {
    /// The call site of the last record that was left out.
    pub(crate) site: u32,
    /// Its component, if the call site has none of its own.
    pub(crate) component: u32,
    /// The greatest tick of the identity.
    pub(crate) last: u64,
}

/// Decides which records are written. See the [module](super).
#[derive(Debug)]
pub(crate) struct Sampler {
    memory: Memory,
    rules: Rules,
    /// What the shared words say as well, which others can take away.
    out: [u64; super::CAUSES],
    summaries: u64,
    /// It began anew since the memory was lost.
    began_again: bool,
    secrets: RapidSecrets,
    /// What the last verdict changes.
    step: Step,
    /// No summary is due before; `u64::MAX` where nothing is left out.
    due: u64,
    /// What `due` becomes with the step.
    due_after: u64,
    payload: Vec<u8>,
    /// Scratch for the comparison of payloads.
    other: Vec<u8>,
}

/// When the interval that began at `start` ends: before "never".
fn end(rules: &Rules, start: u64) -> u64 {
    start.saturating_add(rules.interval).min(u64::MAX - 1)
}

impl Sampler {
    /// Memory that the rules and a table of `entries` need, for payloads of up to `payload_bytes_max`.
    pub(crate) fn dimensions(rules: &Rules, entries: usize, payload_bytes_max: usize) -> Dimensions {
        let entries = rules.shares.len() + entries.next_multiple_of(WAYS);
        Dimensions { entries, payload_words: payload_bytes_max.div_ceil(8) }
    }

    /// A sampler that knows nothing yet, in zeroed memory of these dimensions.
    pub(crate) fn create(words: Words, dimensions: Dimensions, rules: Rules) -> Option<Self> {
        let memory = Memory::create(words, dimensions, &rules.encode())?;
        Some(Self::with(memory, rules))
    }

    /// Goes on where a dead writer was killed. `last_summary` is the number of the last summary in the newest segment.
    /// `None` where the memory cannot be used.
    pub(crate) fn adopt(words: Words, last_summary: Option<u32>) -> Option<Self> {
        let memory = Memory::adopt(words)?;
        let rules = Rules::decode(&memory.rules()).ok()?;
        if memory.dimensions().entries < rules.shares.len() + WAYS {
            return None;
        }
        let mut sampler = Self::with(memory, rules);
        if let Some(entry) = sampler.memory.intent() {
            if last_summary == Some(sampler.summary_number()) {
                sampler.end_summary(entry);
            } else {
                sampler.memory.intend(None);
            }
        }
        // Whatever is left out comes to light at the first look.
        sampler.due = 0;
        sampler.next_due(0);
        Some(sampler)
    }

    fn with(memory: Memory, rules: Rules) -> Self {
        Self {
            out: memory.out(),
            summaries: memory.summaries(),
            began_again: false,
            memory,
            secrets: RapidSecrets::seed(rules.seed),
            rules,
            step: Step::default(),
            due: u64::MAX,
            due_after: u64::MAX,
            payload: Vec::with_capacity(1024),
            other: Vec::with_capacity(1024),
        }
    }

    /// The rules.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Number of calls on `ring` up to the last one that sampling judged; 0 for none.
    pub(crate) fn applied(&self, ring: u16) -> u64 {
        self.memory.applied(ring)
    }

    /// Records left out, by cause.
    pub(crate) fn out(&self) -> [u64; super::CAUSES] {
        self.out
    }

    /// Where its state stands, for who looks whether that is still there.
    pub(crate) fn place(&self) -> Arc<Place> {
        Arc::clone(self.memory.home())
    }

    /// Between two rounds: moves to memory that is offered in the place of what others took away, and begins anew where they
    /// destroyed the state. Says so if it did.
    #[inline]
    pub(crate) fn tend(&mut self) -> bool {
        let place = self.memory.home();
        match place.take_offer() {
            Some(Some(words)) => {
                place.put_back(&words);
                false
            }
            Some(None) => self.begin_again(false),
            None if place.is_lost() && !self.began_again => self.begin_again(true),
            None => false,
        }
    }

    /// `is_lost`: in memory that the next offer replaces.
    #[cold]
    fn begin_again(&mut self, is_lost: bool) -> bool {
        let is_news = !std::mem::replace(&mut self.began_again, is_lost);
        self.memory.begin_again(&self.rules.encode(), self.out, self.summaries);
        self.due = u64::MAX;
        is_news
    }

    /// Whether records are left out that no summary tells of.
    pub(crate) fn owes(&self) -> bool {
        self.due != u64::MAX
    }

    /// What becomes of a record. Nothing is changed before [`apply`](Self::apply).
    pub(crate) fn judge(&mut self, subject: &Subject<'_>) -> Verdict {
        self.pass();
        if subject.payload.len().div_ceil(8) > self.memory.dimensions().payload_words {
            return Verdict::Write;
        }
        match subject.class {
            Class::Spared => Verdict::Write,
            Class::Repeat => self.judge_repeat(subject),
            Class::Share(entry, share) => self.judge_share(subject, entry, share),
        }
    }

    /// The verdict over a record that no rule concerns.
    pub(crate) fn pass(&mut self) -> Verdict {
        self.step.clear();
        self.due_after = self.due;
        Verdict::Write
    }

    /// Does what the last verdict said.
    #[inline]
    pub(crate) fn apply(&mut self) {
        self.memory.commit(&self.step);
        if let Some(count) = self.step.left_out().and_then(|cause| self.out.get_mut(cause as usize)) {
            *count = count.saturating_add(1);
        }
        self.due = self.due_after;
        self.step.clear();
    }

    fn judge_repeat(&mut self, subject: &Subject<'_>) -> Verdict {
        let hash = self.hash(subject);
        let (memory, rules) = (&self.memory, &self.rules);
        let groups = (memory.dimensions().entries - rules.shares.len()) / WAYS;
        let first = rules.shares.len() + (hash as usize % groups) * WAYS;
        let mut victim = (first, (true, u64::MAX));
        for entry in first..first + WAYS {
            let found = memory.entry(entry, At::Hash);
            // Byte for byte, so that no collision of hashes ever leaves out what was not said.
            let of_site = found == hash && memory.entry(entry, At::Site) as u32 == subject.site;
            if of_site && subject.same(memory, entry, &mut self.other) {
                return self.judge_known(subject, entry);
            }
            // Entries that are free have 0 in both.
            let rank = (memory.entry(entry, At::Suppressed) > 0, memory.entry(entry, At::Last));
            if rank < victim.1 {
                victim = (entry, rank);
            }
        }
        let (entry, _) = victim;
        if memory.entry(entry, At::Suppressed) > 0 {
            return Verdict::Summary(entry);
        }
        let (bucket, _) = Bucket::full(rules, subject.ticks).take(rules, subject.ticks);
        let step = &mut self.step;
        for (at, value) in [
            (At::Hash, hash),
            (At::Site, u64::from(subject.site)),
            (At::Start, bucket.start),
            (At::Tokens, bucket.tokens),
            (At::Last, subject.ticks),
        ] {
            step.entry(memory, entry, at, value);
        }
        step.payload(memory, entry, subject.payload);
        step.call(memory, subject.ring, subject.called, None);
        Verdict::Write
    }

    fn judge_known(&mut self, subject: &Subject<'_>, entry: usize) -> Verdict {
        let (memory, rules) = (&self.memory, &self.rules);
        let bucket = Bucket { start: memory.entry(entry, At::Start), tokens: memory.entry(entry, At::Tokens) };
        if bucket.is_over(rules, subject.ticks) && memory.entry(entry, At::Suppressed) > 0 {
            return Verdict::Summary(entry);
        }
        let (bucket, admitted) = bucket.take(rules, subject.ticks);
        self.step.entry(memory, entry, At::Start, bucket.start);
        self.step.entry(memory, entry, At::Tokens, bucket.tokens);
        if !admitted {
            let keep = rules.sameness != Sameness::Arguments;
            return self.leave_out(subject, entry, Cause::Repeat, keep, bucket.start);
        }
        let last = memory.entry(entry, At::Last).max(subject.ticks);
        self.step.entry(memory, entry, At::Last, last);
        self.step.call(memory, subject.ring, subject.called, None);
        Verdict::Write
    }

    fn judge_share(&mut self, subject: &Subject<'_>, entry: usize, share: Share) -> Verdict {
        let memory = &self.memory;
        let start = memory.entry(entry, At::Start);
        let suppressed = memory.entry(entry, At::Suppressed);
        if suppressed > 0 && subject.ticks.saturating_sub(start) >= self.rules.interval {
            return Verdict::Summary(entry);
        }
        let (cause, written) = match share {
            Share::Every(number) => {
                let turn = memory.entry(entry, At::Tokens);
                self.step.entry(memory, entry, At::Tokens, turn.wrapping_add(1) % number);
                (Cause::Every, turn == 0)
            }
            Share::Probability(limit) => (Cause::Probability, self.lot(subject) <= limit),
        };
        if written {
            self.step.call(memory, subject.ring, subject.called, None);
            return Verdict::Write;
        }
        // The intervals of a share begin with the first record that is left out.
        let start = if suppressed == 0 { subject.ticks } else { start };
        self.step.entry(memory, entry, At::Start, start);
        self.leave_out(subject, entry, cause, true, start)
    }

    /// `keep` makes this record the one that the summary shows.
    fn leave_out(&mut self, subject: &Subject<'_>, entry: usize, cause: Cause, keep: bool, start: u64) -> Verdict {
        let (memory, step) = (&self.memory, &mut self.step);
        let suppressed = memory.entry(entry, At::Suppressed);
        if suppressed == 0 {
            step.entry(memory, entry, At::Since, subject.ticks);
            self.due_after = self.due.min(end(&self.rules, start));
        }
        let site = u64::from(subject.site) | (cause as u64) << 32;
        let last = memory.entry(entry, At::Last).max(subject.ticks);
        step.entry(memory, entry, At::Suppressed, suppressed.saturating_add(1));
        step.entry(memory, entry, At::Last, last);
        if keep {
            step.payload(memory, entry, subject.payload);
        }
        step.entry(memory, entry, At::Site, site);
        step.call(memory, subject.ring, subject.called, Some(cause));
        Verdict::LeaveOut
    }

    /// Not 0, which says that an entry is free.
    fn hash(&self, subject: &Subject<'_>) -> u64 {
        let head = u64::from(subject.site) | u64::from(subject.component) << 32;
        let bytes = rapidhash_v3_seeded(subject.identity, &self.secrets);
        let mixed = u128::from(bytes ^ head) * 0x9e37_79b9_7f4a_7c15_u128;
        ((mixed as u64) ^ (mixed >> 64) as u64 ^ bytes).max(1)
    }

    /// A number that depends on the seed, the ring and the number of the call only.
    fn lot(&self, subject: &Subject<'_>) -> u64 {
        let call = u64::from(subject.called.wrapping_sub(1) as u32) | u64::from(subject.ring) << 32;
        rapidhash_v3_seeded(&call.to_le_bytes(), &self.secrets)
    }

    /// An entry whose interval is over at `horizon` and of which records were left out.
    #[inline]
    pub(crate) fn next_due(&mut self, horizon: u64) -> Option<usize> {
        if self.due > horizon { None } else { self.look(horizon) }
    }

    #[cold]
    fn look(&mut self, horizon: u64) -> Option<usize> {
        let mut least = u64::MAX;
        for entry in 0..self.memory.dimensions().entries {
            if self.memory.entry(entry, At::Suppressed) > 0 {
                let end = end(&self.rules, self.memory.entry(entry, At::Start));
                if end <= horizon {
                    return Some(entry);
                }
                least = least.min(end);
            }
        }
        self.due = least;
        None
    }

    /// What the summary of an entry says; `None` where nothing was left out.
    pub(crate) fn summary(&mut self, entry: usize) -> Option<Summary> {
        let count = self.memory.entry(entry, At::Suppressed);
        if count == 0 {
            return None;
        }
        // Site and cause stand in the word as they do in the frame.
        let site = self.memory.entry(entry, At::Site);
        self.payload.clear();
        for word in [site, count, self.memory.entry(entry, At::Since)] {
            self.payload.extend_from_slice(&word.to_le_bytes());
        }
        self.memory.payload(entry, &mut self.payload);
        let component = crate::segment::layout::u32_at(&self.payload, 24);
        Some(Summary { site: site as u32, component, last: self.memory.entry(entry, At::Last) })
    }

    /// The payload of the last [`summary`](Self::summary).
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Says that the summary of an entry is about to be written; returns its number, which has to stand with it.
    pub(crate) fn begin_summary(&mut self, entry: usize) -> u32 {
        self.memory.intend(Some(entry));
        self.summary_number()
    }

    fn summary_number(&self) -> u32 {
        self.summaries.wrapping_add(1) as u32
    }

    /// Says that the summary of an entry was written.
    pub(crate) fn end_summary(&mut self, entry: usize) {
        self.step.clear();
        self.summaries = self.summaries.wrapping_add(1);
        self.step.summarised(&self.memory, entry);
        self.memory.commit(&self.step);
        self.step.clear();
    }

    /// Records of a ring that were left out.
    #[cfg(test)]
    pub(crate) fn left_out(&self, ring: u16) -> u64 {
        self.memory.left_out(ring)
    }
}
