//! The files that operators read: what is set for all of them, and for one by name.

use super::Config;
use super::check::{within, within_time};
use crate::error::Error;
use crate::format::json::Integers;
use crate::format::pattern::Pattern;
use crate::format::time::Zone;
use crate::level::LevelFilter;
use crate::view::rotation::{BACKUPS_MAX, Period, Settings};
use crate::view::{ComponentViews, Config as ViewsConfig, Filter, Format, Kind, ViewConfig};
use std::time::Duration;

/// The most views that have a name.
const VIEWS_MAX: usize = 1000;
/// The most targets of one view, and the longest name of one in bytes.
const TARGETS_MAX: usize = 256;
const TARGET_BYTES_MAX: usize = 256;
/// The least and the most bytes of a view's file.
const FILE_BYTES_MIN: u64 = 4096;
const FILE_BYTES_MAX: u64 = 1 << 40;
const AGE_MIN: Duration = Duration::from_secs(1);
/// A hundred years.
const AGE_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);
const EVERY_MIN: Duration = Duration::from_secs(60);
const EVERY_MAX: Duration = Duration::from_secs(366 * 86_400);
const MINUTE_NS: i64 = 60_000_000_000;

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineFormat {
    /// Text by a [pattern](Config::text_pattern). The default.
    #[default]
    Text,
    /// Flat JSON: see [`format::json`](crate::format::json).
    Json,
    /// JSON with the names of the Elastic Common Schema.
    Ecs,
    /// `key=value` pairs: see [`format::logfmt`](crate::format::logfmt).
    Logfmt,
}

/// When a view's file is put away, beside when it is full. In a file: `"size"`, `"daily 06:30"`, `"every 6 h"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Rotate {
    /// At no time. The default.
    #[default]
    BySize,
    /// Each day, at this time in UTC.
    Daily {
        /// From 0 to 23.
        hour: u8,
        /// From 0 to 59.
        minute: u8,
    },
    /// At this interval, counted from the Unix epoch: one that divides a day begins anew at midnight UTC. From 1 min to
    /// 366 days.
    Every(Duration),
}

impl Rotate {
    fn period(self, field: &str) -> Result<Option<Period>, Error> {
        match self {
            Self::BySize => Ok(None),
            Self::Daily { hour, minute } => {
                within(&format!("{field}: hour"), hour, 0..=23)?;
                within(&format!("{field}: minute"), minute, 0..=59)?;
                Ok(Some(Period::daily((i64::from(hour) * 60 + i64::from(minute)) * MINUTE_NS)))
            }
            Self::Every(span) => {
                within_time(field, span, EVERY_MIN..=EVERY_MAX)?;
                Ok(Some(Period::every(nanoseconds(span))))
            }
        }
    }
}

fn nanoseconds(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

/// A log file with a name: which records it shows, how, and how its files grow and go. For [`Config::view`].
///
/// What is not set is as the options `view_…` of [`Config`] say. A record goes to every view that shows it.
///
/// ```
/// use tachograph::{Config, LevelFilter, LineFormat, View};
///
/// let config = Config::new("logs")
///     .view(View::new("errors").level(LevelFilter::Error).bytes_max(5_000_000))
///     .view(View::new("orders").target("order_watcher", LevelFilter::Debug).format(LineFormat::Json));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    pub(super) name: String,
    pub(super) level: Option<LevelFilter>,
    pub(super) targets: Vec<(String, LevelFilter)>,
    pub(super) kinds: Option<Vec<Kind>>,
    pub(super) format: Option<LineFormat>,
    pub(super) text_pattern: Option<String>,
    pub(super) integers: Option<Integers>,
    pub(super) zone: Option<String>,
    pub(super) bytes_max: Option<u64>,
    pub(super) backups: Option<u32>,
    pub(super) total_bytes_max: Option<u64>,
    pub(super) age_max: Option<Duration>,
    pub(super) rotate: Option<Rotate>,
    pub(super) dated: Option<bool>,
    pub(super) compress: Option<bool>,
}

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Self {
                self.$name = Some($name.into());
                self
            }
        )*
    };
}

