//! A configuration as the text of a file that [`Config::from_file`] reads.

use super::{Config, FlightRecorder, Identity, Sampling, Sync, View, WriterCore};
use crate::clock::Clock;
use crate::level::LevelFilter;
use std::fmt::Write as _;
use std::time::Duration;
use toml::Value;

/// A number of bytes in the largest unit that makes it whole.
fn bytes(number: u64) -> String {
    let units = [(1 << 30, "GiB"), (1_000_000_000, "GB"), (1 << 20, "MiB"), (1_000_000, "MB"), (1 << 10, "KiB")];
    let whole = units.iter().find(|(unit, _)| number > 0 && number.is_multiple_of(*unit));
    whole.map_or_else(|| number.to_string(), |(unit, name)| format!("\"{} {name}\"", number / unit))
}

/// A span of time, exact, as [`parse_span`](crate::units::parse_span) reads it.
pub(super) fn span(span: Duration) -> String {
    let (seconds, nanos) = (span.as_secs(), span.subsec_nanos());
    match nanos {
        0 if seconds > 0 && seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        0 if seconds > 0 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        0 => format!("{seconds} s"),
        _ if seconds == 0 && nanos.is_multiple_of(1_000_000) => format!("{} ms", nanos / 1_000_000),
        _ => format!("{seconds} s {nanos} ns"),
    }
}

fn text(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

fn number(number: impl TryInto<i64>) -> Value {
    Value::Integer(number.try_into().unwrap_or(i64::MAX))
}

/// The text of an enumeration, as serde has it.
fn named(value: impl serde::Serialize) -> Value {
    Value::try_from(value).unwrap_or_else(|_| text(""))
}

/// Lines of `name = value`.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn put(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{name} = {value}");
    }

    fn put_some<T>(&mut self, name: &str, value: Option<T>, shown: impl FnOnce(T) -> String) {
        if let Some(value) = value {
            self.put(name, shown(value));
        }
    }
}

impl Config {
    /// The configuration as the text of a TOML file, every option with its value, for [`from_file`](Self::from_file). A
    /// manual clock cannot stand in a file: the default stands there instead.
    pub fn to_toml(&self) -> String {
        let mut lines = Lines::default();
        let spanned = |of: Duration| text(span(of)).to_string();
        lines.put("dir", text(self.dir.to_string_lossy()));
        lines.put("level", text(self.level.to_string()));
        lines.put("levels", text(&self.levels));
        lines.put("overflow", named(self.overflow));
        lines.put("block_max", spanned(self.block_max));
        lines.put("mode", named(self.mode));
        lines.put("memory", named(self.memory));
        lines.put("worker", named(self.worker));
        lines.put("shm_dir", text(self.shm_dir.to_string_lossy()));
        lines.put("shm_bytes_max", bytes(self.shm_bytes_max));
        lines.put("shm_group", text(&self.shm_group));
        lines.put("sigbus_handler", self.sigbus_handler);
        lines.put("ring_bytes", bytes(self.ring_bytes as u64));
        lines.put("rings_spare", self.rings_spare);
        lines.put("record_bytes_max", bytes(self.record_bytes_max as u64));
        lines.put("segments", self.segments);
        lines.put("segment_bytes", bytes(self.segment_bytes as u64));
        lines.put("table_bytes", bytes(self.table_bytes as u64));
        lines.put(
            "writer_core",
            match self.writer_core {
                WriterCore::Auto => text("auto"),
                WriterCore::Unpinned => text("unpinned"),
                WriterCore::Core(core) => number(core),
            },
        );
        lines.put("idle", named(self.idle));
        lines.put("order_wait", spanned(self.order_wait));
        lines.put("close_max", spanned(self.close_max));
        lines.put(
            "sync",
            match self.sync {
                Sync::Never => text("never"),
                Sync::EachSegment => text("each-segment"),
                Sync::Interval(interval) => text(span(interval)),
            },
        );
        lines.put("clock", text(if matches!(self.clock, Clock::Coarse) { "coarse" } else { "ticks" }));
        lines.put_some("coarse_stale_max", self.coarse_stale_max, spanned);
        lines.put("components", self.components);
        lines.put("views_max", self.views_max);
        lines.put("view_format", named(self.view_format));
        lines.put("text_pattern", text(&self.text_pattern));
        lines.put("view_integers", named(self.view_integers));
        lines.put("view_zone", text(&self.view_zone));
        lines.put("view_bytes_max", bytes(self.view_bytes_max));
        lines.put("view_backups", self.view_backups);
        lines.put_some("view_total_bytes_max", self.view_total_bytes_max, bytes);
        lines.put_some("view_age_max", self.view_age_max, spanned);
        lines.put("view_rotate", text(self.view_rotate.to_string()));
        lines.put("view_dated", self.view_dated);
        lines.put("view_compress", self.view_compress);
        lines.put("view_compress_delay", spanned(self.view_compress_delay));
        lines.put("archive_bytes_max", bytes(self.archive_bytes_max));
        lines.put("archive_compress", self.archive_compress);
        lines.put("gzip_level", self.gzip_level);
        lines.put_some("zstd_level", self.zstd_level, |level| level.to_string());
        lines.put_some("disk_bytes_cap", self.disk_bytes_cap, bytes);
        lines.0.push_str("\n[health]\n");
        lines.put("interval", spanned(self.health_interval));
        lines.put("view_lag_max", spanned(self.health_view_lag_max));
        lines.put("command", named(&self.health_command));
        lines.put("command_time_max", spanned(self.health_command_time_max));
        if let Some(sampling) = &self.sampling {
            lines.0.push_str("\n[sampling]\n");
            put_sampling(&mut lines, sampling);
        }
        if let Some(recorder) = &self.flight_recorder {
            lines.0.push_str("\n[flight_recorder]\n");
            put_flight_recorder(&mut lines, recorder);
        }
        for view in &self.named_views {
            lines.0.push_str("\n[[view]]\n");
            put_view(&mut lines, view);
        }
        lines.0
    }
}

