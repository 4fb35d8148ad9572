//! Refuses configurations that cannot work, naming field, value and limit. Pure: what depends on the machine comes in
//! as an argument.

use super::{Config, Idle, Memory, Mode, RECORD_BYTES_LIMIT, Worker, WriterCore};
use crate::clock::Clock;
use crate::error::Error;
use crate::ring::memory::RING_BYTES_MIN;
use crate::segment::layout::SEGMENT_BYTES_MIN;
use crate::shm::control::SLOTS_MAX;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

pub(super) fn within<T: PartialOrd + Display>(field: &str, value: T, limits: RangeInclusive<T>) -> Result<(), Error> {
    if limits.contains(&value) {
        return Ok(());
    }
    Err(Error::config(field, format!("{value} is not within {} to {}", limits.start(), limits.end())))
}

pub(super) fn within_time(field: &str, value: Duration, limits: RangeInclusive<Duration>) -> Result<(), Error> {
    if limits.contains(&value) {
        return Ok(());
    }
    Err(Error::config(field, format!("{value:?} is not within {:?} to {:?}", limits.start(), limits.end())))
}

fn at_most(field: &str, value: Duration, max: Duration) -> Result<(), Error> {
    if value <= max {
        return Ok(());
    }
    Err(Error::config(field, format!("{value:?} is more than {max:?}")))
}

/// Bytes that are kept free below the cap, so that what is written goes on without waiting: a segment and its compressed
/// copy, and the compressed copy of a view's file.
pub(crate) fn headroom(config: &Config, views: &crate::view::Config) -> u64 {
    let named = views.views.iter().map(|view| view.rotation.file_bytes_max);
    let components = views.components.iter().map(|of| of.rotation.file_bytes_max);
    let largest = named.chain(components).max().unwrap_or(0);
    largest.saturating_add(2 * config.segment_bytes as u64)
}

impl Config {
    /// Checks every field; `cores` are those that this process may use. Returns the core to pin the writer to.
    pub(crate) fn check(&self, cores: &[usize]) -> Result<Option<usize>, Error> {
        within("ring_bytes", self.ring_bytes, RING_BYTES_MIN..=1 << 30)?;
        if !self.ring_bytes.is_power_of_two() {
            let near = self.ring_bytes.next_power_of_two();
            return Err(Error::config("ring_bytes", format!("{} is no power of two; {near} is", self.ring_bytes)));
        }
        within("rings_spare", self.rings_spare, 0..=1024)?;
        within("segments", self.segments, 3..=SLOTS_MAX)?;
        within("segment_bytes", self.segment_bytes, SEGMENT_BYTES_MIN..=1 << 30)?;
        if !self.segment_bytes.is_multiple_of(4096) {
            let value = self.segment_bytes;
            return Err(Error::config("segment_bytes", format!("{value} is no multiple of 4096")));
        }
        within("record_bytes_max", self.record_bytes_max, 256..=RECORD_BYTES_LIMIT)?;
        let quarter = self.segment_bytes / 4;
        if self.record_bytes_max > quarter {
            let value = self.record_bytes_max;
            let message = format!("{value} is more than a quarter of segment_bytes ({quarter})");
            return Err(Error::config("record_bytes_max", message));
        }
        within("table_bytes", self.table_bytes, 64 << 10..=1 << 30)?;
        within("shm_bytes_max", self.shm_bytes_max, 1 << 20..=1 << 40)?;
        within("views_max", self.views_max, 1..=100_000)?;
        within("archive_bytes_max", self.archive_bytes_max, 1 << 20..=1 << 50)?;
        within("gzip_level", self.gzip_level, 1..=9)?;
        if let Some(level) = self.zstd_level {
            within("zstd_level", level, 1..=19)?;
            if cfg!(not(feature = "zstd")) {
                let message = "this build of tachograph is without zstd: build it with the feature `zstd`";
                return Err(Error::config("zstd_level", message.to_owned()));
            }
        }
        at_most("block_max", self.block_max, Duration::from_secs(60))?;
        at_most("order_wait", self.order_wait, Duration::from_secs(10))?;
        at_most("close_max", self.close_max, Duration::from_secs(3600))?;
        self.check_health()?;
        self.sampling.as_ref().map_or(Ok(()), super::Sampling::check)?;
        self.flight_recorder.as_ref().map_or(Ok(()), |recorder| recorder.check(self.ring_bytes))?;
        if self.worker == Worker::External {
            let of = |what| Error::config("worker", format!("a worker in another process cannot serve {what}"));
            if self.mode == Mode::Synchronous {
                return Err(of("a logger without threads: choose mode = \"threads\", or worker = \"thread\""));
            }
            if self.memory == Memory::Anonymous {
                return Err(of("anonymous memory: choose memory = \"shared\", or worker = \"thread\""));
            }
        }
        self.check_disk()?;
        self.check_clock()?;
        self.core(cores)
    }

