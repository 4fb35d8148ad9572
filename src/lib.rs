//! A logger for latency-sensitive trading code. A log call copies its arguments into the calling thread's ring in shared
//! memory; a writer thread moves the rings into a binary journal, in shared memory too; a worker thread archives the
//! journal to disk and renders it as text, one file per component.
//!
//! ```no_run
//! use std::time::Duration;
//! use tachograph::{Config, component, info, start, warn};
//!
//! fn main() -> Result<(), tachograph::Error> {
//!     let tacho = start(Config::new("logs"))?;
//!     tachograph::prepare_thread();
//!     info!(target: "order_watcher", order_id = 42, price = 105_433.6; "order filled");
//!     let risk = component("risk_manager");
//!     warn!(logger: risk, "limit at {:.0} %", 93.5);
//!     tacho.flush(Duration::from_secs(1))
//! }
//! ```
//!
//! # Calls
//!
//! [`critical!`], [`error!`], [`warn!`], [`info!`], [`debug!`] and [`trace!`] take what `format!` takes, and before it, if
//! wanted, `logger:`, `target:` and key-value fields. Integers, floats, `bool`, `char`, strings, `Option`, lists, `Duration` and
//! types with [`#[derive(Value)]`](macro@Value) are copied as bytes and formatted later, by whoever reads. Any other type with
//! `Debug` or `Display` is formatted by the call, which is the slow way. A record is at most
//! [`record_bytes_max`](Config::record_bytes_max) long; longer strings and lists are cut and marked.
//!
//! **Levels.** [`Config::level`] is the most verbose that is logged, `Info` by default; [`Config::levels`] has exceptions by
//! target, as `RUST_LOG` writes them; [`Guard::set_levels`] changes them while the logger runs. A call that is not enabled
//! costs one load, and evaluates none of its arguments. The features `max_level_*` and `release_max_level_*` remove calls
//! from the program.
//!
//! **Targets and components.** A call's target is its module's path, or what `target:` or the [`Component`] behind `logger:`
//! says. What stands before the first `::` of it names the file: `order_watcher::cancel` goes to `order_watcher.log`.
//!
//! # Settings
//!
//! The [`guide`] helps to choose. All of them are [`Config`]'s, each with its consequence. Those to think about:
//!
//! * **Ring size** ([`ring_bytes`](Config::ring_bytes)): what a thread can log while the writer is held up. A record takes 24
//!   bytes and its arguments, rounded up to 8.
//! * **Overflow** ([`Overflow`]): a full ring drops the newest record, which is counted and stated in the log, or the call waits.
//!   [`Health`] has the counts.
//! * **Flight recorder** ([`FlightRecorder`]): off by default; else what is below the level is remembered, and written
//!   when an error follows.
//! * **Sampling** ([`Sampling`]): off by default; else repeated messages are counted, and the log says how many.
//! * **Idle strategy** ([`Idle`]): how soon an idle writer sees a record, against how much of its core it takes. Calls are not
//!   slower with a writer that sleeps; nobody wakes it.
//! * **Cores** ([`WriterCore`]): the writer is pinned to the last core that the process may use, if there are several. Keep
//!   threads that must not be disturbed away from it, or name another.
//! * **Shared memory** ([`segments`](Config::segments), [`segment_bytes`](Config::segment_bytes),
//!   [`rings_spare`](Config::rings_spare)): taken and touched by [`start`], about 150 MiB with the defaults.
//!
//! # What is defined
//!
//! * **Before [`start`], and after the guard is gone**, calls do nothing. A new `start` is possible then; a second one while
//!   a logger runs is an error. [`start_isolated`] is for several loggers at once.
//! * **Threads** may log whenever they live, also while their thread-locals are destroyed. A thread's first call takes a
//!   ring; [`prepare_thread`] does that ahead. What a thread logged before it ended is written.
//! * **Dropping the guard** writes everything, within [`close_max`](Config::close_max); [`Guard::close`] tells whether that was enough.
//! * **`std::process::exit`, `abort`, `kill -9`** drop no guard. What had been logged stays in shared memory, and the
//!   next logger of the same directory brings it to the files; what was only in rings is marked `(recovered)` there.
//! * **`fork`**: the child has no logger until it starts one, and never touches its parent's memory, even if it was forked in
//!   the midst of a log call; its copy of the guard does nothing, and [`Guard::health`] says so. After a raw `clone` or `fork`
//!   system call, which runs no fork handlers, the child keeps the parent's lock: recovery of a parent that died waits until
//!   the child ends or calls exec. Such a call from within a log call, and `vfork`, share the ring: do not log after them.
//! * **Panics** in a `Debug` or `Display` of an argument propagate to the caller, and nothing is recorded of that call. So do
//!   panics in a [`Value`] written by hand; a call that they end halfway is counted and stated in the log as dropped.
//! * **Closing from within a log call**, by such a value or a signal handler that drops the guard, waits for
//!   [`close_max`](Config::close_max) in vain, and leaves what is in the rings to the next logger of the directory.
//! * **Signal handlers**: a call that interrupts another log call of the same thread is refused and counted. Otherwise calls in
//!   handlers are safe on a thread that was prepared, or has logged, since the logger started, and whose arguments' own `Display`
//!   or `Debug` is safe there. With [`Mode::Synchronous`] such a call leaves its record to the thread's next call or flush; a handler with
//!   `SA_NODEFER` and without an alternate stack cannot be told from ordinary code, and must not log there.
//! * **Faults of the disk** never reach a log call. The worker tries again; [`Health::trouble`] says what is wrong.
//!   Meanwhile the live segments fill, then the rings, then [`Overflow`] decides. A disk that hangs keeps the process from
//!   ending, unless the work with it is done by another, `tacho collect`: see [`Worker::External`].
//! * **[`Mode::Synchronous`]** has no threads: a call returns when its line is in the file. For tests and debugging.
//! * **Panics** leave a record, and it is waited for, after [`log_panics`].
//! * **Unit tests** see what the code under test logs through a [`Capture`]: in memory, without directory and threads.
//!
//! # Services
//!
//! [`supervisor`] runs the services of a program, each in a thread with a log of its own, and restarts those that fail.
//! [`systemd`] tells the service manager that the program is ready, and that its writer is alive.
//!
//! # Others
//!
//! What is logged through the crates `log` and `tracing` comes into the same files: see `facade`, with the features of these names.
//!
//! The command `tacho` reads the journal: live, after a crash, or from a copy. [`reader`] does so in a program.

