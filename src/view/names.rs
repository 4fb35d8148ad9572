//! From a component to the name of its file, and from a name in the directory back to what it is.
//!
//! A view called `x` owns exactly these names, and never touches another:
//!
//! ```text
//! x.log                             the active file
//! x.log.1                           the newest backup, still plain
//! x.log.2.gz                        an older one; the higher the number, the older
//! x.2026-11-20T10-00-00.log.gz      a backup with the time, in UTC, at which it was put away
//! x.2026-11-20T10-00-00-1.log.gz    the next of the same second
//! x.log.2.zst                       the same by zstd, where that is configured
//! x.log.gz.tmp                      a compression in progress, or what a crash left of one
//! ```

use crate::format::time::{Clock, Precision};
use std::cmp::Reverse;
use std::fmt;

/// What every view's file name ends with.
pub const SUFFIX: &str = ".log";
/// The longest stem, in bytes, that [`stem`] makes.
pub const STEM_BYTES_MAX: usize = 100;
/// The highest number of a backup.
pub const NUMBER_MAX: u32 = 999_999;
/// Stem of the view that takes the records of components beyond the limit of views.
pub const OVERFLOW: &str = "overflow";

/// The component of a target: the text before the first `::`.
pub fn component(target: &str) -> &str {
    target.split_once("::").map_or(target, |(head, _)| head)
}

/// The stem of a component's file: `[A-Za-z0-9._-]`, no leading dot, at most [`STEM_BYTES_MAX`] bytes.
///
/// A component that is such a name already is its own stem. One that had to be changed gets a hash of the original
/// appended, always: so two components that would collide never do, and which file belongs to which component does
/// not depend on who logs first.
///
/// ```
/// use tachograph::view::names::stem;
/// assert_eq!(stem("order_watcher"), "order_watcher");
/// assert_eq!(stem("risk/desk 1"), "risk_desk_1-7e685d78");
/// ```
pub fn stem(component: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fits = !component.is_empty() && component.len() <= STEM_BYTES_MAX && !component.starts_with(['.', '-']);
    // A name that ends in a date is that of a backup.
    if fits && component.bytes().all(plain) && undated(component).is_none() {
        return component.to_owned();
    }
    hashed(component)
}

/// The stem with a hash, also for a component whose own name is taken by a configured view.
pub fn hashed(component: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let hash = format!("-{:08x}", crc32c::crc32c(component.as_bytes()));
    let kept = component.chars().map(|c| if plain(c) { c } else { '_' }).take(STEM_BYTES_MAX - hash.len());
    let mut stem: String = kept.collect();
    if stem.starts_with(['.', '-']) {
        stem.replace_range(..1, "_");
    }
    if stem.is_empty() {
        stem.push_str("unnamed");
    }
    stem.push_str(&hash);
    stem
}

/// The stem of the view that a file of this name would belong to.
pub fn owner(name: &str) -> Option<&str> {
    let stem = name.get(..name.rfind(SUFFIX)?)?;
    Some(undated(stem).map_or(stem, |(stem, _)| stem))
}

/// A stem without the date at its end, and that date.
fn undated(stem: &str) -> Option<(&str, Date)> {
    let (head, date) = stem.rsplit_once('.')?;
    (!head.is_empty()).then_some((head, Date::parse(date)?))
}

/// When a backup was put away.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Date {
    /// Seconds since the Unix epoch.
    pub second: i64,
    /// How many were put away in that second before it.
    pub nth: u16,
}

/// The last second that nanoseconds in 64 bits reach, in the year 2262.
const SECOND_MAX: i64 = i64::MAX / 1_000_000_000;
/// Bytes of `2026-11-20T10-00-00`.
const DATE_BYTES: usize = 19;