fn put_sampling(lines: &mut Lines, sampling: &Sampling) {
    lines.put("per_interval", sampling.per_interval);
    lines.put("interval", text(span(sampling.interval)));
    lines.put_some("burst", sampling.burst, |burst| burst.to_string());
    lines.put(
        "identity",
        text(match &sampling.identity {
            Identity::Arguments => "arguments",
            Identity::Site => "site",
            Identity::Field(_) => "field",
        }),
    );
    if let Identity::Field(field) = &sampling.identity {
        lines.put("field", text(field));
    }
    lines.put("exempt_level", text(sampling.exempt_level.to_string()));
    lines.put("exempt_targets", named(&sampling.exempt_targets));
    let share = |target: &str, kind: &str, value: Value| {
        Value::Table([("target".to_owned(), text(target)), (kind.to_owned(), value)].into_iter().collect())
    };
    let every = sampling.every.iter().map(|(target, every)| share(target, "every", number(*every)));
    let lots = sampling.probability.iter().map(|(target, lot)| share(target, "probability", Value::Float(*lot)));
    lines.put("targets", Value::Array(every.chain(lots).collect()));
    lines.put("entries", sampling.entries);
    lines.put("seed", number(sampling.seed));
}

fn put_flight_recorder(lines: &mut Lines, recorder: &FlightRecorder) {
    lines.put("level", text(LevelFilter::from_level(recorder.level).to_string()));
    lines.put("records", number(recorder.records));
    lines.put("bytes", bytes(recorder.bytes as u64));
    lines.put("trigger", text(LevelFilter::from_level(recorder.trigger).to_string()));
    lines.put("scope", named(recorder.scope));
}

fn put_view(lines: &mut Lines, view: &View) {
    lines.put("name", text(&view.name));
    lines.put_some("level", view.level, |level| text(level.to_string()).to_string());
    if !view.targets.is_empty() {
        let targets = view.targets.iter().map(|(target, level)| (target.clone(), text(level.to_string())));
        lines.put("targets", Value::Table(targets.collect()));
    }
    lines.put_some("kinds", view.kinds.as_ref(), |kinds| named(kinds).to_string());
    lines.put_some("format", view.format, |format| named(format).to_string());
    lines.put_some("text_pattern", view.text_pattern.as_ref(), |pattern| text(pattern).to_string());
    lines.put_some("integers", view.integers, |integers| named(integers).to_string());
    lines.put_some("zone", view.zone.as_ref(), |zone| text(zone).to_string());
    lines.put_some("bytes_max", view.bytes_max, bytes);
    lines.put_some("backups", view.backups, |backups| backups.to_string());
    lines.put_some("total_bytes_max", view.total_bytes_max, bytes);
    lines.put_some("age_max", view.age_max, |age| text(span(age)).to_string());
    lines.put_some("rotate", view.rotate, |rotate| text(rotate.to_string()).to_string());
    lines.put_some("dated", view.dated, |dated| dated.to_string());
    lines.put_some("compress", view.compress, |compress| compress.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::units::from_toml;
    use crate::config::{FlightScope, Idle, LineFormat, Rotate};
    use crate::format::json::Integers;
    use crate::level::Level;
    use crate::view::Kind;

    #[test]
    fn what_is_shown_is_read_back_the_same() {
        let all = View::new("all")
            .level(LevelFilter::Info)
            .target("a::b", LevelFilter::Off)
            .kinds([Kind::Losses, Kind::Notes])
            .format(LineFormat::Ecs)
            .text_pattern("\"{message}\"")
            .integers(Integers::Strings)
            .zone("system")
            .bytes_max(123_457)
            .backups(0)
            .total_bytes_max(1 << 20)
            .age_max(Duration::new(3, 5))
            .rotate(Rotate::Every(Duration::from_secs(90)))
            .dated(true)
            .compress(false);
        let sampling =
            Sampling::new().identity(Identity::Field("id".into())).burst(20).every("x", 3).probability("y", 0.5);
        let recorder = FlightRecorder::new()
            .level(Level::Trace)
            .records(77)
            .bytes(12_345)
            .trigger(Level::Critical)
            .scope(FlightScope::Process);
        let other = Config::new("d \"x\"")
            .sync(Sync::EachSegment)
            .writer_core(WriterCore::Core(3))
            .clock(Clock::Coarse)
            .idle(Idle::Yield)
            .coarse_stale_max(Duration::from_millis(7))
            .sampling(sampling.exempt_target("t"))
            .flight_recorder(recorder)
            .view_age_max(Duration::from_secs(7200))
            .view_total_bytes_max(1_u64 << 30)
            .disk_bytes_cap(10_000_000_000_u64)
            .health_interval(Duration::ZERO)
            .health_command(["page \"me\"", "-x"])
            .view(View::new("plain"))
            .view(all);
        let platform = Config::trading_platform(["a", "ab"]);
        for config in [Config::new("logs"), Config::trading_bot("bot"), platform, other] {
            let shown = config.to_toml();
            let back = from_toml(&shown).unwrap_or_else(|error| panic!("{error}\n{shown}"));
            assert_eq!(format!("{back:?}"), format!("{config:?}"), "{shown}");
        }
    }
}
