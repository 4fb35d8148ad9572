//! The services of one program, or the programs of one platform: started in order, each by itself, restarted when they
//! fail, stopped in reverse.
//!
//! ```no_run
//! use std::time::Duration;
//! use tachograph::supervisor::{Context, Service, Supervisor};
//! use tachograph::{Config, info, start};
//!
//! struct OrderWatcher {
//!     orders: u64,
//! }
//!
//! impl Service for OrderWatcher {
//!     type Error = std::io::Error;
//!
//!     fn name(&self) -> &str {
//!         "order_watcher"
//!     }
//!
//!     fn run(&mut self, context: &Context) -> Result<(), Self::Error> {
//!         context.ready();
//!         while context.sleep(Duration::from_millis(10)) {
//!             self.orders += 1;
//!             info!(logger: context.component(), order_id = self.orders; "seen");
//!             context.beat();
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<(), tachograph::Error> {
//! let _tacho = start(Config::new("logs"))?;
//! let mut platform = Supervisor::new();
//! platform.add(OrderWatcher { orders: 0 }).signals_ready(Duration::from_secs(5)).heartbeat(Duration::from_secs(1));
//! platform
//!     .add_fn("risk_manager", |context| {
//!         while context.sleep(Duration::from_secs(1)) {}
//!         Ok::<(), std::io::Error>(())
//!     })
//!     .after("order_watcher");
//! let running = platform.start()?;
//! running.wait(Duration::from_secs(60));
//! for status in running.stop() {
//!     println!("{}: {}", status.name, status.phase.as_str());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! * **Isolation.** Each service has a thread and a component log of its own. An error or a panic in one ends that one alone;
//!   with `panic = "abort"` a panic ends the program. The same value runs again, so channels that it owns stay open: what
//!   comes meanwhile waits in them. `run` must begin by putting right what a panic can have left half done.
//! * **Restarts** follow [`Restart`]: doubled pauses with jitter, at most 3 in 5 minutes by default; then the service has
//!   failed for good, which is a `critical!` record, a finding of `tacho health`, and an event for [`Supervisor::on_change`].
//! * **Order.** A service starts when those named by [`Spec::after`] are ready, and is stopped before them. One that waits for
//!   a service that failed before it was ever ready fails too. A restart waits for nobody.
//! * **Threads cannot be killed.** One that does not end when it is told to, within [`Spec::stop_max`], is left alone and
//!   has failed: a second instance beside one that may still trade would be worse than none.
//! * **Status** stands in the process's live folder: `tacho health` shows it, without the program noticing.
//!
//! `tacho supervise` does the same for processes, with the same [`machine`].

pub mod machine;
pub mod plan;

mod board;
mod cancel;
mod context;
#[cfg(test)]
mod machine_tests;
mod restart;
mod run;
mod tell;

pub use board::Board;
pub use cancel::Cancel;
pub use context::Context;
pub use machine::{Change, Phase, Status};
pub use restart::{Restart, When};
pub use run::Running;
pub use tell::tell;

use crate::error::Error;
use machine::Machine;
use plan::Plan;
use run::{Body, OnChange, Seat};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The present moment as the [`machine`] and [`Status`] count it: nanoseconds of the monotonic clock.
pub fn now_ns() -> u64 {
    crate::clock::ticks::monotonic_ns()
}

/// A part of a program that runs in a thread of its own, until it has ended or is told to end.
pub trait Service {
    /// Why it may fail.
    type Error: fmt::Display;

    /// Its name, which is that of its component, its thread and its file.
    fn name(&self) -> &str;

    /// Runs it. Called again, on the same value, when it is restarted.
    ///
    /// # Errors
    /// Whatever ends it; the text is what is logged.
    fn run(&mut self, context: &Context) -> Result<(), Self::Error>;
}

/// Services that are to be run together.
#[derive(Default)]
pub struct Supervisor {
    specs: Vec<Spec>,
    /// The last that was added, which can still be told more.
    newest: Option<Spec>,
    on_change: Option<OnChange>,
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("specs", &self.specs).field("newest", &self.newest).finish_non_exhaustive()
    }
}

/// How a service is run.
pub struct Spec {
    plan: Plan,
    body: Body,
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Spec").field(&self.plan).finish()
    }
}

impl Spec {
    /// Starts when the service called `name` is ready, and is stopped before it. May be repeated.
    pub fn after(&mut self, name: &str) -> &mut Self {
        self.plan.after.push(name.to_owned());
        self
    }

    /// When it is started again; [`Restart::new`] by default.
    pub fn restart(&mut self, restart: Restart) -> &mut Self {
        self.plan.restart = restart;
        self
    }

    /// It calls [`Context::ready`] within `time`, or has failed. Otherwise it is ready as soon as it runs.
    pub fn signals_ready(&mut self, time: Duration) -> &mut Self {
        self.plan.ready_max = Some(time);
        self
    }

    /// It calls [`Context::beat`] at least once in `time` while it runs and is ready, or is made to end and has failed.
    /// Otherwise nobody notices one that hangs.
    pub fn heartbeat(&mut self, time: Duration) -> &mut Self {
        self.plan.beat_max = Some(time);
        self
    }

    /// How long it may take to end when it is told to; 10 s by default.
    pub fn stop_max(&mut self, time: Duration) -> &mut Self {
        self.plan.stop_max = time;
        self
    }
}

impl Supervisor {
    /// Without services.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service. Services that wait for nobody start in this order.
    pub fn add<S: Service + Send + 'static>(&mut self, service: S) -> &mut Spec {
        let (name, mut service) = (service.name().to_owned(), service);
        self.add_fn(name, move |context: &Context| service.run(context))
    }

    /// Adds a closure as a service.
    pub fn add_fn<E: fmt::Display>(
        &mut self,
        name: impl Into<String>,
        mut run: impl FnMut(&Context) -> Result<(), E> + Send + 'static,
    ) -> &mut Spec {
        let run = move |context: &Context| run(context).map_err(|error| error.to_string());
        let spec = Spec { plan: Plan::new(name), body: Arc::new(Mutex::new(run)) };
        self.specs.extend(self.newest.take());
        self.newest.insert(spec)
    }

    /// Has `on_change` called with every change of every service, in the supervisor's thread: it must not wait for services.
    pub fn on_change(&mut self, on_change: impl FnMut(&str, &Change) + Send + 'static) {
        self.on_change = Some(Box::new(on_change));
    }

    /// Starts the services.
    ///
    /// # Errors
    /// [`Error::is_config`], with [`Error::field`], for services that cannot be run: without a name of their own, or waiting for
    /// one that there is not, or for each other. [`Error::is_io`] when the supervisor's thread cannot be started.
    pub fn start(mut self) -> Result<Running, Error> {
        self.specs.extend(self.newest.take());
        let machine = Machine::new(self.specs.iter().map(|spec| spec.plan.clone()).collect())?;
        let seat = |spec: Spec| Seat { name: spec.plan.name, beat_max: spec.plan.beat_max, body: spec.body };
        run::start(self.specs.into_iter().map(seat).collect(), machine, self.on_change)
    }
}
