//! The flight recorder: which records are remembered instead of written, and what brings them to the journal. Pure.
//!
//! The call says it: where the levels want a record remembered, the call site's number bears a mark
//! ([`REMEMBERED`](crate::segment::layout::REMEMBERED)), so the call does and costs what it always does. The writer takes the
//! record and leaves it in its ring ([`remembered`](crate::ring::remembered)); when an error follows, it copies what the ring
//! remembers to the journal before it.
//!
//! So each call has one of four ends: `called = written + sampled_out + forgotten + dropped`, per ring, beside what is
//! remembered at the moment. What is forgotten is no loss: nobody had asked for it. The journal tells how many they were,
//! so that a hole in a ring's numbers is never without a reason.
//!
//! # What a kill leaves
//!
//! | what | done when | a kill before that | a kill behind that |
//! |---|---|---|---|
//! | a record is taken to be remembered | the ring's `tail` is stored | it is taken again | it stands between where the memory begins and `tail` |
//! | a record is forgotten | the ring's state is stored, where its memory begins and how many are forgotten being one | it is forgotten again, by the same limits | it is counted |
//! | a remembered record is written | its frame is published | it is remembered | the newest segment has its number: it is passed over, for `tail`, which is stored before the first of them, is behind it. Before a rotation the state is stored |

use crate::level::{Level, LevelFilter};
use crate::ring::remembered::Limits;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the levels make of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// Nothing.
    Disabled,
    /// A record that is remembered, and written only if an error follows.
    Remembered,
    /// A record.
    Written,
}

impl Fate {
    /// Where `threshold` is what is written, and `reach` what is remembered. A target that is off is not remembered
    /// either.
    pub(crate) fn of(level: Level, threshold: LevelFilter, reach: LevelFilter) -> Self {
        if threshold.passes(level) {
            Self::Written
        } else if threshold != LevelFilter::Off && reach.passes(level) {
            Self::Remembered
        } else {
            Self::Disabled
        }
    }
}

/// What the writer goes by, and recovery after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    /// How much a ring remembers.
    pub(crate) limits: Limits,
    /// Records of this level and more urgent ones bring to the journal what is remembered.
    pub(crate) trigger: LevelFilter,
    /// That of all threads, and not of the record's own alone.
    pub(crate) process: bool,
}

impl Rules {
    /// For who finds remembered records and no rules: everything that is left is kept.
    pub(crate) const KEEP_ALL: Self =
        Self { limits: Limits { records: u64::MAX, bytes: u64::MAX }, trigger: LevelFilter::Error, process: false };

    /// Puts them where recovery finds them; zeros say that nothing is remembered.
    pub(crate) fn store(rules: Option<&Self>, words: &[AtomicU64; 3]) {
        let values = rules.map_or([0; 3], |rules| {
            let how = rules.trigger as u64 | u64::from(rules.process) << 8;
            [rules.limits.records, rules.limits.bytes, how]
        });
        for (word, value) in words.iter().zip(values) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Reads them again; `None` where nothing was remembered.
    pub(crate) fn load(words: &[AtomicU64; 3]) -> Option<Self> {
        let [records, bytes, how] = words.each_ref().map(|word| word.load(Ordering::Relaxed));
        let trigger = LevelFilter::from_u8(how as u8).filter(|trigger| *trigger != LevelFilter::Off)?;
        Some(Self { limits: Limits { records, bytes }, trigger, process: how >> 8 != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_the_threshold_is_remembered_as_far_as_wanted_but_never_what_is_off() {
        use LevelFilter::{Debug as D, Info as I, Off, Trace as T, Warn as W};
        for (level, threshold, reach, fate) in [
            (Level::Info, I, D, Fate::Written),
            (Level::Debug, I, D, Fate::Remembered),
            (Level::Trace, I, D, Fate::Disabled),
            (Level::Trace, I, T, Fate::Remembered),
            (Level::Info, W, Off, Fate::Disabled),
            (Level::Debug, Off, T, Fate::Disabled),
            (Level::Error, Off, T, Fate::Disabled),
            (Level::Debug, T, I, Fate::Written),
        ] {
            assert_eq!(Fate::of(level, threshold, reach), fate, "{level} {threshold} {reach}");
        }
    }

    #[test]
    fn rules_are_found_again() {
        let words = [const { AtomicU64::new(0) }; 3];
        assert_eq!(Rules::load(&words), None);
        for process in [false, true] {
            let rules = Rules { limits: Limits { records: 7, bytes: 4096 }, trigger: LevelFilter::Warn, process };
            Rules::store(Some(&rules), &words);
            assert_eq!(Rules::load(&words), Some(rules));
        }
        Rules::store(None, &words);
        assert_eq!(Rules::load(&words), None);
    }
}
