//! When to try again. Pure.

/// The first pause after a failure, in nanoseconds: 100 ms.
pub const FIRST_NS: i64 = 100_000_000;
/// The longest pause, in nanoseconds: 10 s.
pub const LONGEST_NS: i64 = 10_000_000_000;

/// The pause after the `attempts`-th failure in a row, from 1: doubled each time, up to [`LONGEST_NS`].
pub fn pause_ns(attempts: u32) -> i64 {
    FIRST_NS.checked_shl(attempts.saturating_sub(1).min(20)).map_or(LONGEST_NS, |pause| pause.min(LONGEST_NS))
}

/// Failures in a row, and when to try again.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Backoff {
    attempts: u32,
    failed_ns: i64,
}

impl Backoff {
    /// Notes a failure.
    pub fn fail(&mut self, now_ns: i64) {
        self.attempts = self.attempts.saturating_add(1);
        self.failed_ns = now_ns;
    }

    /// Makes the next attempt due.
    pub fn hurry(&mut self) {
        self.failed_ns = i64::MIN / 2;
    }

    /// Failures in a row.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// When the next attempt is due, once one has failed.
    pub fn retry_ns(&self) -> Option<i64> {
        (self.attempts > 0).then(|| self.failed_ns.saturating_add(pause_ns(self.attempts)))
    }

    /// Whether an attempt is due. A clock that was set back makes it due at once, not later.
    pub fn is_due(&self, now_ns: i64) -> bool {
        now_ns < self.failed_ns || self.retry_ns().is_none_or(|retry| now_ns >= retry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        assert!(backoff.is_due(0));
        backoff.fail(5);
        assert_eq!(backoff.retry_ns(), Some(5 + FIRST_NS));
        assert!(!backoff.is_due(5) && backoff.is_due(4) && backoff.is_due(5 + FIRST_NS));
        let pauses: Vec<_> = (1..=9).map(|attempt| pause_ns(attempt) / FIRST_NS).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 100, 100]);
        assert_eq!(pause_ns(u32::MAX), LONGEST_NS);
    }
}