// The macros name the crate by its absolute path, so that they work in here as well.
extern crate self as tachograph;

#[doc(hidden)]
pub mod callsite;
pub mod capture;
pub(crate) mod clock;
pub mod compress;
mod config;
pub mod control;
pub(crate) mod crc;
pub mod disk;
pub mod error;
#[cfg(any(feature = "log", feature = "tracing"))]
pub mod facade;
pub(crate) mod flight;
pub mod format;
#[doc = include_str!("../docs/GUIDE.md")]
pub mod guide {}
pub mod health;
pub mod level;
mod level_cap;
pub mod levels;
pub(crate) mod logger;
mod panics;
#[doc(hidden)]
pub mod private;
pub mod reader;
pub mod record;
pub mod recover;
pub(crate) mod recovery;
pub(crate) mod ring;
pub(crate) mod sampling;
mod sealed;
#[doc(hidden)]
pub mod segment;
#[doc(hidden)]
pub mod shm;
pub mod supervisor;
pub(crate) mod sync;
pub(crate) mod sys;
#[cfg(target_os = "linux")]
pub mod systemd;
#[cfg(any(test, fuzzing, feature = "testing"))]
#[doc(hidden)]
pub mod testing;
pub mod trading;
pub mod units;
pub mod vacuum;
pub mod value;
pub mod verify;
pub mod view;
pub(crate) mod worker;
pub(crate) mod writer;

pub use capture::Capture;
pub use clock::{Clock, ManualClock};
pub use config::{
    Config, FlightRecorder, FlightScope, Identity, Idle, LineFormat, Memory, Mode, Overflow, Rotate, Sampling, Sync,
    View, Worker, WriterCore,
};
pub use error::Error;
pub use format::json::Integers;
pub use health::event::HealthEvent;
pub use health::{ClockHealth, Health};
pub use level::{Level, LevelFilter};
pub use level_cap::STATIC_MAX_LEVEL;
pub use logger::component::{Component, LogTo, component};
pub use logger::guard::{Guard, Logger};
pub use logger::start::{prepare_thread, start, start_isolated};
pub use panics::log_panics;
#[doc(hidden)]
pub use private as __private;
#[doc(hidden)]
pub use tachograph_macros::__encode;
pub use tachograph_macros::{Value, critical, debug, error, info, log, trace, warn};
pub use value::Value;
pub use view::Kind;
pub use worker::collect;

/// The examples of the documents compile.
#[cfg(doctest)]
#[doc = include_str!("../docs/collect.md")]
struct Collect;

/// As those above.
#[cfg(all(doctest, feature = "log", feature = "tracing"))]
#[doc = include_str!("../docs/MIGRATING.md")]
struct Migrating;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
