//! Which records somebody wants, as far as a block of a packed segment tells that it has none of them.
//!
//! Pure.

use crate::level::LevelFilter;
use crate::segment::packed::{Outline, SAID};

/// What a reader may pass over: records of other times and levels. It gives every record that is wanted, with the same time
/// and in the same order, but for a thread whose clock went back over the edge of what was passed over; of those that are not
/// wanted, it gives as many as come along.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Records from this time on, nanoseconds since the Unix epoch.
    pub since_ns: i64,
    /// Records up to this time.
    pub until_ns: i64,
    /// Records of these levels.
    pub level: LevelFilter,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { since_ns: i64::MIN, until_ns: i64::MAX, level: LevelFilter::Trace }
    }
}

impl Wanted {
    /// Whether nothing is passed over.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
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
