//! Which records a view shows: by target, as in `log`'s filters, by level, and by what kind of record it is.

use crate::level::LevelFilter;
use crate::reader::record::Body;

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A log call.
    Messages,
    /// Records were lost, or bytes of the journal are damaged.
    Losses,
    /// What sampling left out.
    Summaries,
    /// The logger's own words.
    Notes,
}

/// A set of [`Kind`]s.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kinds(u8);

impl Kinds {
    /// All of them.
    pub const ALL: Self = Self(0b1111);
    const EACH: [Kind; 4] = [Kind::Messages, Kind::Losses, Kind::Summaries, Kind::Notes];

    /// Whether a kind is in it.
    pub fn has(self, kind: Kind) -> bool {
        self.0 & Self::from_iter([kind]).0 != 0
    }

    /// Those that are in it.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Self::EACH.into_iter().filter(move |kind| self.has(*kind))
    }

    /// Whether a record that says `body` is of them.
    pub(crate) fn pass(self, body: &Body<'_>) -> bool {
        self.has(match body {
            Body::Message { .. } => Kind::Messages,
            Body::Dropped { .. } | Body::Damage { .. } | Body::Unknown { .. } => Kind::Losses,
            Body::Suppressed { .. } => Kind::Summaries,
            Body::Note { .. } => Kind::Notes,
        })
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<T: IntoIterator<Item = Kind>>(kinds: T) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | 1 << kind as u8))
    }
}

/// Levels by prefix of the target. The longest prefix that fits decides; without one, the default does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    /// Records of other kinds are not shown.
    pub(crate) kinds: Kinds,
    default: LevelFilter,
    prefixes: Vec<(String, LevelFilter)>,
}

impl Default for Filter {
    fn default() -> Self {
        Self::level(LevelFilter::Trace)
    }
}

impl Filter {
    /// Everything up to `level`, whatever its target.
    pub fn level(level: LevelFilter) -> Self {
        Self { kinds: Kinds::ALL, default: level, prefixes: Vec::new() }
    }

    /// Targets that start with `prefix` up to `level`; the same prefix again replaces the level.
    ///
    /// ```
    /// use tachograph::level::LevelFilter;
    /// use tachograph::view::Filter;
    /// let filter = Filter::level(LevelFilter::Off).target("orders", LevelFilter::Info).target("orders::book", LevelFilter::Off);
    /// assert_eq!(filter.for_target("orders::fill"), LevelFilter::Info);
    /// assert_eq!(filter.for_target("orders::book::l2"), LevelFilter::Off);
    /// assert_eq!(filter.for_target("risk"), LevelFilter::Off);
    /// ```
    #[must_use]
    pub fn target(mut self, prefix: &str, level: LevelFilter) -> Self {
        self.prefixes.retain(|(known, _)| known != prefix);
        self.prefixes.push((prefix.to_owned(), level));
        self.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        self
    }

    /// Only records of these kinds. All, unless set.
    #[must_use]
    pub fn kinds(mut self, kinds: Kinds) -> Self {
        self.kinds = kinds;
        self
    }

    /// The level where no prefix fits, and the levels by prefix.
    pub(crate) fn parts(&self) -> (LevelFilter, &[(String, LevelFilter)]) {
        (self.default, &self.prefixes)
    }

    /// The level up to which records of `target` pass.
    pub fn for_target(&self, target: &str) -> LevelFilter {
        let fits = self.prefixes.iter().find(|(prefix, _)| target.starts_with(prefix.as_str()));
        fits.map_or(self.default, |(_, level)| *level)
    }
}
