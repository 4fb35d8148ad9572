//! The line that ticks lie on, as all processes of a log directory share it. Pure: samples come in as arguments.
//!
//! A [`Line`] goes on with each sample of counter and wall clock. Its next anchor stands [`LEAD_NS`] after the sample, so
//! that every process knows it before a record has its tick, and no earlier than where the line is by then: equal ticks are
//! equal times in all of them, and times never go back.
//!
//! * A line behind the wall clock follows at once.
//! * A line ahead of it runs slower until the clock has caught up: by 1/2000, as `adjtime` does, for up to 1 s; by a tenth
//!   for more. Ahead by less than [`AHEAD_NS_MAX`] it is left alone.

use super::anchor::{Anchor, RATE_ONE};

/// How often a running logger makes a new anchor.
pub(crate) const INTERVAL_NS: u64 = 1_000_000_000;
/// How long after its sample an anchor begins: longer than a round of a writer takes.
pub(crate) const LEAD_NS: u64 = 20_000_000;
/// A line ahead of the wall clock by no more is not slowed: the samples are not better than that.
pub(crate) const AHEAD_NS_MAX: i64 = 1_000;
/// Rates are measured over at least this time; shorter spans would turn the reading error into drift.
const BASELINE_NS_MIN: u64 = 5_000_000;
/// A larger surprise since the last sample is a clock that was set, not one that drifts ...
const STEP_NS_MIN: i64 = 1_000_000;
/// ... or that is being slewed: by no more than this part of the time in between.
const DRIFT_PART: i64 = 1_000;

/// The line, and what it was measured by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    /// Counts the anchors.
    pub(crate) number: u64,
    /// The anchor in force from its tick on.
    pub(crate) current: Anchor,
    /// The one before it.
    pub(crate) previous: Anchor,
    /// Nanoseconds per tick, 32 fractional bits: the measured rate, without slewing.
    pub(crate) rate: u64,
    /// Where the measured baseline begins, and the last sample.
    base: (u64, i64),
    last: (u64, i64),
    /// Ticks after `current` at which the wall clock will have caught up; `u64::MAX` when nothing is to be caught up.
    pub(crate) catch_up: u64,
    /// How often the wall clock was set.
    pub(crate) steps: u64,
    /// By how much, the last time.
    pub(crate) step_ns: i64,
    /// How far the wall clock was before the line at the last sample.
    pub(crate) correction_ns: i64,
}

/// A line as words.
pub(crate) type LineWords = [u64; 16];

impl Line {
    /// A line through the sample `(ticks, unix_ns)` with a first guess of the rate.
    pub(crate) fn new(ticks: u64, unix_ns: i64, rate: u64) -> Self {
        let rate = rate.max(1);
        let current = Anchor { ticks, unix_ns, rate };
        let sample = (ticks, unix_ns);
        Self {
            number: 1,
            current,
            previous: current,
            rate,
            base: sample,
            last: sample,
            catch_up: u64::MAX,
            steps: 0,
            step_ns: 0,
            correction_ns: 0,
        }
    }

    /// The time of `ticks`, in nanoseconds since the Unix epoch.
    pub(crate) fn unix_ns(&self, ticks: u64) -> i64 {
        let anchor = if ticks >= self.current.ticks { &self.current } else { &self.previous };
        anchor.unix_ns(ticks)
    }

