//! Configurations of known systems.

use super::{Config, Sampling, View};
use crate::level::LevelFilter;
use crate::trading::{PERFORMANCE, TRADING_ACTIVITY};
use std::time::Duration;

const MB: u64 = 1_000_000;
/// Cap of a trading bot's log directory.
const BOT_CAP: u64 = 500 * MB;
/// Cap of a trading platform's log directory.
const PLATFORM_CAP: u64 = 6_000 * MB;
/// How often health is checked.
const HEALTH_INTERVAL: Duration = Duration::from_secs(300);
/// The view of what belongs to no service.
const OTHERS: &str = "other";

impl Config {
    /// A trading bot, in the directory `logs`:
    ///
    /// | file | what | size |
    /// |---|---|---|
    /// | `<name>.log` | everything | 10 MB |
    /// | `errors.log` | errors and what is more urgent | 5 MB |
    /// | `trading_activity.log` | [trades and signals](crate::trading) | 20 MB |
    /// | `performance.log` | [measurements](crate::trading) | 10 MB |
    ///
    /// Health is checked every five minutes. 5 older files of each are kept, compressed with gzip; 100 MB of journal; 500 MB in all. Of identical
    /// messages 10 a minute are written, errors all.
    pub fn trading_bot(name: impl Into<String>) -> Self {
        let everything = LevelFilter::Trace;
        Self::new("logs")
            .components(false)
            .view_backups(5_u32)
            .view_bytes_max(10 * MB)
            .archive_bytes_max(100 * MB)
            .disk_bytes_cap(BOT_CAP)
            .health_interval(HEALTH_INTERVAL)
            .sampling(Sampling::new())
            .view(View::new(name))
            .view(View::new("errors").level(LevelFilter::Error).bytes_max(5 * MB))
            .view(View::new(TRADING_ACTIVITY).target(TRADING_ACTIVITY, everything).bytes_max(20 * MB))
            .view(View::new(PERFORMANCE).target(PERFORMANCE, everything))
    }

    /// A trading platform of several services, in the directory `logs`: `<service>.log` for each, with the records of the
    /// targets that start with its name, and `other.log` for the rest. Each has 50 MB and 10 older files, compressed
    /// with gzip; all together, with the journal, have 6 GB, so that there is room for up to 100 services.
    pub fn trading_platform<T: Into<String>>(services: impl IntoIterator<Item = T>) -> Self {
        let services: Vec<String> = services.into_iter().map(Into::into).collect();
        let mut config = Self::new("logs")
            .components(false)
            .view_backups(10_u32)
            .view_bytes_max(50 * MB)
            .health_interval(HEALTH_INTERVAL)
            .disk_bytes_cap(PLATFORM_CAP);
        let mut others = View::new(OTHERS).level(LevelFilter::Trace);
        for service in &services {
            // A service whose name begins with that of another has its records for itself.
            let longer =
                services.iter().filter(|other| other.len() > service.len() && other.starts_with(service.as_str()));
            let view = View::new(service).target(service, LevelFilter::Trace);
            config = config.view(longer.fold(view, |view, other| view.target(other, LevelFilter::Off)));
            others = others.target(service, LevelFilter::Off);
        }
        config.view(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_can_be_started_with() {
        for config in [
            Config::trading_bot("kraken_trading_bot"),
            Config::trading_platform(["order_watcher", "dashboard"]),
            Config::trading_platform((0..100).map(|number| format!("service{number:02}"))),
        ] {
            config.validate().unwrap();
            assert!(config.disk_bytes_max().is_some());
        }
        assert!(Config::trading_bot("../up").validate().is_err());
    }

    #[test]
    fn each_record_of_a_platform_is_in_one_file() {
        let views = Config::trading_platform(["order", "order_watcher", "feed"]).views_wanted().unwrap().views;
        let shown = |target: &str| -> Vec<&str> {
            let shows = views.iter().filter(|view| view.filter.for_target(target) == LevelFilter::Trace);
            shows.map(|view| view.name.as_str()).collect()
        };
        assert_eq!(shown("order::book"), ["order"]);
        assert_eq!(shown("order_watcher"), ["order_watcher"]);
        assert_eq!(shown("feed"), ["feed"]);
        assert_eq!(shown("tachograph"), ["other"]);
    }
}
