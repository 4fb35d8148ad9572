//! What a worker must know of the configuration, as bytes: a collector reads it from the process's live folder.
//!
//! The text is TOML behind a line with version and checksum ([`sealed`]). Another field, or another
//! meaning of one, is another [`VERSION`].

use super::stored::Stored;
use super::{Config, Sync};
use crate::sealed::{self, Unsealed};
use crate::view::Config as ViewsConfig;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;
use toml::Table;

/// Version of the format.
const VERSION: u32 = 3;
/// What the file says that it is.
const KIND: &str = "worker";
/// The largest file that is read.
pub(crate) const BYTES_MAX: usize = 1 << 20;

/// A worker's part of a configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Terms {
    sync: Pace,
    segment_bytes: usize,
    archive_bytes_max: u64,
    archive_compress: bool,
    disk_bytes_cap: Option<u64>,
    gzip_level: u32,
    zstd_level: Option<i32>,
    health_interval_ns: u64,
    health_view_lag_max_ns: u64,
    health_command: Vec<String>,
    health_command_time_max_ns: u64,
    views: Stored,
}

/// [`Sync`] in the file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Pace {
    Never,
    EachSegment,
    IntervalNs(u64),
}

impl Terms {
    /// The worker's part of `config`, with the views that it wants.
    pub(crate) fn of(config: &Config, views: &ViewsConfig) -> Self {
        Self {
            sync: match config.sync {
                Sync::Never => Pace::Never,
                Sync::EachSegment => Pace::EachSegment,
                Sync::Interval(interval) => Pace::IntervalNs(nanoseconds(interval)),
            },
            segment_bytes: config.segment_bytes,
            archive_bytes_max: config.archive_bytes_max,
            archive_compress: config.archive_compress,
            disk_bytes_cap: config.disk_bytes_cap,
            gzip_level: config.gzip_level,
            zstd_level: config.zstd_level,
            health_interval_ns: nanoseconds(config.health_interval),
            health_view_lag_max_ns: nanoseconds(config.health_view_lag_max),
            health_command: config.health_command.clone(),
            health_command_time_max_ns: nanoseconds(config.health_command_time_max),
            views: Stored::of(views),
        }
    }

    /// A configuration that has this part, for the log directory `dir`.
    ///
    /// # Errors
    /// What is wrong with its views.
    pub(crate) fn config(&self, dir: &Path) -> Result<Config, String> {
        let mut config = Config::new(dir);
        config.sync = match self.sync {
            Pace::Never => Sync::Never,
            Pace::EachSegment => Sync::EachSegment,
            Pace::IntervalNs(interval) => Sync::Interval(Duration::from_nanos(interval)),
        };
        config.segment_bytes = self.segment_bytes;
        config.archive_bytes_max = self.archive_bytes_max;
        config.archive_compress = self.archive_compress;
        config.disk_bytes_cap = self.disk_bytes_cap;
        config.gzip_level = self.gzip_level;
        config.zstd_level = self.zstd_level;
        config.health_interval = Duration::from_nanos(self.health_interval_ns);
        config.health_view_lag_max = Duration::from_nanos(self.health_view_lag_max_ns);
        config.health_command.clone_from(&self.health_command);
        config.health_command_time_max = Duration::from_nanos(self.health_command_time_max_ns);
        config.views = Some(self.views.views()?);
        Ok(config)
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

    /// What `other` has otherwise, in words; empty when they are equal.
    pub(crate) fn difference(&self, other: &Self) -> String {
        let (ours, theirs) = (self.table(), other.table());
        let differing = ours.iter().filter(|(name, _)| *name != "views").filter_map(|(name, value)| {
            let other = theirs.get(name).filter(|other| *other != value)?;
            Some(format!("{name} is {other}, not {value}"))
        });
        let views = Some(self.views.difference(&other.views)).filter(|text| !text.is_empty());
        differing.chain(views).collect::<Vec<_>>().join(", ")
    }

    fn table(&self) -> Table {
        Table::try_from(self).unwrap_or_default()
    }
}

/// Nanoseconds, at most what a number in TOML can be.
fn nanoseconds(span: Duration) -> u64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(config: &Config) -> Terms {
        Terms::of(config, &config.views_wanted().unwrap())
    }

    fn config() -> Config {
        Config::new("x").sync(Sync::EachSegment).text_pattern("\"{message}\" {{}}").view_compress_delay(Duration::MAX)
    }

    #[test]
    fn what_is_stored_comes_back_and_cut_files_do_not_pass() {
        for config in [config(), config().sync(Sync::Never), Config::new("y")] {
            let terms = terms(&config);
            let bytes = terms.encode();
            assert_eq!(Terms::decode(&bytes), Ok(terms.clone()));
            assert_eq!(self::terms(&terms.config(Path::new("z")).unwrap()), terms);
            for end in 0..bytes.len() {
                assert_eq!(Terms::decode(&bytes[..end]), Err(Unsealed::Damaged));
            }
        }
    }

    #[test]
    fn differences_are_named() {
        let here = terms(&config());
        assert_eq!(here.difference(&here), "");
        let other = config().archive_bytes_max(9_u64 << 20).view_backups(1_u32);
        let said = here.difference(&terms(&other));
        assert_eq!(
            said,
            "archive_bytes_max is 9437184, not 1073741824, components.rotation.backups is 10 there and 1 here"
        );
    }
}