impl View {
    /// The file `<name>.log`, with every record. A name is 1 to 100 of the characters `A-Z a-z 0-9 . _ -`, and begins with
    /// no dot.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            level: None,
            targets: Vec::new(),
            kinds: None,
            format: None,
            text_pattern: None,
            integers: None,
            zone: None,
            bytes_max: None,
            backups: None,
            total_bytes_max: None,
            age_max: None,
            rotate: None,
            dated: None,
            compress: None,
        }
    }

    /// Shows records up to `level` of targets that start with `prefix`, as in `log`. The longest prefix that fits
    /// decides; the same prefix again replaces the level. Up to 256, each up to 256 bytes.
    #[must_use]
    pub fn target(mut self, prefix: impl Into<String>, level: impl Into<LevelFilter>) -> Self {
        let prefix = prefix.into();
        self.targets.retain(|(known, _)| *known != prefix);
        self.targets.push((prefix, level.into()));
        self
    }

    /// Shows only records of these kinds: messages, losses, summaries of sampling, the logger's own notes. Default: all.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.kinds = Some(kinds.into_iter().collect());
        self
    }

    settings! {
        /// The most verbose level that is shown, of targets that none of the prefixes fits. Default: `Trace`, or `Off`
        /// when there are prefixes.
        level: impl Into<LevelFilter>,
        /// How lines look. Default: [`Config::view_format`].
        format: LineFormat,
        /// The pattern of text lines. Default: [`Config::text_pattern`].
        text_pattern: impl Into<String>,
        /// How integers of 64 bits stand in JSON. Default: [`Config::view_integers`].
        integers: Integers,
        /// The zone of `{local}`. Default: [`Config::view_zone`].
        zone: impl Into<String>,
        /// Bytes of the file; the next line starts a new one. Default: [`Config::view_bytes_max`].
        bytes_max: u64,
        /// Older files that are kept. Default: [`Config::view_backups`].
        backups: u32,
        /// Bytes of all files together. Default: [`Config::view_total_bytes_max`].
        total_bytes_max: u64,
        /// How old the last line of a file may be that is kept. Default: [`Config::view_age_max`].
        age_max: Duration,
        /// When the file is put away. Default: [`Config::view_rotate`].
        rotate: Rotate,
        /// Whether older files are named by time. Default: [`Config::view_dated`].
        dated: bool,
        /// Whether older files are compressed. Default: [`Config::view_compress`].
        compress: bool,
    }

    fn filter(&self) -> Result<Filter, Error> {
        let field = |of: &str| format!("view.{}.{of}", self.name);
        within(&field("targets: number"), self.targets.len(), 0..=TARGETS_MAX)?;
        let others = if self.targets.is_empty() { LevelFilter::Trace } else { LevelFilter::Off };
        let mut filter = Filter::level(self.level.unwrap_or(others));
        for (prefix, level) in &self.targets {
            within(&field("targets: bytes of a name"), prefix.len(), 1..=TARGET_BYTES_MAX)?;
            filter = filter.target(prefix, *level);
        }
        match &self.kinds {
            Some(kinds) if kinds.is_empty() => {
                Err(Error::config(&field("kinds"), "is empty, so nothing would be shown"))
            }
            Some(kinds) => Ok(filter.kinds(kinds.iter().copied().collect())),
            None => Ok(filter),
        }
    }

    fn wanted(&self, config: &Config) -> Result<ViewConfig, Error> {
        let field = |of: &str| format!("view.{}.{of}", self.name);
        let format = Lines {
            format: self.format.unwrap_or(config.view_format),
            pattern: self.text_pattern.as_deref().unwrap_or(&config.text_pattern),
            integers: self.integers.unwrap_or(config.view_integers),
            zone: self.zone.as_deref().unwrap_or(&config.view_zone),
        };
        let files = Files {
            bytes_max: self.bytes_max.unwrap_or(config.view_bytes_max),
            backups: self.backups.unwrap_or(config.view_backups),
            total_bytes_max: self.total_bytes_max.or(config.view_total_bytes_max),
            age_max: self.age_max.or(config.view_age_max),
            rotate: self.rotate.unwrap_or(config.view_rotate),
            dated: self.dated.unwrap_or(config.view_dated),
            compress: self.compress.unwrap_or(config.view_compress),
        };
        Ok(ViewConfig {
            name: self.name.clone(),
            filter: self.filter()?,
            format: format.wanted(&field("text_pattern"), &field("zone"))?,
            rotation: files.wanted(config, &field)?,
        })
    }
}

struct Lines<'a> {
    format: LineFormat,
    pattern: &'a str,
    integers: Integers,
    zone: &'a str,
}

impl Lines<'_> {
    fn wanted(self, pattern_field: &str, zone_field: &str) -> Result<Format, Error> {
        let pattern = match self.pattern {
            "" => Pattern::default(),
            text => text.parse().map_err(|error| Error::config(pattern_field, error))?,
        };
        Zone::named(self.zone).map_err(|error| Error::config(zone_field, error))?;
        Ok(match self.format {
            LineFormat::Text => Format::Text { pattern, zone: self.zone.to_owned() },
            LineFormat::Json => Format::Json(self.integers),
            LineFormat::Ecs => Format::Ecs(self.integers),
            LineFormat::Logfmt => Format::Logfmt,
        })
    }
}

struct Files {
    bytes_max: u64,
    backups: u32,
    total_bytes_max: Option<u64>,
    age_max: Option<Duration>,
    rotate: Rotate,
    dated: bool,
    compress: bool,
}

