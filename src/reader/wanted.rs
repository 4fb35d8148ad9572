//! Which records somebody wants, as far as a packed segment tells it without their being put together.
//!
//! Pure.

use crate::level::LevelFilter;
use crate::segment::packed::{Outline, SAID};

/// What a reader may pass over: all other records. It gives every record that is wanted, with the same time
/// and in the same order, but for a thread whose clock went back over the edge of what was passed over; of those that are not
/// wanted, it gives as many as come along.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Records from this time on, nanoseconds since the Unix epoch.
    pub since_ns: i64,
    /// Records up to this time.
    pub until_ns: i64,
    /// Records of these levels.
    pub level: LevelFilter,
    /// Records of these targets and of those below them (`a` takes `a::b`); all where there are none.
    pub targets: Vec<String>,
    /// Records that have each of these values.
    pub values: Vec<Value>,
}

/// A named value of a record, with what it may be. What is asked for in another way must not be said here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value {
    /// The key, or the name in the format string; not that of something that all records have, such as `level`.
    pub name: String,
    /// One of these, as a user writes them: `12345` is an integer or a text.
    pub texts: Vec<String>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            since_ns: i64::MIN,
            until_ns: i64::MAX,
            level: LevelFilter::Trace,
            targets: Vec::new(),
            values: Vec::new(),
        }
    }
}

impl Wanted {
    /// Whether nothing is passed over.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether records of this target are wanted.
    pub fn takes_target(&self, target: &str) -> bool {
        let below = |wanted: &String| {
            target.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        self.targets.is_empty() || self.targets.iter().any(below)
    }

    /// Whether it depends on more than the time.
    pub(super) fn sifts(&self) -> bool {
        self.level != LevelFilter::Trace || !self.targets.is_empty() || !self.values.is_empty()
    }

    /// Whether a block has nothing that is wanted. `times` are least and greatest time of its records.
    pub(super) fn lacks(&self, outline: &Outline, times: (i64, i64)) -> bool {
        let levels = (1_u32 << (self.level as u32 + 1)) - 1;
        let none_of_level = outline.levels & levels == 0;
        let out_of_time = times.1 < self.since_ns || times.0 > self.until_ns;
        outline.records > 0 && outline.levels & SAID == 0 && (none_of_level || out_of_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    #[test]
    fn a_block_is_passed_over_only_where_none_of_it_is_wanted() {
        let of = |levels: &[Level]| Outline {
            records: 7,
            levels: levels.iter().map(|level| 1 << *level as u32).sum(),
            ..Outline::default()
        };
        let (quiet, all) = (of(&[Level::Info, Level::Debug]), of(&Level::ALL));
        let level = |level| Wanted { level, ..Wanted::default() };
        for (wanted, passed) in [(LevelFilter::Warn, true), (LevelFilter::Info, false), (LevelFilter::Off, true)] {
            assert_eq!(level(wanted).lacks(&quiet, (5, 9)), passed, "{wanted:?}");
        }
        assert!(!level(LevelFilter::Critical).lacks(&all, (5, 9)));
        let time = |since_ns, until_ns| Wanted { since_ns, until_ns, ..Wanted::default() };
        for (since, until, passed) in [(9, 20, false), (10, 20, true), (0, 5, false), (0, 4, true), (0, 20, false)] {
            assert_eq!(time(since, until).lacks(&all, (5, 9)), passed, "{since} to {until}");
        }
        let none = level(LevelFilter::Off);
        assert!(!none.lacks(&Outline { levels: quiet.levels | SAID, ..quiet }, (5, 9)), "something is said in it");
        assert!(!none.lacks(&Outline { levels: u32::MAX, ..quiet }, (5, 9)), "a site is not known");
        assert!(!none.lacks(&Outline::default(), (5, 9)), "nothing is known of it");
        assert!(Wanted::default().is_all() && !none.is_all());
    }
}
