//! Capture of what was logged, in memory, for unit tests.
//!
//! A [`Capture`] is a logger without directory, disk and threads: when a log call returns, its record stands in
//! [`records`](Capture::records), decoded from the very bytes that would have gone into a journal. There are three, by
//! what they see:
//!
//! | made by | captures |
//! |---|---|
//! | [`Capture::new`] | calls with `logger: capture` |
//! | [`Capture::thread`] | calls of the thread that made it, through the plain macros and through components |
//! | [`Capture::global`] | the same of all threads of the process |
//!
//! A unit test of code that logs through the plain macros wants `Capture::thread`: any number of them live side by
//! side, so tests may run in parallel, each in its thread, as they do under `cargo test`.
//!
//! ```
//! use tachograph::{Capture, Level, warn};
//!
//! fn check_limit(order_id: u64, used: f64) {
//!     if used > 0.9 {
//!         warn!(target: "risk", order_id, used; "near the limit");
//!     }
//! }
//!
//! # fn main() -> Result<(), tachograph::Error> {
//! let log = Capture::thread()?;
//! check_limit(41, 0.5);
//! check_limit(42, 0.93);
//!
//! let records = log.records();
//! assert_eq!(records.len(), 1);
//! assert_eq!(records[0].level, Level::Warn);
//! assert_eq!(records[0].target, "risk");
//! assert_eq!(records[0].message, "near the limit");
//! assert_eq!(records[0].fields["order_id"], 42);
//! assert_eq!(records[0].fields["used"], 0.93);
//! # Ok(())
//! # }
//! ```
//!
//! * [`record`]: a record on its own.
//! * [`sink`]: from the rings to records.
//! * [`shared`]: the one logger behind all captures that take from the plain macros.

mod record;
mod shared;
mod sink;

pub use record::{CapturedFields, CapturedRecord, CapturedValue};

use crate::config::Config;
use crate::error::Error;
use crate::level::LevelFilter;
use crate::logger::guard::{Guard, Logger, Threads};
use crate::logger::start;
use shared::Shared;
use sink::{Sink, Subscribers, Subscription};
use std::sync::Arc;

/// Holds the largest records that there are, as a segment holds four of them and a ring some more.
const SEGMENT_BYTES: usize = 256 << 10;

/// Captures in memory what is logged, for unit tests; see the [module](self).
///
/// All levels are captured, those excepted that were compiled out. Memory grows with what is captured: [`take`](Self::take) empties it.
#[derive(Debug)]
pub struct Capture {
    subscription: Arc<Subscription>,
    // Dropped last, and with it the logger.
    source: Source,
}

#[derive(Debug)]
enum Source {
    Own(Guard),
    Shared(Shared),
}

impl Capture {
    /// A capture of its own, for code that is handed its logger: `info!(logger: capture, …)`.
    ///
    /// # Errors
    /// When there is no memory to be had for it, some 2 MiB.
    ///
    /// ```
    /// let log = tachograph::Capture::new()?;
    /// tachograph::info!(logger: log, "order {} filled", 42);
    /// assert_eq!(log.messages(), ["order 42 filled"]);
    /// # Ok::<(), tachograph::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        let subscribers = Subscribers::default();
        let subscription = subscribers.join(None);
        let core = start::launch_in_memory(config(), |core, writer| Sink::new(core, writer, subscribers))?;
        let guard = Guard::new(Logger::new(core), Threads::default(), false);
        Ok(Self { subscription, source: Source::Own(guard) })
    }

    /// Captures what the calling thread logs through the plain macros, and through components, from now on.
    ///
    /// While one such capture lives, it is the process's global logger.
    ///
    /// # Errors
    /// [`Error::is_already_started`] when the global logger is one that was [started](crate::start), and as for [`new`](Self::new).
    pub fn thread() -> Result<Self, Error> {
        Self::shared(Some(crate::sys::thread::thread_id()))
    }

    /// Captures what all threads of the process log through the plain macros, and through components, from now on: what
    /// parallel tests log, too.
    ///
    /// # Errors
    /// As for [`thread`](Self::thread).
    ///
    /// ```
    /// let log = tachograph::Capture::global()?;
    /// std::thread::spawn(|| tachograph::info!("from another thread")).join().unwrap();
    /// assert_eq!(log.messages(), ["from another thread"]);
    /// # Ok::<(), tachograph::Error>(())
    /// ```
    pub fn global() -> Result<Self, Error> {
        Self::shared(None)
    }

    fn shared(thread: Option<u32>) -> Result<Self, Error> {
        let (shared, subscription) = Shared::join(thread)?;
        Ok(Self { subscription, source: Source::Shared(shared) })
    }

    /// What was captured so far, in the order in which the calls were made.
    pub fn records(&self) -> Vec<CapturedRecord> {
        self.subscription.records().clone()
    }

    /// As [`records`](Self::records), and forgets them.
    pub fn take(&self) -> Vec<CapturedRecord> {
        std::mem::take(&mut *self.subscription.records())
    }

    /// The messages of the [`records`](Self::records).
    pub fn messages(&self) -> Vec<String> {
        self.subscription.records().iter().map(|record| record.message.clone()).collect()
    }

    pub(crate) fn logger(&self) -> &Logger {
        match &self.source {
            Source::Own(guard) => guard.logger(),
            Source::Shared(shared) => shared.logger(),
        }
    }
}

fn config() -> Config {
    // The directory is only a name here.
    Config::new("(memory)")
        .level(LevelFilter::Trace)
        .rings_spare(1_usize)
        .ring_bytes(SEGMENT_BYTES)
        .segments(3_usize)
        .segment_bytes(SEGMENT_BYTES)
        .record_bytes_max(crate::config::RECORD_BYTES_LIMIT)
        .table_bytes(256_usize << 10)
}