impl Date {
    fn parse(text: &str) -> Option<Self> {
        let (date, nth) = text.split_at_checked(DATE_BYTES)?;
        let nth = match nth.strip_prefix('-') {
            Some(digits) if !digits.starts_with(['0', '+']) => digits.parse().ok()?,
            None if nth.is_empty() => 0,
            _ => return None,
        };
        let (day, time) = date.split_once('T')?;
        let time: jiff::Timestamp = format!("{day}T{}Z", time.replace('-', ":")).parse().ok()?;
        let date = Self { second: time.as_second(), nth };
        // Only the one spelling that is printed.
        (date.to_string() == text).then_some(date)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(DATE_BYTES + 1);
        let ns = self.second.clamp(0, SECOND_MAX) * 1_000_000_000;
        Clock::default().push(ns, Precision::Seconds, &mut text);
        let text = std::str::from_utf8(&text).unwrap_or_default().trim_end_matches('Z');
        f.write_str(&text.replace(':', "-"))?;
        if self.nth > 0 { write!(f, "-{}", self.nth) } else { Ok(()) }
    }
}

/// Which backup it is. The newest is the least.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Label {
    /// By the time at which it was put away.
    Date(Reverse<Date>),
    /// By its place: 1 is the newest.
    Number(u32),
}

impl Label {
    /// The number, if it has one.
    pub fn number(self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(number),
            Self::Date(_) => None,
        }
    }
}

/// A name without the suffix of a compressed backup, and what kind of backup it is.
fn kind(name: &str) -> (&str, fn(Label) -> Part) {
    if let Some(rest) = name.strip_suffix(".gz") {
        (rest, Part::Gz)
    } else if let Some(rest) = name.strip_suffix(".zst") {
        (rest, Part::Zst)
    } else {
        (name, Part::Plain)
    }
}

/// Whether a configured view may have this name.
pub fn is_stem(name: &str) -> bool {
    stem(name) == name
}

/// One of the names that a view owns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Part {
    /// The file that lines are appended to.
    Active,
    /// A plain backup.
    Plain(Label),
    /// A backup compressed by gzip.
    Gz(Label),
    /// A backup compressed by zstd.
    Zst(Label),
    /// A compression in progress.
    Temp,
}

impl Part {
    /// Which backup it is.
    pub fn label(self) -> Option<Label> {
        match self {
            Self::Plain(label) | Self::Gz(label) | Self::Zst(label) => Some(label),
            Self::Active | Self::Temp => None,
        }
    }

    /// Whether it is a compressed backup.
    pub fn is_compressed(self) -> bool {
        matches!(self, Self::Gz(_) | Self::Zst(_))
    }

    /// The same kind of backup under another label.
    pub fn relabelled(self, label: Label) -> Self {
        match self {
            Self::Gz(_) => Self::Gz(label),
            Self::Zst(_) => Self::Zst(label),
            _ => Self::Plain(label),
        }
    }

    /// The number of a backup that has one.
    pub fn number(self) -> Option<u32> {
        self.label()?.number()
    }

    /// The file name of this part of the view whose active file is `base`.
    pub fn of(self, base: &str) -> String {
        Name { base, part: self }.to_string()
    }

    /// What `name` is to the view whose active file is `base`; `None` for names that are not its own.
    ///
    /// Only the one spelling that [`Part::of`] prints is recognised: `x.log.01` belongs to somebody else.
    pub fn parse(base: &str, name: &str) -> Option<Self> {
        let Some(rest) = name.strip_prefix(base) else {
            let (stem, kind) = kind(name);
            let (stem, date) = undated(stem.strip_suffix(SUFFIX)?)?;
            let label = Label::Date(Reverse(date));
            let own = base.strip_suffix(SUFFIX) == Some(stem);
            return own.then_some(kind(label));
        };
        match rest {
            "" => return Some(Self::Active),
            ".gz.tmp" => return Some(Self::Temp),
            _ => {}
        }
        let rest = rest.strip_prefix('.')?;
        let (digits, kind) = kind(rest);
        if digits.is_empty() || digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u32 = digits.parse().ok().filter(|number| *number <= NUMBER_MAX)?;
        let label = Label::Number(number);
        Some(kind(label))
    }
}