    /// The line after another sample; `None` when its anchor would not begin behind the present one.
    pub(crate) fn next(&self, ticks: u64, unix_ns: i64) -> Option<Self> {
        let lead = ticks_in(LEAD_NS, self.rate);
        let begin = ticks.saturating_add(lead);
        if begin <= self.current.ticks || ticks <= self.last.0 {
            return None;
        }
        let mut next = Self { number: self.number + 1, previous: self.current, last: (ticks, unix_ns), ..*self };
        let expected = Anchor { ticks: self.last.0, unix_ns: self.last.1, rate: self.rate }.unix_ns(ticks);
        let surprise = unix_ns.saturating_sub(expected);
        let elapsed_ns = expected.saturating_sub(self.last.1);
        if surprise.saturating_abs() > STEP_NS_MIN.saturating_add(elapsed_ns / DRIFT_PART) {
            next.base = (ticks, unix_ns);
            next.steps += 1;
            next.step_ns = surprise;
        } else {
            next.measure();
        }
        next.correction_ns = unix_ns.saturating_sub(self.unix_ns(ticks));
        let line_ns = self.current.unix_ns(begin);
        let clock_ns = Anchor { ticks, unix_ns, rate: next.rate }.unix_ns(begin);
        let ahead = line_ns.saturating_sub(clock_ns);
        let less = slew(next.rate, ahead);
        next.current = Anchor { ticks: begin, unix_ns: line_ns.max(clock_ns), rate: next.rate - less };
        next.catch_up = match less {
            0 => u64::MAX,
            _ => u64::try_from((u128::from(ahead.unsigned_abs()) << 32) / u128::from(less)).unwrap_or(u64::MAX),
        };
        Some(next)
    }

    fn measure(&mut self) {
        let span_ns = self.last.1.saturating_sub(self.base.1);
        let span_ticks = self.last.0.saturating_sub(self.base.0);
        if u64::try_from(span_ns).is_ok_and(|span| span >= BASELINE_NS_MIN) && span_ticks > 0 {
            let rate = ((span_ns as u128) << 32) / u128::from(span_ticks);
            self.rate = u64::try_from(rate).unwrap_or(self.rate).max(1);
        }
    }

    /// As words, for shared memory.
    pub(crate) fn words(&self) -> LineWords {
        let Anchor { ticks, unix_ns, rate } = self.current;
        let before = self.previous;
        [
            self.number,
            ticks,
            unix_ns as u64,
            rate,
            before.ticks,
            before.unix_ns as u64,
            before.rate,
            self.rate,
            self.base.0,
            self.base.1 as u64,
            self.last.0,
            self.last.1 as u64,
            self.catch_up,
            self.steps,
            self.step_ns as u64,
            self.correction_ns as u64,
        ]
    }

    /// From words; `None` when no line is like that.
    pub(crate) fn from_words(words: &LineWords) -> Option<Self> {
        let [number, ticks, unix_ns, rate, before, before_ns, before_rate, measured, rest @ ..] = *words;
        let [base, base_ns, last, last_ns, catch_up, steps, step_ns, correction_ns] = rest;
        let line = Self {
            number,
            current: Anchor { ticks, unix_ns: unix_ns as i64, rate },
            previous: Anchor { ticks: before, unix_ns: before_ns as i64, rate: before_rate },
            rate: measured,
            base: (base, base_ns as i64),
            last: (last, last_ns as i64),
            catch_up,
            steps,
            step_ns: step_ns as i64,
            correction_ns: correction_ns as i64,
        };
        (number > 0 && number < u64::MAX && rate > 0 && before_rate > 0 && measured > 0 && before <= ticks)
            .then_some(line)
    }
}

/// How much to take off `rate` to be rid of `ahead_ns`.
pub(super) fn slew(rate: u64, ahead_ns: i64) -> u64 {
    if ahead_ns <= AHEAD_NS_MAX {
        return 0;
    }
    if ahead_ns > 1_000_000_000 {
        return rate / 10;
    }
    // Within one interval if 1/2000 suffices for that.
    let wanted = u128::from(rate) * u128::from(ahead_ns.unsigned_abs()) / u128::from(INTERVAL_NS);
    u64::try_from(wanted).unwrap_or(u64::MAX).min(rate / 2000)
}

fn ticks_in(ns: u64, rate: u64) -> u64 {
    let ticks = u128::from(ns) * u128::from(RATE_ONE) / u128::from(rate.max(1));
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
