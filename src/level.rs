//! How urgent a record is.
//!
//! Six levels, ordered by urgency: `Critical` is the least number, so "at most as verbose as" is `<=`, as in `log`.

use core::fmt;
use core::str::FromStr;

/// The urgency of a record. `Critical < Error < Warn < Info < Debug < Trace`, by verbosity as in the `log` crate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Level {
    /// The system cannot do its work; somebody must act now.
    Critical = 1,
    /// An operation failed.
    Error = 2,
    /// Something unexpected that the program coped with.
    Warn = 3,
    /// What the system does, in its own terms.
    Info = 4,
    /// What a developer wants while looking for a fault.
    Debug = 5,
    /// Everything.
    Trace = 6,
}

impl Level {
    /// All levels, from the least to the most verbose.
    pub const ALL: [Self; 6] = [Self::Critical, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The level with this number as stored in a journal, or `None`.
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Critical,
            2 => Self::Error,
            3 => Self::Warn,
            4 => Self::Info,
            5 => Self::Debug,
            6 => Self::Trace,
            _ => return None,
        })
    }

    /// The name in capitals, as it stands in text lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which levels pass: a level or `Off`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum LevelFilter {
    /// Nothing passes.
    Off = 0,
    /// Only `Critical`.
    Critical = 1,
    /// `Error` and more urgent.
    Error = 2,
    /// `Warn` and more urgent.
    Warn = 3,
    /// `Info` and more urgent.
    Info = 4,
    /// `Debug` and more urgent.
    Debug = 5,
    /// Everything passes.
    Trace = 6,
}

impl LevelFilter {
    /// Whether a record of `level` passes. Usable in constants; costs one comparison.
    pub const fn passes(self, level: Level) -> bool {
        level as u8 <= self as u8
    }

    /// The filter with this number, or `None`.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match Level::from_u8(number) {
            Some(level) => Some(Self::from_level(level)),
            None if number == 0 => Some(Self::Off),
            None => None,
        }
    }

    /// The filter that passes `level` and what is more urgent.
    pub const fn from_level(level: Level) -> Self {
        match level {
            Level::Critical => Self::Critical,
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }

    /// The name in lower case, as it stands in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        Self::from_level(level)
    }
}

impl fmt::Display for LevelFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text was not the name of a level.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseLevelError(pub(crate) String);

impl fmt::Display for ParseLevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no level is called {:?}; levels are off, critical, error, warn, info, debug, trace", self.0)
    }
}

impl core::error::Error for ParseLevelError {}

impl FromStr for LevelFilter {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = |filter: &Self| text.eq_ignore_ascii_case(filter.as_str());
        let all = [Self::Off, Self::Critical, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];
        if text.eq_ignore_ascii_case("warning") {
            return Ok(Self::Warn);
        }
        all.into_iter().find(known).ok_or_else(|| ParseLevelError(text.to_owned()))
    }
}

impl FromStr for Level {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let filter = LevelFilter::from_str(text)?;
        Self::from_u8(filter as u8).ok_or_else(|| ParseLevelError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_round_trip() {
        for level in Level::ALL {
            assert_eq!(Level::from_u8(level as u8), Some(level));
            assert_eq!(level.as_str().parse::<Level>(), Ok(level));
            assert!(LevelFilter::from(level).passes(level));
        }
        assert_eq!(Level::from_u8(0), None);
        assert_eq!(Level::from_u8(7), None);
        assert!("off".parse::<Level>().is_err());
        assert_eq!("Warning".parse::<LevelFilter>(), Ok(LevelFilter::Warn));
        assert!(!LevelFilter::Off.passes(Level::Critical));
    }
}
