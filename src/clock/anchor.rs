//! How one journal makes ticks time. Pure.
//!
//! An [`Anchor`] is a straight line: a tick, the time at that tick, the nanoseconds per tick. The writer puts those of the
//! shared [`Line`] into the journal; a tick is converted by the last anchor at or before it that stands before the record.
//! An anchor is put behind every tick that stands in the journal, and never below where the one before arrives, so
//! converted times never go back, whatever the shared line does.

use super::line::{AHEAD_NS_MAX, Line, slew};

/// A line from ticks to time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Anchor {
    /// The tick at which it starts.
    pub(crate) ticks: u64,
    /// Nanoseconds since the Unix epoch at that tick.
    pub(crate) unix_ns: i64,
    /// Nanoseconds per tick, 32 fractional bits.
    pub(crate) rate: u64,
}

/// A rate of one nanosecond per tick.
pub(crate) const RATE_ONE: u64 = 1 << 32;
/// Anchors that a segment begins with at most. While so many are needed for records that may still come, no new one is
/// made.
pub(crate) const ANCHORS_MAX: usize = 16;

impl Anchor {
    /// The time of `ticks`, in nanoseconds since the Unix epoch; ticks before the anchor are extrapolated.
    pub(crate) fn unix_ns(&self, ticks: u64) -> i64 {
        let distance = i128::from(ticks) - i128::from(self.ticks);
        let ns = i128::from(self.unix_ns) + ((distance * i128::from(self.rate)) >> 32);
        i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
    }
}

/// The anchors of a journal.
#[derive(Clone, Debug)]
pub(crate) struct Anchors {
    /// Never empty; ticks increase.
    recent: Vec<Anchor>,
    /// The newest line that is known, and the tick of its last anchor that was taken over.
    line: Line,
    followed: u64,
    waits: bool,
    /// Steps of the wall clock that the log tells of.
    steps_told: u64,
}

impl Anchors {
    /// Starts at the sample `(ticks, unix_ns)` with a first guess of the rate.
    pub(crate) fn new(ticks: u64, unix_ns: i64, rate: u64) -> Self {
        Self::of(Line::new(ticks, unix_ns, rate))
    }

    /// Starts with a line that others may have begun.
    pub(crate) fn of(line: Line) -> Self {
        let mut recent = Vec::with_capacity(ANCHORS_MAX);
        recent.extend((line.previous.ticks < line.current.ticks).then_some(line.previous));
        recent.push(line.current);
        Self { recent, followed: line.current.ticks, waits: false, steps_told: line.steps, line }
    }

    /// Starts with the anchors of another journal's end; `last` where there are none.
    pub(crate) fn resume(all: &[Anchor], last: Anchor) -> Self {
        let from = all.len().saturating_sub(ANCHORS_MAX);
        let mut recent: Vec<Anchor> = Vec::with_capacity(ANCHORS_MAX);
        for anchor in all.get(from..).unwrap_or_default() {
            if anchor.rate > 0 && recent.last().is_none_or(|before| before.ticks < anchor.ticks) {
                recent.push(*anchor);
            }
        }
        let last = recent.last().copied().unwrap_or(last);
        let mut anchors = Self::new(last.ticks, last.unix_ns, last.rate);
        if !recent.is_empty() {
            anchors.recent = recent;
        }
        anchors
    }

    /// The newest anchor.
    pub(crate) fn current(&self) -> Anchor {
        self.recent.last().copied().unwrap_or(self.line.current)
    }

    /// All that records which may still come are converted by, oldest first.
    pub(crate) fn recent(&self) -> &[Anchor] {
        &self.recent
    }

    /// The newest line that is known.
    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// The time of a tick.
    pub(crate) fn unix_ns(&self, ticks: u64) -> i64 {
        let holds = self.recent.iter().rev().find(|anchor| anchor.ticks <= ticks).or(self.recent.first());
        holds.unwrap_or(&self.line.current).unix_ns(ticks)
    }

    /// Hears of a line; an older one than is known says nothing.
    pub(crate) fn hear(&mut self, line: Line) {
        if line.number > self.line.number {
            self.line = line;
            self.waits = true;
        }
    }

    /// Whether a line is known whose anchors are to be taken over before the next record.
    #[inline]
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    /// Takes over what of the line is not yet; gives the anchors that are new. No record behind `newest` stands in the
    /// journal, and none up to `watermark` is still to come in its order.
    pub(crate) fn follow(&mut self, newest: u64, watermark: u64) -> &[Anchor] {
        let passed = self.recent.iter().rposition(|anchor| anchor.ticks <= watermark).unwrap_or(0);
        self.recent.drain(..passed);
        let before = self.recent.len();
        if before + 2 <= ANCHORS_MAX {
            self.waits = false;
            for shared in [self.line.previous, self.line.current] {
                self.push(shared, newest);
            }
        }
        self.recent.get(before..).unwrap_or_default()
    }

    fn push(&mut self, shared: Anchor, newest: u64) {
        if shared.ticks <= self.followed {
            return;
        }
        self.followed = shared.ticks;
        let before = self.current();
        let ticks = shared.ticks.max(newest.saturating_add(1)).max(before.ticks.saturating_add(1));
        let (here, there) = (before.unix_ns(ticks), shared.unix_ns(ticks));
        let ahead = here.saturating_sub(there);
        let rate = if ahead > AHEAD_NS_MAX { shared.rate - slew(shared.rate, ahead) } else { shared.rate };
        self.recent.push(Anchor { ticks, unix_ns: here.max(there), rate });
    }

    /// By how much the wall clock was set, if the log does not tell yet.
    pub(crate) fn untold_step(&mut self) -> Option<i64> {
        let untold = self.steps_told < self.line.steps;
        self.steps_told = self.line.steps;
        untold.then_some(self.line.step_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversion_is_exact_at_the_anchor_and_linear_around_it() {
        let anchor = Anchor { ticks: 1_000, unix_ns: 5_000, rate: RATE_ONE / 2 };
        assert_eq!(anchor.unix_ns(1_000), 5_000);
        assert_eq!(anchor.unix_ns(1_100), 5_050);
        assert_eq!(anchor.unix_ns(900), 4_950);
        assert_eq!(Anchor { ticks: u64::MAX, rate: RATE_ONE, ..anchor }.unix_ns(0), i64::MIN);
    }

    #[test]
    fn while_an_old_record_may_come_the_anchor_it_needs_is_kept() {
        let mut anchors = Anchors::new(0, 0, RATE_ONE);
        let mut line = *anchors.line();
        for second in 1..40 {
            line = line.next(second * 1_000_000_000, second as i64 * 1_000_000_000 + second as i64 * 100).unwrap();
            anchors.hear(line);
            anchors.follow(0, 0);
            assert!(anchors.recent().len() <= ANCHORS_MAX);
            assert_eq!(anchors.unix_ns(10), 10);
        }
        assert!(anchors.waits());
        anchors.follow(0, line.current.ticks);
        assert_eq!((anchors.recent().last(), anchors.waits()), (Some(&line.current), false));
    }
}
