//! What is remembered instead of written, and what brings it to the log.

use super::Config;
use super::check::within;
use crate::error::Error;
use crate::flight::Rules;
use crate::level::{Level, LevelFilter};
use crate::ring::remembered::Limits;

/// The most records that a thread may remember.
const RECORDS_MAX: u64 = 1 << 24;
/// The fewest bytes that a thread may remember in.
const BYTES_MIN: usize = 4 << 10;

/// Whose remembered records are written when an error follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlightScope {
    /// Those of the thread that logs the error. The default.
    #[default]
    Thread,
    /// Those of all threads of the process that are older than the error. For that the writer takes records in the order
    /// of time, over all threads, which costs it some more.
    Process,
}

/// The flight recorder: what is below the level is remembered, and written only when an error follows. For
/// [`Config::flight_recorder`].
///
/// ```
/// use tachograph::{Config, FlightRecorder, FlightScope, Level};
///
/// let config = Config::new("logs")
///     .flight_recorder(FlightRecorder::new().level(Level::Trace).records(200).scope(FlightScope::Process));
/// ```
///
/// Each thread remembers its last records that [`Config::level`] and [`Config::levels`] keep out of the log. A record
/// of level [`trigger`](Self::trigger) or more urgent brings them to the log, directly before itself, with their own times and the mark
/// `(flight)`, in JSON `"flight":true`; from then on the thread remembers anew. A view shows them as its filter says: one
/// that takes errors only does not show what was remembered of other levels. Levels that the build leaves out
/// (`max_level_…`) are not remembered, nor is a target that is `off`.
///
/// What is remembered stays in the thread's ring, so it survives `kill -9`: recovery writes what a process that did not
/// close remembered at its end, at the end of its log. A process that closes forgets it, and a thread's records are forgotten
/// when its ring goes to another thread.
///
/// A call that is remembered costs what one that is written does. The writer only counts it. The ring is by up to
/// [`bytes`](Self::bytes) smaller for bursts.
///
/// [`Health`](crate::Health) tells how many records are remembered and how many were forgotten; the journal tells the latter
/// too, for each thread.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlightRecorder {
    pub(super) level: Level,
    pub(super) records: u64,
    pub(super) bytes: usize,
    pub(super) trigger: Level,
    pub(super) scope: FlightScope,
}

impl Default for FlightRecorder {
    fn default() -> Self {
        Self {
            level: Level::Debug,
            records: 1000,
            bytes: 256 << 10,
            trigger: Level::Error,
            scope: FlightScope::default(),
        }
    }
}

impl FlightRecorder {
    /// The defaults: the last 1,000 records of each thread from `debug!` on, brought by an `error!` of that thread.
    pub fn new() -> Self {
        Self::default()
    }

    /// The most verbose level that is remembered. Default: [`Level::Debug`].
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Records that each thread remembers at most; the oldest are forgotten. Default: 1,000; from 1 to 16,777,216.
    #[must_use]
    pub fn records(mut self, records: u64) -> Self {
        self.records = records;
        self
    }

    /// Bytes of its ring that each thread remembers in at most, as the records stand there (24 bytes and the arguments
    /// each), those that were written in between included. Default: 256 KiB; from 4 KiB to half of [`Config::ring_bytes`],
    /// and no more than half of a ring that had to be made smaller.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Records of this level and more urgent ones bring what is remembered to the log. One that sampling leaves out does
    /// not. Default: [`Level::Error`].
    #[must_use]
    pub fn trigger(mut self, trigger: Level) -> Self {
        self.trigger = trigger;
        self
    }

    /// Whose records are written then. Default: [`FlightScope::Thread`].
    #[must_use]
    pub fn scope(mut self, scope: FlightScope) -> Self {
        self.scope = scope;
        self
    }

    /// Refuses what cannot work.
    pub(super) fn check(&self, ring_bytes: usize) -> Result<(), Error> {
        within("flight_recorder.records", self.records, 1..=RECORDS_MAX)?;
        within("flight_recorder.bytes", self.bytes, BYTES_MIN..=ring_bytes / 2)?;
        if self.trigger >= self.level {
            let message = format!("{} is not more urgent than level, {}", self.trigger, self.level);
            return Err(Error::config("flight_recorder.trigger", message));
        }
        Ok(())
    }
}

impl Config {
    /// What the writer goes by.
    pub(crate) fn flight_rules(&self) -> Option<Rules> {
        let recorder = self.flight_recorder.as_ref()?;
        Some(Rules {
            limits: Limits { records: recorder.records, bytes: recorder.bytes as u64 },
            trigger: LevelFilter::from_level(recorder.trigger),
            process: recorder.scope == FlightScope::Process,
        })
    }

    /// The most verbose level that is remembered where it is not written.
    #[inline]
    pub(crate) fn reach(&self) -> LevelFilter {
        self.flight_recorder.as_ref().map_or(LevelFilter::Off, |recorder| LevelFilter::from_level(recorder.level))
    }
}