    fn check_health(&self) -> Result<(), Error> {
        if !self.health_interval.is_zero() {
            let limits = Duration::from_millis(100)..=Duration::from_secs(7 * 24 * 3600);
            within_time("health_interval", self.health_interval, limits)?;
        }
        at_most("health_command_time_max", self.health_command_time_max, Duration::from_secs(600))?;
        if self.health_command.first().is_some_and(String::is_empty) {
            return Err(Error::config("health_command", "the program's name is empty"));
        }
        if self.mode == Mode::Synchronous && !self.health_command.is_empty() {
            let message = "a logger without threads would start it within a log call: choose mode = \"threads\"";
            return Err(Error::config("health_command", message));
        }
        if self.worker == Worker::External && self.on_health.is_some() {
            let message =
                "a worker in another process cannot call into this one: set health_command, or worker = \"thread\"";
            return Err(Error::config("on_health", message));
        }
        Ok(())
    }

    /// The cap must leave room for what cannot be deleted: growing files, and what is being made.
    fn check_disk(&self) -> Result<(), Error> {
        let views = self.views_wanted()?;
        let Some(cap) = self.disk_bytes_cap else { return Ok(()) };
        let named = views.views.iter().map(|view| view.rotation.file_bytes_max);
        let components = views.components.iter().map(|of| {
            // The overflow is one more.
            of.rotation.file_bytes_max.saturating_mul(of.views_max as u64 + 1)
        });
        let growing = named.chain(components).fold(0, u64::saturating_add);
        let least = growing.saturating_add(headroom(self, &views)).saturating_add(2 * self.segment_bytes as u64);
        if cap < least {
            let message = format!(
                "{cap} is too little: the views' growing files and what is being archived and compressed need {least}; \
                 have fewer views (views_max, components) or smaller files (view_bytes_max, segment_bytes)"
            );
            return Err(Error::config("disk_bytes_cap", message));
        }
        Ok(())
    }

    fn check_clock(&self) -> Result<(), Error> {
        if matches!(self.clock, Clock::Coarse) && self.idle == Idle::Sleep && self.coarse_stale_max.is_none() {
            let message = "a coarse clock is refreshed by the writer, which sleeps up to 1 ms with idle = \"sleep\"; \
                           set coarse_stale_max to accept that, or another idle strategy";
            return Err(Error::config("clock", message));
        }
        if let Some(stale) = self.coarse_stale_max
            && stale < Duration::from_millis(2)
        {
            let message = format!("{stale:?} is less than a sleeping writer can keep, 2 ms");
            return Err(Error::config("coarse_stale_max", message));
        }
        Ok(())
    }

    fn core(&self, cores: &[usize]) -> Result<Option<usize>, Error> {
        let core = match self.writer_core {
            WriterCore::Core(core) if cores.contains(&core) => Some(core),
            WriterCore::Core(core) => {
                let message = format!("core {core} does not exist or is not this process's; it may use {cores:?}");
                return Err(Error::config("writer_core", message));
            }
            WriterCore::Auto if cores.len() > 1 => cores.last().copied(),
            WriterCore::Auto | WriterCore::Unpinned => None,
        };
        if self.idle == Idle::BusySpin && (core.is_none() || cores.len() < 2) {
            let message = "a writer that spins for ever needs a core of its own: name one with writer_core on a machine \
                           with several, or choose another strategy";
            return Err(Error::config("idle", message));
        }
        Ok(core)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FlightRecorder;
    use crate::level::Level;

    fn refused(config: Config, cores: &[usize], field: &str) {
        let error = config.check(cores).unwrap_err();
        assert!(error.is_config() && error.to_string().contains(field), "{error}");
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        let config = || Config::new("x");
        assert_eq!(config().check(&[0, 1]).unwrap(), Some(1));
        assert_eq!(config().check(&[0]).unwrap(), None);
        refused(config().ring_bytes(5_000_000_usize), &[0], "ring_bytes");
        refused(config().ring_bytes(1024_usize), &[0], "ring_bytes");
        refused(config().segments(2_usize), &[0], "segments");
        refused(config().segment_bytes(65_537_usize), &[0], "segment_bytes");
        refused(config().segment_bytes(65_536_usize).record_bytes_max(20_000_usize), &[0], "record_bytes_max");
        refused(config().writer_core(WriterCore::Core(99)), &[0, 1], "writer_core");
        refused(config().idle(Idle::BusySpin), &[0], "idle");
        refused(config().clock(Clock::Coarse), &[0, 1], "clock");
        refused(config().gzip_level(10_u32), &[0], "gzip_level");
        refused(config().zstd_level(20), &[0], "zstd_level");
        #[cfg(not(feature = "zstd"))]
        refused(config().zstd_level(3), &[0], "zstd_level");
        let recorder = FlightRecorder::new;
        refused(config().flight_recorder(recorder().records(0)), &[0], "flight_recorder.records");
        refused(config().flight_recorder(recorder().bytes(3 << 20)), &[0], "flight_recorder.bytes");
        refused(config().flight_recorder(recorder().trigger(Level::Debug)), &[0], "flight_recorder.trigger");
        refused(config().worker(Worker::External).memory(Memory::Anonymous), &[0], "worker");
        refused(config().health_interval(Duration::from_millis(99)), &[0], "health_interval");
        refused(config().worker(Worker::External).on_health(|_| ()), &[0], "on_health");
        refused(config().mode(Mode::Synchronous).health_command(["x"]), &[0], "health_command");
        refused(config().worker(Worker::External).mode(Mode::Synchronous), &[0], "worker");
        assert!(config().clock(Clock::Coarse).idle(Idle::Yield).check(&[0, 1]).is_ok());
    }
}