impl Files {
    fn wanted(self, config: &Config, field: &dyn Fn(&str) -> String) -> Result<Settings, Error> {
        within(&field("bytes_max"), self.bytes_max, FILE_BYTES_MIN..=FILE_BYTES_MAX)?;
        within(&field("backups"), self.backups, 0..=BACKUPS_MAX)?;
        if let Some(total) = self.total_bytes_max.filter(|total| *total < self.bytes_max) {
            let message = format!("{total} is less than bytes_max, which is {}", self.bytes_max);
            return Err(Error::config(&field("total_bytes_max"), message));
        }
        if let Some(age) = self.age_max {
            within_time(&field("age_max"), age, AGE_MIN..=AGE_MAX)?;
        }
        Ok(Settings {
            file_bytes_max: self.bytes_max,
            backups: self.backups,
            compress: self.compress.then(|| config.codec()),
            compress_delay_ns: nanoseconds(config.view_compress_delay),
            bytes_total_max: self.total_bytes_max,
            age_max_ns: self.age_max.map(nanoseconds),
            period: self.rotate.period(&field("rotate"))?,
            dated: self.dated,
        })
    }
}

impl Config {
    /// The views that the options ask for.
    ///
    /// # Errors
    /// The first option that is refused.
    pub(crate) fn views_wanted(&self) -> Result<ViewsConfig, Error> {
        if let Some(views) = &self.views {
            return Ok(views.clone());
        }
        within("view: number", self.named_views.len(), 0..=VIEWS_MAX)?;
        let views = self.named_views.iter().map(|view| view.wanted(self)).collect::<Result<_, _>>()?;
        // Checked also where no view is as they say.
        let lines = Lines {
            format: self.view_format,
            pattern: &self.text_pattern,
            integers: self.view_integers,
            zone: &self.view_zone,
        };
        let files = Files {
            bytes_max: self.view_bytes_max,
            backups: self.view_backups,
            total_bytes_max: self.view_total_bytes_max,
            age_max: self.view_age_max,
            rotate: self.view_rotate,
            dated: self.view_dated,
            compress: self.view_compress,
        };
        let components = ComponentViews {
            format: lines.wanted("text_pattern", "view_zone")?,
            rotation: files.wanted(self, &|of| format!("view_{of}"))?,
            views_max: self.views_max,
            ..ComponentViews::default()
        };
        let components = self.components.then_some(components);
        if components.is_none() && self.named_views.is_empty() {
            let message =
                "is false, and no view has a name: nothing would be shown; the journal alone is not meant to be read";
            return Err(Error::config("components", message));
        }
        let views = ViewsConfig { views, components, ..ViewsConfig::default() };
        views.check().map_err(|error| Error::config(&format!("view.{}", error.view), error.reason))?;
        Ok(views)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: Config, field: &str) {
        let error = config.views_wanted().unwrap_err();
        assert!(error.is_config() && error.field() == Some(field), "{error}: {:?} is not {field}", error.field());
    }

    #[test]
    fn what_a_view_leaves_open_is_as_for_all() {
        let config = Config::new("x")
            .view_format(LineFormat::Ecs)
            .view_backups(7_u32)
            .view_rotate(Rotate::Daily { hour: 6, minute: 30 })
            .view(View::new("a"))
            .view(
                View::new("b")
                    .format(LineFormat::Logfmt)
                    .backups(2)
                    .rotate(Rotate::BySize)
                    .target("b", LevelFilter::Info),
            );
        let views = config.views_wanted().unwrap();
        let [a, b] = &views.views[..] else { panic!("two views") };
        assert_eq!((&a.format, a.rotation.backups), (&Format::Ecs(Integers::Numbers), 7));
        assert_eq!(a.rotation.period, Some(Period::daily(390 * MINUTE_NS)));
        assert_eq!(a.filter.for_target("any"), LevelFilter::Trace);
        assert_eq!((&b.format, b.rotation.backups, b.rotation.period), (&Format::Logfmt, 2, None));
        assert_eq!((b.filter.for_target("any"), b.filter.for_target("bb")), (LevelFilter::Off, LevelFilter::Info));
        assert_eq!(views.components.unwrap().rotation, a.rotation);
    }

    #[test]
    fn a_view_of_the_same_name_replaces_the_one_before() {
        let config = Config::new("x").view(View::new("a").backups(1)).view(View::new("a").backups(2));
        assert_eq!(
            config.views_wanted().unwrap().views.iter().map(|view| view.rotation.backups).collect::<Vec<_>>(),
            [2]
        );
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let config = || Config::new("x");
        refused(config().view_zone("Mars/Olympus"), "view_zone");
        refused(config().view_age_max(Duration::ZERO), "view_age_max");
        refused(config().view_total_bytes_max(5000_u64), "view_total_bytes_max");
        refused(config().view_rotate(Rotate::Every(Duration::from_secs(1))), "view_rotate");
        refused(config().view_rotate(Rotate::Daily { hour: 24, minute: 0 }), "view_rotate: hour");
        refused(config().components(false), "components");
        refused(config().view(View::new(".a")), "view..a");
        refused(config().view(View::new("a")).view(View::new("A")), "view.A");
        refused(config().view(View::new("a").bytes_max(1)), "view.a.bytes_max");
        refused(config().view(View::new("a").text_pattern("{nonsense}")), "view.a.text_pattern");
        refused(config().view(View::new("a").kinds([])), "view.a.kinds");
        refused(config().view(View::new("a").target("", LevelFilter::Info)), "view.a.targets: bytes of a name");
    }
}