struct Name<'a> {
    base: &'a str,
    part: Part,
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stem = self.base.strip_suffix(SUFFIX).unwrap_or(self.base);
        match self.part {
            Part::Active => f.write_str(self.base),
            Part::Plain(Label::Number(number)) => write!(f, "{}.{number}", self.base),
            Part::Gz(Label::Number(number)) => write!(f, "{}.{number}.gz", self.base),
            Part::Zst(Label::Number(number)) => write!(f, "{}.{number}.zst", self.base),
            Part::Plain(Label::Date(Reverse(date))) => write!(f, "{stem}.{date}{SUFFIX}"),
            Part::Gz(Label::Date(Reverse(date))) => write!(f, "{stem}.{date}{SUFFIX}.gz"),
            Part::Zst(Label::Date(Reverse(date))) => write!(f, "{stem}.{date}{SUFFIX}.zst"),
            Part::Temp => write!(f, "{}.gz.tmp", self.base),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn components_and_stems() {
        assert_eq!(component("bot::orders::fill"), "bot");
        assert_eq!(component("bot"), "bot");
        assert_eq!(stem("market-data.v2"), "market-data.v2");
        for hostile in [
            "bot.2026-11-20T10-00-00",
            "bot.2026-11-20T10-00-00-1",
            "",
            ".",
            "..",
            "../etc/passwd",
            "a/b",
            "a\0b",
            "ü",
            ".hidden",
            "\n",
            &"x".repeat(101),
        ] {
            let stem = stem(hostile);
            assert!(is_stem(&stem), "{hostile:?} -> {stem:?}");
            assert_ne!(stem, hostile);
        }
        assert_ne!(stem("a/b"), stem("a b"));
        assert_eq!(stem(&"x".repeat(100)), "x".repeat(100));
    }

    #[test]
    fn foreign_names_stay_foreign() {
        for name in [
            "x.log.0",
            "x.log.01",
            "x.log.",
            "x.log.1.gz.tmp",
            "x.log.+1",
            "x.log.1.bz2",
            "x.log.gz",
            "x.logs",
            "y.log",
            "x.log.1000000",
            "x.log.99999999999",
            "x.log-20261120",
            "x.log.1.log",
            "",
            "x.log.1 ",
            "x.2026-11-20T10-00-00.log.1",
            "x.2026-11-20T10-00-60.log",
            "x.2026-02-30T10-00-00.log",
            "x.2026-11-20T10-00-00-0.log",
            "x.2026-11-20T10-00-00-01.log.gz",
            "x.2026-11-20T10:00:00.log",
            "x.2026-11-20.log",
            "y.2026-11-20T10-00-00.log",
            "x.y.2026-11-20T10-00-00.log",
            ".2026-11-20T10-00-00.log",
            "x.log.１",
        ] {
            assert_eq!(Part::parse("x.log", name), None, "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn every_part_round_trips(
            number in 1..=NUMBER_MAX, second in 0..=SECOND_MAX, nth in any::<u16>(), base in "[a-z][a-z.0-9]{0,12}\\.log",
        ) {
            let (number, date) = (Label::Number(number), Label::Date(Reverse(Date { second, nth })));
            for part in [Part::Active, Part::Plain(number), Part::Gz(number), Part::Zst(number), Part::Plain(date), Part::Gz(date), Part::Zst(date), Part::Temp] {
                prop_assert_eq!(Part::parse(&base, &part.of(&base)), Some(part));
                let name = part.of(&base);
                prop_assert_eq!(owner(&name), base.strip_suffix(SUFFIX));
            }
        }

        #[test]
        fn a_recognised_name_is_printed_back(
            name in "x\\.log[.a-z0-9]{0,10}|x\\.20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]-[0-5][0-9]-[0-6][0-9](-[0-9]{1,2})?\\.log(\\.gz|\\.zst)?",
        ) {
            if let Some(part) = Part::parse("x.log", &name) {
                prop_assert_eq!(part.of("x.log"), name);
            }
        }

        #[test]
        fn every_stem_is_one(component in ".*") {
            prop_assert!(is_stem(&stem(&component)));
            prop_assert!(is_stem(&hashed(&component)));
        }
    }
}
