//! What all who use a log directory share, as it stands in the directory: `.journal/configuration`.
//!
//! Whoever renders must render the same views with the same rules, whichever process it is; and `tacho` has no
//! configuration of its own. Pure: who reads, compares and replaces the file is [`tenancy`](crate::logger::tenancy).
//!
//! The text is TOML behind a line with version and checksum ([`sealed`]). Another field, or another
//! meaning of one, is another [`VERSION`].

use crate::compress::Codec;
use crate::format::json::Integers;
use crate::format::pattern::Pattern;
use crate::level::LevelFilter;
use crate::sealed::{self, Unsealed};
use crate::view::rotation::{Period, Settings};
use crate::view::{ComponentViews, Config as ViewsConfig, Filter, Format, Kind, ViewConfig};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// Version of the format.
const VERSION: u32 = 2;
/// What the file says that it is.
const KIND: &str = "configuration";
/// The largest file that is read.
pub(crate) const BYTES_MAX: usize = 4 << 20;
/// Differences that are named at most.
const DIFFERENCES_MAX: usize = 4;

/// The shared configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored {
    open_files_max: usize,
    components: Option<Components>,
    #[serde(default)]
    views: Vec<View>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Components {
    level: String,
    views_max: usize,
    lines: Lines,
    rotation: Rotation,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct View {
    name: String,
    level: String,
    #[serde(default)]
    targets: Vec<(String, String)>,
    kinds: Vec<Kind>,
    lines: Lines,
    rotation: Rotation,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Lines {
    Text { pattern: String, zone: String },
    Json(Integers),
    Ecs(Integers),
    Logfmt,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    file_bytes_max: u64,
    backups: u32,
    gzip_level: Option<u32>,
    zstd_level: Option<i32>,
    compress_delay_ns: i64,
    bytes_total_max: Option<u64>,
    age_max_ns: Option<i64>,
    /// Length and offset of the times at which files are put away.
    period_ns: Option<(i64, i64)>,
    dated: bool,
}

impl Stored {
    /// What is shared of these views.
    pub(crate) fn of(views: &ViewsConfig) -> Self {
        Self {
            open_files_max: views.open_files_max,
            components: views.components.as_ref().map(|views| Components {
                level: views.level.to_string(),
                views_max: views.views_max,
                lines: Lines::of(&views.format),
                rotation: Rotation::of(&views.rotation),
            }),
            views: views.views.iter().map(View::of).collect(),
        }
    }

    /// The views.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn views(&self) -> Result<ViewsConfig, String> {
        let components = self.components.as_ref().map(|views| {
            Ok::<_, String>(ComponentViews {
                level: level(&views.level)?,
                format: views.lines.format()?,
                rotation: views.rotation.settings(),
                views_max: views.views_max,
            })
        });
        let views = ViewsConfig {
            views: self.views.iter().map(View::config).collect::<Result<_, _>>()?,
            components: components.transpose()?,
            open_files_max: self.open_files_max,
        };
        views.check().map_err(|error| error.to_string())?;
        Ok(views)
    }

    /// The file's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        sealed::seal(KIND, VERSION, &self.table().to_string())
    }

    /// Reads a file's bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unsealed> {
        let text = sealed::open(KIND, VERSION, bytes)?;
        toml::from_str(text).map_err(|_| Unsealed::Damaged)
    }

    /// What `wanted` has otherwise, in words; empty when they are equal.
    pub(crate) fn difference(&self, wanted: &Self) -> String {
        let mut found = Vec::new();
        differences("", &Value::Table(self.table()), &Value::Table(wanted.table()), &mut found);
        let more = found.len().saturating_sub(DIFFERENCES_MAX);
        found.truncate(DIFFERENCES_MAX);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        found.join(", ") + &more
    }

    fn table(&self) -> Table {
        Table::try_from(self).unwrap_or_default()
    }
}

/// Collects where two values differ, as `views.0.level is "info" there and "warn" here`.
fn differences(at: &str, there: &Value, here: &Value, found: &mut Vec<String>) {
    let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match (there, here) {
        (Value::Table(a), Value::Table(b)) => {
            for (key, value) in a {
                match b.get(key) {
                    Some(other) => differences(&below(key), value, other, found),
                    None => found.push(format!("{} is set there and not here", below(key))),
                }
            }
            let only = b.keys().filter(|key| !a.contains_key(*key));
            found.extend(only.map(|key| format!("{} is set here and not there", below(key))));
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&below(&index.to_string()), a, b, found);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            found.push(format!("{at} are {} there and {} here", a.len(), b.len()));
        }
        (a, b) if a != b => found.push(format!("{at} is {a} there and {b} here")),
        _ => {}
    }
}

fn level(text: &str) -> Result<LevelFilter, String> {
    text.parse().map_err(|error| format!("{error}"))
}

impl Lines {
    fn of(format: &Format) -> Self {
        match format {
            Format::Text { pattern, zone } => Self::Text { pattern: pattern.to_string(), zone: zone.clone() },
            Format::Json(integers) => Self::Json(*integers),
            Format::Ecs(integers) => Self::Ecs(*integers),
            Format::Logfmt => Self::Logfmt,
        }
    }

    fn format(&self) -> Result<Format, String> {
        match self {
            Self::Json(integers) => Ok(Format::Json(*integers)),
            Self::Ecs(integers) => Ok(Format::Ecs(*integers)),
            Self::Logfmt => Ok(Format::Logfmt),
            Self::Text { pattern, zone } => {
                let pattern = pattern.parse::<Pattern>().map_err(|error| error.to_string())?;
                Ok(Format::Text { pattern, zone: zone.clone() })
            }
        }
    }
}

