//! Which levels of which targets are logged: a default and directives, as `RUST_LOG` has them. Pure.

use crate::level::LevelFilter;
use std::fmt;

/// The most directives of one specification.
pub const DIRECTIVES_MAX: usize = 256;

/// Levels by target.
///
/// ```
/// use tachograph::{LevelFilter, levels::Levels};
///
/// let levels = Levels::parse("warn,order_watcher=debug", LevelFilter::Info)?;
/// assert_eq!(levels.of("order_watcher::cancel"), LevelFilter::Debug);
/// assert_eq!(levels.of("feed"), LevelFilter::Warn);
/// # Ok::<(), tachograph::levels::ParseLevelsError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Levels {
    default: LevelFilter,
    /// Longest target first, so that the first match is the longest.
    directives: Vec<(String, LevelFilter)>,
}

/// A directive could not be understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseLevelsError(String);

impl fmt::Display for ParseLevelsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseLevelsError {}

impl Levels {
    /// Reads `"warn,order_watcher=debug,feed"`; a target alone means everything of it. What is empty is skipped.
    ///
    /// # Errors
    /// With the directive that was not understood.
    pub fn parse(text: &str, default: LevelFilter) -> Result<Self, ParseLevelsError> {
        let mut levels = Self { default, directives: Vec::new() };
        for directive in text.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            match directive.split_once('=') {
                Some((target, level)) => {
                    let level =
                        level.trim().parse().map_err(|error| ParseLevelsError(format!("{directive:?}: {error}")))?;
                    levels.set(target.trim(), level);
                }
                None => match directive.parse() {
                    Ok(level) => levels.default = level,
                    Err(_) => levels.set(directive, LevelFilter::Trace),
                },
            }
        }
        if levels.directives.len() > DIRECTIVES_MAX {
            let count = levels.directives.len();
            return Err(ParseLevelsError(format!("{count} directives are more than {DIRECTIVES_MAX}")));
        }
        Ok(levels)
    }

    /// Sets the level of one target; an empty target is the default.
    pub fn set(&mut self, target: &str, level: LevelFilter) {
        if target.is_empty() {
            self.default = level;
            return;
        }
        self.directives.retain(|(known, _)| known != target);
        let at = self.directives.partition_point(|(known, _)| known.len() >= target.len());
        self.directives.insert(at, (target.to_owned(), level));
    }

    /// The targets that have a level of their own.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &str> {
        self.directives.iter().map(|(target, _)| target.as_str())
    }

    /// The most verbose level that any target has.
    pub fn max(&self) -> LevelFilter {
        self.directives.iter().map(|(_, level)| *level).fold(self.default, LevelFilter::max)
    }

    /// The level of `target`: that of its longest listed prefix that ends at a `::`, or the default. No allocation.
    pub fn of(&self, target: &str) -> LevelFilter {
        let matches = |(known, _): &&(String, LevelFilter)| {
            target.strip_prefix(known.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        self.directives.iter().find(matches).map_or(self.default, |(_, level)| *level)
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.default)?;
        self.directives.iter().try_for_each(|(target, level)| write!(f, ",{target}={level}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_at_a_path_boundary_decides() {
        let levels = Levels::parse("warn, a=info, a::b=trace, ab=off, c", LevelFilter::Error).unwrap();
        for (target, level) in [
            ("x", LevelFilter::Warn),
            ("a", LevelFilter::Info),
            ("a::c", LevelFilter::Info),
            ("a::b::d", LevelFilter::Trace),
            ("ab", LevelFilter::Off),
            ("abc", LevelFilter::Warn),
            ("c", LevelFilter::Trace),
        ] {
            assert_eq!(levels.of(target), level, "{target}");
        }
        assert_eq!(levels.max(), LevelFilter::Trace);
        assert_eq!(Levels::parse("info,a=off", LevelFilter::Off).unwrap().max(), LevelFilter::Info);
        assert_eq!(Levels::parse(&levels.to_string(), LevelFilter::Off), Ok(levels));
        assert!(Levels::parse("a=loud", LevelFilter::Info).unwrap_err().to_string().contains("loud"));
    }
}
