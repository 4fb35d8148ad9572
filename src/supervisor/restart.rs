//! Whether, and after what pause, a service that ended is started again. Pure: no clock, no random source.

use std::time::Duration;

/// Which ends are followed by a restart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum When {
    /// Errors, panics, missed heartbeats. The default.
    #[default]
    OnFailure,
    /// Those, and an end without an error.
    Always,
    /// None.
    Never,
}

/// The restart policy of a service: pauses that double, shortened by chance, and at most so many restarts in a period. When
/// those are used up, the service has failed for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restart {
    pub(super) when: When,
    pub(super) max: u32,
    pub(super) period: Duration,
    pub(super) first: Duration,
    pub(super) longest: Duration,
    pub(super) jitter_percent: u32,
    pub(super) seed: u64,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            when: When::OnFailure,
            max: 3,
            period: Duration::from_secs(300),
            first: Duration::from_millis(100),
            longest: Duration::from_secs(30),
            jitter_percent: 20,
            seed: 0,
        }
    }
}

impl Restart {
    /// On failure, at most 3 times in 5 minutes, after 100 ms, 200 ms, 400 ms and so on up to 30 s, each up to 20 % shorter.
    pub fn new() -> Self {
        Self::default()
    }

    /// No restart.
    pub fn never() -> Self {
        Self { when: When::Never, ..Self::default() }
    }

    /// Which ends are followed by a restart.
    pub fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    /// At most `max` restarts in any `period`.
    pub fn at_most(self, max: u32, period: Duration) -> Self {
        Self { max, period, ..self }
    }

    /// The pause before the first restart, doubled with each further one of the period, and the longest pause.
    pub fn backoff(self, first: Duration, longest: Duration) -> Self {
        Self { first, longest, ..self }
    }

    /// By how many percent, 0 to 100, a pause may be shorter, so that services that failed together do not come back
    /// together.
    pub fn jitter_percent(self, percent: u32) -> Self {
        Self { jitter_percent: percent.min(100), ..self }
    }

    /// What the jitter goes by, besides the service's name and the number of the restart: equal seeds, equal pauses.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The pause before the restart number `attempt`, from 1, of the service called `name`.
    pub fn pause(&self, name: &str, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let pause = self.first.saturating_mul(1 << doublings).min(self.longest);
        let named = name.bytes().fold(self.seed, |seed, byte| mixed(seed ^ u64::from(byte)));
        // 0 to 65,535 of 65,535.
        let chance = (mixed(named ^ u64::from(attempt)) >> 48) as u128;
        let shorter = pause.as_nanos() * u128::from(self.jitter_percent.min(100)) * chance / (100 * 0xffff);
        pause.saturating_sub(Duration::from_nanos(u64::try_from(shorter).unwrap_or(u64::MAX)))
    }
}

/// A bijection whose output bits each depend on all input bits (the finalizer of SplitMix64).
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let restart = Restart::new().jitter_percent(0).backoff(Duration::from_millis(100), Duration::from_secs(1));
        let pauses: Vec<u128> = (1..=6).map(|attempt| restart.pause("x", attempt).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(restart.pause("x", u32::MAX), Duration::from_secs(1));
    }

    #[test]
    fn services_that_failed_together_come_back_apart() {
        let restart = Restart::new();
        let mut pauses: Vec<Duration> = (0..50).map(|number| restart.pause(&format!("s{number}"), 1)).collect();
        pauses.sort();
        pauses.dedup();
        assert!(pauses.len() > 45, "{pauses:?}");
        assert!(pauses.last() > pauses.first().map(|first| *first + Duration::from_millis(12)).as_ref());
        assert_ne!(restart.pause("x", 1), restart.seed(1).pause("x", 1));
    }

    proptest! {
        #[test]
        fn jitter_only_shortens_and_by_no_more_than_its_share(
            name in ".*", attempt in 1..40_u32, seed: u64, percent in 0..=100_u32, first in 0..10_000_000_000_u64,
        ) {
            let longest = Duration::from_secs(30);
            let restart = Restart::new().backoff(Duration::from_nanos(first), longest).seed(seed);
            let full = restart.jitter_percent(0).pause(&name, attempt);
            let pause = restart.jitter_percent(percent).pause(&name, attempt);
            prop_assert!(full <= longest && pause <= full);
            prop_assert!(pause.as_nanos() * 100 >= full.as_nanos() * u128::from(100 - percent));
            prop_assert_eq!(pause, restart.jitter_percent(percent).pause(&name, attempt));
        }
    }
}
