//! The TOML form: the same names, with sizes like `"16 MiB"` and times like `"100 ms"`.

use super::view_file::{RotateText, ViewFile};
use super::{
    Config, FlightRecorder, FlightScope, Identity, Idle, LineFormat, Memory, Mode, Overflow, Sampling, Sync, Worker,
    WriterCore,
};
use crate::clock::Clock;
use crate::format::json::Integers;
use crate::level::{Level, LevelFilter};
use crate::units::{parse_bytes, parse_span};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

/// A number of bytes: 65536 or "64 KiB".
pub(super) struct Bytes(pub(super) u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        match NumberOrText::deserialize(source)? {
            NumberOrText::Number(number) => Ok(Self(number)),
            NumberOrText::Text(text) => parse_bytes(&text).map(Self).map_err(serde::de::Error::custom),
        }
    }
}

/// A span of time: "100 ms".
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        parse_span(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CoreFile {
    Number(usize),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SamplingFile {
    per_interval: Option<u32>,
    interval: Option<Span>,
    burst: Option<u32>,
    identity: Option<String>,
    field: Option<String>,
    exempt_level: Option<String>,
    exempt_targets: Option<Vec<String>>,
    #[serde(default)]
    targets: Vec<ShareFile>,
    entries: Option<usize>,
    seed: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareFile {
    target: String,
    every: Option<u64>,
    probability: Option<f64>,
}

impl SamplingFile {
    fn sampling(self) -> Result<Sampling, String> {
        let mut sampling = Sampling::new();
        if let Some(per_interval) = self.per_interval {
            sampling.per_interval = per_interval;
        }
        if let Some(interval) = self.interval {
            sampling.interval = interval.0;
        }
        sampling.burst = self.burst;
        sampling.identity = match (self.identity.as_deref(), self.field) {
            (None | Some("arguments"), None) => Identity::Arguments,
            (Some("site"), None) => Identity::Site,
            (None | Some("field"), Some(field)) => Identity::Field(field),
            (Some("field"), None) => return Err("sampling.identity: \"field\" needs field = \"its name\"".to_owned()),
            (Some("arguments" | "site"), Some(_)) => {
                return Err("sampling.field: goes with identity = \"field\" only".to_owned());
            }
            (Some(other), _) => {
                return Err(format!("sampling.identity: {other:?} is none of \"arguments\", \"site\", \"field\""));
            }
        };
        if let Some(level) = self.exempt_level {
            sampling.exempt_level =
                level.parse::<LevelFilter>().map_err(|error| format!("sampling.exempt_level: {error}"))?;
        }
        sampling.exempt_targets = self.exempt_targets.unwrap_or_default();
        for share in self.targets {
            sampling = match (share.every, share.probability) {
                (Some(number), None) => sampling.every(share.target, number),
                (None, Some(probability)) => sampling.probability(share.target, probability),
                _ => return Err(format!("sampling.targets: {:?} needs either every or probability", share.target)),
            };
        }
        if let Some(entries) = self.entries {
            sampling.entries = entries;
        }
        sampling.seed = self.seed.unwrap_or(sampling.seed);
        Ok(sampling)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlightFile {
    level: Option<String>,
    records: Option<u64>,
    bytes: Option<Bytes>,
    trigger: Option<String>,
    scope: Option<FlightScope>,
}

impl FlightFile {
    fn flight_recorder(self) -> Result<FlightRecorder, String> {
        let mut recorder = FlightRecorder::new();
        let level = |name: &str, text: String, known: &mut Level| {
            let filter = text.parse::<LevelFilter>().map_err(|error| format!("flight_recorder.{name}: {error}"))?;
            *known =
                Level::from_u8(filter as u8).ok_or_else(|| format!("flight_recorder.{name}: {text:?} is no level"))?;
            Ok::<(), String>(())
        };
        if let Some(text) = self.level {
            level("level", text, &mut recorder.level)?;
        }
        if let Some(text) = self.trigger {
            level("trigger", text, &mut recorder.trigger)?;
        }
        recorder.records = self.records.unwrap_or(recorder.records);
        if let Some(bytes) = self.bytes {
            recorder.bytes = usize::try_from(bytes.0).map_err(|_| "flight_recorder.bytes: too large".to_owned())?;
        }
        recorder.scope = self.scope.unwrap_or(recorder.scope);
        Ok(recorder)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HealthFile {
    interval: Option<Span>,
    view_lag_max: Option<Span>,
    command: Option<Vec<String>>,
    command_time_max: Option<Span>,
}

impl HealthFile {
    fn put(self, config: &mut Config) {
        let take = |to: &mut Duration, from: Option<Span>| *to = from.map_or(*to, |span| span.0);
        take(&mut config.health_interval, self.interval);
        take(&mut config.health_view_lag_max, self.view_lag_max);
        take(&mut config.health_command_time_max, self.command_time_max);
        config.health_command = self.command.unwrap_or_default();
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    dir: PathBuf,
    level: Option<String>,
    levels: Option<String>,
    overflow: Option<Overflow>,
    block_max: Option<Span>,
    mode: Option<Mode>,
    memory: Option<Memory>,
    worker: Option<Worker>,
    shm_dir: Option<PathBuf>,
    shm_bytes_max: Option<Bytes>,
    shm_group: Option<String>,
    sigbus_handler: Option<bool>,
    ring_bytes: Option<Bytes>,
    rings_spare: Option<usize>,
    record_bytes_max: Option<Bytes>,
    segments: Option<usize>,
    segment_bytes: Option<Bytes>,
    table_bytes: Option<Bytes>,
    writer_core: Option<CoreFile>,
    idle: Option<Idle>,
    order_wait: Option<Span>,
    close_max: Option<Span>,
    sync: Option<String>,
    clock: Option<String>,
    coarse_stale_max: Option<Span>,
    sampling: Option<SamplingFile>,
    flight_recorder: Option<FlightFile>,
    components: Option<bool>,
    view: Option<Vec<ViewFile>>,
    view_format: Option<LineFormat>,
    view_integers: Option<Integers>,
    view_zone: Option<String>,
    view_total_bytes_max: Option<Bytes>,
    view_age_max: Option<Span>,
    view_rotate: Option<RotateText>,
    view_dated: Option<bool>,
    disk_bytes_cap: Option<Bytes>,
    view_bytes_max: Option<Bytes>,
    view_backups: Option<u32>,
    views_max: Option<usize>,
    view_compress: Option<bool>,
    view_compress_delay: Option<Span>,
    text_pattern: Option<String>,
    archive_bytes_max: Option<Bytes>,
    archive_compress: Option<bool>,
    gzip_level: Option<u32>,
    zstd_level: Option<i32>,
    health: Option<HealthFile>,
}

/// Reads a configuration from the text of a TOML file.
pub(super) fn from_toml(text: &str) -> Result<Config, String> {
    let file: ConfigFile = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut config = Config::new(file.dir);
    macro_rules! take {
        ($($name:ident)*) => { $(if let Some(value) = file.$name { config.$name = value; })* };
    }
    macro_rules! take_inner {
        ($($name:ident)*) => { $(if let Some(value) = file.$name { config.$name = value.0; })* };
    }
    macro_rules! take_size {
        ($($name:ident)*) => {
            $(if let Some(value) = file.$name {
                config.$name = usize::try_from(value.0).map_err(|_| format!("{}: too large", stringify!($name)))?;
            })*
        };
    }
    take!(levels overflow mode memory worker shm_dir rings_spare segments idle view_backups views_max view_compress);
    take!(text_pattern archive_compress gzip_level shm_group sigbus_handler);
    take!(components view_format view_integers view_zone view_dated);
    take_inner!(view_rotate);
    take_inner!(block_max shm_bytes_max order_wait close_max view_bytes_max view_compress_delay archive_bytes_max);
    take_size!(ring_bytes record_bytes_max segment_bytes table_bytes);
    config.flight_recorder = file.flight_recorder.map(FlightFile::flight_recorder).transpose()?;
    if let Some(health) = file.health {
        health.put(&mut config);
    }
    config.sampling = file.sampling.map(SamplingFile::sampling).transpose()?;
    config.view_total_bytes_max = file.view_total_bytes_max.map(|bytes| bytes.0);
    config.view_age_max = file.view_age_max.map(|span| span.0);
    config.zstd_level = file.zstd_level;
    config.disk_bytes_cap = file.disk_bytes_cap.map(|bytes| bytes.0);
    config.named_views = file.view.unwrap_or_default().into_iter().map(ViewFile::view).collect();
    config.coarse_stale_max = file.coarse_stale_max.map(|span| span.0);
    if let Some(level) = file.level {
        config.level = level.parse::<LevelFilter>().map_err(|error| format!("level: {error}"))?;
    }
    if let Some(core) = file.writer_core {
        config.writer_core = match core {
            CoreFile::Number(number) => WriterCore::Core(number),
            CoreFile::Text(text) if text == "auto" => WriterCore::Auto,
            CoreFile::Text(text) if text == "unpinned" => WriterCore::Unpinned,
            CoreFile::Text(text) => {
                return Err(format!("writer_core: {text:?} is neither a core's number nor \"auto\" nor \"unpinned\""));
            }
        };
    }
    if let Some(sync) = file.sync {
        config.sync = match sync.as_str() {
            "never" => Sync::Never,
            "each-segment" => Sync::EachSegment,
            span => Sync::Interval(
                parse_span(span).map_err(|error| format!("sync: {error}; or write \"never\" or \"each-segment\""))?,
            ),
        };
    }
    if let Some(clock) = file.clock {
        config.clock = match clock.as_str() {
            "ticks" => Clock::Ticks,
            "coarse" => Clock::Coarse,
            _ => {
                return Err(format!(
                    "clock: {clock:?} is neither \"ticks\" nor \"coarse\"; a manual clock is set in code"
                ));
            }
        };
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_sets_what_it_names_and_nothing_else() {
        let config = from_toml(
            "dir = 'x'\nlevel = 'debug'\nring_bytes = '64 KiB'\norder_wait = '50 ms'\nwriter_core = 3\nsync = 'never'\nworker = 'external'",
        )
        .unwrap();
        assert_eq!(config.ring_bytes, 65536);
        assert_eq!(config.order_wait, Duration::from_millis(50));
        assert_eq!(config.writer_core, WriterCore::Core(3));
        assert_eq!(config.sync, Sync::Never);
        assert_eq!(config.worker, Worker::External);
        assert_eq!(config.level, LevelFilter::Debug);
        assert_eq!(config.segments, Config::new("x").segments);
    }

    #[test]
    fn sampling_is_off_unless_it_has_a_table() {
        assert_eq!(from_toml("dir = 'x'").unwrap().sampling, None);
        assert_eq!(from_toml("dir = 'x'\n[sampling]").unwrap().sampling, Some(Sampling::new()));
        let text = "dir = 'x'\n[sampling]\nper_interval = 5\ninterval = '2 s'\nburst = 7\nidentity = 'field'\n\
                    field = 'symbol'\nexempt_level = 'warn'\nexempt_targets = ['audit']\nentries = 64\nseed = 3\n\
                    targets = [{ target = 'x', every = 10 }, { target = 'y', probability = 0.1 }]";
        let expected = Sampling::new()
            .per_interval(5)
            .interval(Duration::from_secs(2))
            .burst(7)
            .identity(Identity::Field("symbol".into()))
            .exempt_level(LevelFilter::Warn)
            .exempt_target("audit")
            .entries(64)
            .seed(3)
            .every("x", 10)
            .probability("y", 0.1);
        assert_eq!(from_toml(text).unwrap().sampling, Some(expected));
    }

    #[test]
    fn wrong_files_are_refused_with_the_name_and_the_remedy() {
        for (text, expected) in [
            ("dir = 'x'\nrnig_bytes = 1", "rnig_bytes"),
            ("dir = 'x'\nring_bytes = '1 furlong'", "64 KiB"),
            ("dir = 'x'\norder_wait = '5'", "100 ms"),
            ("dir = 'x'\nlevel = 'loud'", "loud"),
            ("dir = 'x'\nwriter_core = 'left'", "unpinned"),
            ("level = 'info'", "dir"),
            ("dir = 'x'\n[flight_recorder]\nlevel = 'off'", "flight_recorder.level"),
            ("dir = 'x'\n[flight_recorder]\ntrigger = 'loud'", "flight_recorder.trigger"),
            ("dir = 'x'\n[flight_recorder]\nscope = 'host'", "scope"),
            ("dir = 'x'\n[sampling]\nper_minute = 1", "per_minute"),
            ("dir = 'x'\n[health]\nemail = 'x'", "email"),
            ("dir = 'x'\n[sampling]\nidentity = 'same'", "\"arguments\""),
            ("dir = 'x'\n[sampling]\nidentity = 'field'", "its name"),
            ("dir = 'x'\n[sampling]\nidentity = 'site'\nfield = 'a'", "identity = \"field\" only"),
            ("dir = 'x'\n[sampling]\nexempt_level = 'loud'", "loud"),
            ("dir = 'x'\n[sampling]\ntargets = [{ target = 'a' }]", "every or probability"),
        ] {
            let error = from_toml(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
