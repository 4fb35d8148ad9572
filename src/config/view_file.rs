//! A view in the TOML form: `[[view]]`.

use super::units::{Bytes, Span};
use super::view::{LineFormat, Rotate, View};
use crate::format::json::Integers;
use crate::level::LevelFilter;
use crate::units::parse_span;
use crate::view::Kind;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

/// A level by its name.
struct LevelText(LevelFilter);

impl<'de> Deserialize<'de> for LevelText {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        String::deserialize(source)?.parse().map(Self).map_err(D::Error::custom)
    }
}

/// [`Rotate`] by its text.
pub(super) struct RotateText(pub(super) Rotate);

impl<'de> Deserialize<'de> for RotateText {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        parse_rotate(&String::deserialize(source)?).map(Self).map_err(D::Error::custom)
    }
}

fn parse_rotate(text: &str) -> Result<Rotate, String> {
    let wrong = || format!("{text:?} is none of \"size\", \"daily 06:30\" (UTC), \"every 6 h\"");
    if text == "size" {
        return Ok(Rotate::BySize);
    }
    if let Some(span) = text.strip_prefix("every ") {
        return parse_span(span).map(Rotate::Every);
    }
    let (hour, minute) = text.strip_prefix("daily ").and_then(|time| time.split_once(':')).ok_or_else(wrong)?;
    let number = |text: &str, end: u8| {
        let number = text.parse::<u8>().ok().filter(|number| text.len() == 2 && *number < end);
        number.ok_or_else(wrong)
    };
    Ok(Rotate::Daily { hour: number(hour, 24)?, minute: number(minute, 60)? })
}

impl fmt::Display for Rotate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BySize => f.write_str("size"),
            Self::Daily { hour, minute } => write!(f, "daily {hour:02}:{minute:02}"),
            Self::Every(span) => write!(f, "every {}", super::show::span(*span)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ViewFile {
    name: String,
    level: Option<LevelText>,
    #[serde(default)]
    targets: BTreeMap<String, LevelText>,
    kinds: Option<Vec<Kind>>,
    format: Option<LineFormat>,
    text_pattern: Option<String>,
    integers: Option<Integers>,
    zone: Option<String>,
    bytes_max: Option<Bytes>,
    backups: Option<u32>,
    total_bytes_max: Option<Bytes>,
    age_max: Option<Span>,
    rotate: Option<RotateText>,
    dated: Option<bool>,
    compress: Option<bool>,
}

impl ViewFile {
    pub(super) fn view(self) -> View {
        View {
            name: self.name,
            level: self.level.map(|level| level.0),
            targets: self.targets.into_iter().map(|(target, level)| (target, level.0)).collect(),
            kinds: self.kinds,
            format: self.format,
            text_pattern: self.text_pattern,
            integers: self.integers,
            zone: self.zone,
            bytes_max: self.bytes_max.map(|bytes| bytes.0),
            backups: self.backups,
            total_bytes_max: self.total_bytes_max.map(|bytes| bytes.0),
            age_max: self.age_max.map(|span| span.0),
            rotate: self.rotate.map(|rotate| rotate.0),
            dated: self.dated,
            compress: self.compress,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::units::from_toml;
    use std::time::Duration;

    #[test]
    fn times_of_rotation_are_read_and_written() {
        for (text, rotate) in [
            ("size", Rotate::BySize),
            ("daily 06:30", Rotate::Daily { hour: 6, minute: 30 }),
            ("every 6h", Rotate::Every(Duration::from_secs(6 * 3600))),
        ] {
            assert_eq!(parse_rotate(text), Ok(rotate));
            assert_eq!(parse_rotate(&rotate.to_string()), Ok(rotate));
        }
        for text in ["", "daily", "daily 6:30", "daily 24:00", "daily 06:60", "every", "every 6", "weekly"] {
            assert!(parse_rotate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn wrong_views_are_refused_with_their_line() {
        for (line, expected) in [
            ("level = 'loud'", "levels are"),
            ("targets = { a = 'loud' }", "levels are"),
            ("kinds = ['noise']", "noise"),
            ("format = 'xml'", "xml"),
            ("rotate = 'weekly'", "daily 06:30"),
            ("bytes_max = 'much'", "64 KiB"),
            ("size = 1", "size"),
        ] {
            let error = from_toml(&format!("dir = 'x'\n[[view]]\nname = 'a'\n{line}")).unwrap_err();
            assert!(error.contains(expected) && error.contains("line 4"), "{line}: {error}");
        }
    }
}