impl Rotation {
    fn of(settings: &Settings) -> Self {
        Self {
            file_bytes_max: settings.file_bytes_max,
            backups: settings.backups,
            gzip_level: match settings.compress {
                Some(Codec::Gzip(level)) => Some(level),
                _ => None,
            },
            zstd_level: match settings.compress {
                Some(Codec::Zstd(level)) => Some(level),
                _ => None,
            },
            compress_delay_ns: settings.compress_delay_ns,
            bytes_total_max: settings.bytes_total_max,
            age_max_ns: settings.age_max_ns,
            period_ns: settings.period.map(|period| period.parts()),
            dated: settings.dated,
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            file_bytes_max: self.file_bytes_max,
            backups: self.backups,
            compress: self.zstd_level.map(Codec::Zstd).or(self.gzip_level.map(Codec::Gzip)),
            compress_delay_ns: self.compress_delay_ns,
            bytes_total_max: self.bytes_total_max,
            age_max_ns: self.age_max_ns,
            period: self.period_ns.map(Period::from_parts),
            dated: self.dated,
        }
    }
}

impl View {
    fn of(view: &ViewConfig) -> Self {
        let (level, targets) = view.filter.parts();
        Self {
            name: view.name.clone(),
            level: level.to_string(),
            targets: targets.iter().map(|(target, level)| (target.clone(), level.to_string())).collect(),
            kinds: view.filter.kinds.iter().collect(),
            lines: Lines::of(&view.format),
            rotation: Rotation::of(&view.rotation),
        }
    }

    fn config(&self) -> Result<ViewConfig, String> {
        let mut filter = Filter::level(level(&self.level)?).kinds(self.kinds.iter().copied().collect());
        for (target, up_to) in &self.targets {
            filter = filter.target(target, level(up_to)?);
        }
        let (format, rotation) = (self.lines.format()?, self.rotation.settings());
        Ok(ViewConfig { name: self.name.clone(), filter, format, rotation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views() -> ViewsConfig {
        let errors = ViewConfig {
            name: "errors".to_owned(),
            filter: Filter::level(LevelFilter::Error)
                .target("risk", LevelFilter::Warn)
                .target("oms", LevelFilter::Off)
                .kinds([Kind::Messages, Kind::Losses].into_iter().collect()),
            format: Format::Json(Integers::Strings),
            rotation: Settings {
                age_max_ns: Some(5),
                compress: None,
                period: Some(Period::daily(7)),
                dated: true,
                ..Settings::default()
            },
        };
        let text = ViewConfig {
            name: "all".to_owned(),
            format: Format::Text {
                pattern: "\"{{{local}}}\" 'x' {message} {fields}".parse().unwrap(),
                zone: "Europe/Zurich".to_owned(),
            },
            ..ViewConfig::default()
        };
        let of = |name: &str, format| ViewConfig { name: name.to_owned(), format, ..ViewConfig::default() };
        let by_zstd = Settings { compress: Some(Codec::Zstd(7)), ..Settings::default() };
        let pairs = ViewConfig { rotation: by_zstd, ..of("pairs", Format::Logfmt) };
        let others = [of("ecs", Format::Ecs(Integers::Numbers)), pairs];
        ViewsConfig { views: [errors, text].into_iter().chain(others).collect(), ..ViewsConfig::default() }
    }

    #[test]
    fn what_is_stored_comes_back() {
        for views in [views(), ViewsConfig::default(), ViewsConfig { components: None, ..ViewsConfig::default() }] {
            let stored = Stored::of(&views);
            let back = Stored::decode(&stored.encode()).unwrap();
            assert_eq!(back, stored);
            assert_eq!(back.views().unwrap(), views);
            assert_eq!(back.difference(&stored), "");
        }
    }

    #[test]
    fn the_format_is_the_one_that_others_know() {
        let text = String::from_utf8(Stored::of(&ViewsConfig::default()).encode()).unwrap();
        let golden = "# tachograph configuration 2, crc32c d1d101f7\n\
            open_files_max = 128\nviews = []\n\n[components]\nlevel = \"trace\"\nviews_max = 1000\n\n\
            [components.lines.text]\npattern = \"{time} {level} {target} [{thread}] {message} {fields}\"\nzone = \"UTC\"\n\n\
            [components.rotation]\nbackups = 5\ncompress_delay_ns = 5000000000\ndated = false\nfile_bytes_max = 10485760\n\
            gzip_level = 3\n";
        assert_eq!(text, golden, "another text needs another VERSION");
    }

    #[test]
    fn any_prefix_and_any_flipped_byte_is_refused() {
        let whole = Stored::of(&views()).encode();
        for end in 0..whole.len() {
            assert_eq!(Stored::decode(&whole[..end]), Err(Unsealed::Damaged), "cut at {end}");
        }
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            assert!(Stored::decode(&bad).is_err(), "byte {at}");
        }
    }

    #[test]
    fn differences_are_named() {
        let there = Stored::of(&views());
        let mut other = views();
        other.views[0].filter = Filter::level(LevelFilter::Warn);
        other.components.as_mut().unwrap().rotation.backups = 9;
        let said = there.difference(&Stored::of(&other));
        for part in
            ["views.0.level is \"error\" there and \"warn\" here", "components.rotation.backups is 5", "targets"]
        {
            assert!(said.contains(part), "{said}");
        }
        other.views.pop();
        let said = there.difference(&Stored::of(&other));
        assert!(said.contains("views are 4 there and 3 here"), "{said}");
        other.components = None;
        assert!(there.difference(&Stored::of(&other)).contains("components is set there"), "named");
    }
}
