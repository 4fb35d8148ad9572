//! The supervisor as a state machine: events in, actions out, moments as arguments. No clock, no thread, no process.
//!
//! ```text
//!            those it waits for are ready            ready, or ready at once
//!  Waiting ───────────────────────────▶ Starting ───────────────────────▶ Running ──▶ Finished
//!     │                                  ▲   │                             │  │
//!     │ one of them failed         pause │   │ too late            no beat │  │ an error
//!     ▼                             over │   ▼                             ▼  │
//!   Failed ◀── no restart left ── Pausing ◀──┴──── ended ◀──────────── Stopping │
//!     ▲  ▲                           ▲                                  │       │
//!     │  └── does not end ── Killing ◀──────── stop_max is over ────────┘       │
//!     │                                                                         │
//!     └───────────── no restart left ── or ── Pausing ◀─────────────────────────┘
//!
//!  Stop: Waiting, Pausing ──▶ Stopped; Starting, Running ──▶ Stopping ──▶ Stopped, each after those that wait for it
//! ```
//!
//! Whatever happens to one service changes no other, but for those that have never been started and wait for it.

use super::plan::{Plan, check};
use super::restart::When;
use crate::error::Error;
use std::time::Duration;

/// How long one that was killed may take to end; a process that a disk holds does not end at all.
const KILL_MAX: Duration = Duration::from_secs(5);

/// Where a service is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Phase {
    /// It waits for others to be ready.
    #[default]
    Waiting,
    /// It runs, and is not ready yet.
    Starting,
    /// It runs.
    Running,
    /// It failed, and is started again after a pause.
    Pausing,
    /// It was told to end.
    Stopping,
    /// It did not, and was killed.
    Killing,
    /// It ended because it was told to.
    Stopped,
    /// It ended by itself, without an error.
    Finished,
    /// It failed for good.
    Failed,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Waiting,
        Self::Starting,
        Self::Running,
        Self::Pausing,
        Self::Stopping,
        Self::Killing,
        Self::Stopped,
        Self::Finished,
        Self::Failed,
    ];

    /// In lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Stopping => "stopping",
            Self::Killing => "killing",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }

    /// Nothing more comes of it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Stopped | Self::Finished | Self::Failed)
    }

    fn has_instance(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping | Self::Killing)
    }
}

/// What happened. Services are numbered as in the plans.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Time went by.
    Tick,
    /// A service says that it is ready.
    Ready(usize),
    /// A service showed life at this moment, in nanoseconds.
    Beat(usize, u64),
    /// What was started has ended, or could not be started; an error says why.
    Ended(usize, Result<(), String>),
    /// All shall end.
    Stop,
    /// All shall end at once.
    Kill,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Start the service; for the `attempt`-th time, from 1.
    Start {
        /// Its number.
        service: usize,
        /// Which time.
        attempt: u32,
    },
    /// Tell the service to end.
    Cancel(usize),
    /// End it by force.
    Kill(usize),
    /// Say what happened to it.
    Tell(usize, Change),
}

/// Something that happened to a service.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Change {
    /// It is being started.
    Started,
    /// It is ready.
    Ready,
    /// It is made to end: it was not ready in time, or without a heartbeat.
    Overdue(String),
    /// It ended with an error, and is started again after a pause.
    Restarts {
        /// Why it ended.
        reason: String,
        /// After what pause.
        pause: Duration,
        /// Which restart of the period this is, and how many there may be.
        restart: (u32, u32),
    },
    /// It failed for good.
    Failed(String),
    /// It ended by itself, without an error.
    Finished,
    /// It was told to end.
    Stopping,
    /// It did not end in time, and was killed.
    Killed,
    /// It ended because it was told to; with an error, if it had one.
    Stopped(Option<String>),
    /// It was given up because it did not end; it has ended now.
    EndedLate,
}

/// A service as others may know it. Moments are those that the machine was told.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub phase: Phase,
    /// Since when, in nanoseconds.
    pub since_ns: u64,
    /// How often it was started.
    pub starts: u32,
    /// Restarts that count at present, and how many there may be.
    pub restarts: (u32, u32),
    /// Why it ended last with an error; empty where it never did.
    pub reason: String,
    /// When it last showed life, if it has a heartbeat and runs.
    pub beat_ns: Option<u64>,
}

#[derive(Debug)]
struct Service {
    plan: Plan,
    needs: Vec<usize>,
    phase: Phase,
    since_ns: u64,
    /// When the phase is over, if by time.
    until_ns: Option<u64>,
    beat_ns: u64,
    /// When it was, or is to be, started again.
    restarts: Vec<u64>,
    starts: u32,
    reason: String,
    /// Why it is made to end, when nobody asked for it.
    doom: Option<String>,
    /// It runs still, although it was given up.
    lost: bool,
}

/// The state of all services.
#[derive(Debug)]
pub struct Machine {
    services: Vec<Service>,
    stopping: bool,
}

impl Machine {
    /// Nothing runs; the first event starts what waits for nothing.
    ///
    /// # Errors
    /// [`Error::is_config`] for plans that cannot be followed.
    pub fn new(plans: Vec<Plan>) -> Result<Self, Error> {
        let needs = check(&plans)?;
        let service = |(plan, needs)| Service {
            plan,
            needs,
            phase: Phase::Waiting,
            since_ns: 0,
            until_ns: None,
            beat_ns: 0,
            restarts: Vec::new(),
            starts: 0,
            reason: String::new(),
            doom: None,
            lost: false,
        };
        Ok(Self { services: plans.into_iter().zip(needs).map(service).collect(), stopping: false })
    }

    /// Takes an event at the moment `now_ns`, and appends to `out` what is to be done, in this order.
    pub fn step(&mut self, now_ns: u64, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Tick => {}
            Event::Ready(number) => self.ready(number, now_ns, out),
            Event::Beat(number, at_ns) => {
                if let Some(service) = self.services.get_mut(number) {
                    service.beat_ns = service.beat_ns.max(at_ns.min(now_ns));
                }
            }
            Event::Ended(number, end) => self.ended(number, end, now_ns, out),
            Event::Stop => self.stopping = true,
            Event::Kill => {
                self.stopping = true;
                for (number, service) in self.services.iter_mut().enumerate() {
                    if service.phase.has_instance() && service.phase != Phase::Killing {
                        service.force(number, now_ns, out);
                    }
                }
            }
        }
        for number in 0..self.services.len() {
            self.by_time(number, now_ns, out);
        }
        if self.stopping {
            self.stop(now_ns, out);
        } else {
            self.start(now_ns, out);
        }
    }

    /// When the next event is due, should none come before.
    pub fn next_ns(&self) -> Option<u64> {
        self.services.iter().filter_map(Service::next_ns).min()
    }

    /// Nothing more comes of any of them.
    pub fn is_over(&self) -> bool {
        self.services.iter().all(|service| service.phase.is_over())
    }

    /// The services, in the order of the plans.
    pub fn status(&self) -> impl Iterator<Item = Status> + '_ {
        self.services.iter().map(|service| Status {
            name: service.plan.name.clone(),
            phase: service.phase,
            since_ns: service.since_ns,
            starts: service.starts,
            restarts: (u32::try_from(service.restarts.len()).unwrap_or(u32::MAX), service.plan.restart.max),
            reason: service.reason.clone(),
            beat_ns: (service.plan.beat_max.is_some() && service.phase == Phase::Running).then_some(service.beat_ns),
        })
    }

    fn ready(&mut self, number: usize, now_ns: u64, out: &mut Vec<Action>) {
        if let Some(service) = self.services.get_mut(number).filter(|service| service.phase == Phase::Starting) {
            service.run(number, now_ns, out);
        }
    }

    fn ended(&mut self, number: usize, end: Result<(), String>, now_ns: u64, out: &mut Vec<Action>) {
        let stopping = self.stopping;
        let Some(service) = self.services.get_mut(number) else { return };
        if std::mem::take(&mut service.lost) {
            out.push(Action::Tell(number, Change::EndedLate));
        }
        if !service.phase.has_instance() {
            return;
        }
        // How it ended after it was made to end is of no interest: why it was is.
        let end = service.doom.take().map_or(end, Err);
        if let Err(reason) = &end {
            service.reason.clone_from(reason);
        }
        if stopping {
            service.enter(Phase::Stopped, now_ns, None);
            out.push(Action::Tell(number, Change::Stopped(end.err())));
            return;
        }
        let restart = match (service.plan.restart.when, &end) {
            (When::Always, _) | (When::OnFailure, Err(_)) => service.next_restart(now_ns),
            _ => None,
        };
        match (restart, end) {
            (Some((pause, restart)), end) => {
                let reason = end.err().unwrap_or_else(|| "it ended".to_owned());
                out.push(Action::Tell(number, Change::Restarts { reason, pause, restart }));
            }
            (None, Ok(())) if service.plan.restart.when != When::Always => {
                service.enter(Phase::Finished, now_ns, None);
                out.push(Action::Tell(number, Change::Finished));
            }
            (None, end) => {
                let reason = end.err().unwrap_or_else(|| "it ended".to_owned());
                let (max, period) = (service.plan.restart.max, service.plan.restart.period);
                let reason = match service.plan.restart.when {
                    When::Never => reason,
                    _ => format!("{reason}; not started again: {max} restarts in {period:?} are the limit"),
                };
                service.fail(number, reason, now_ns, out);
            }
        }
    }

    /// What is due.
    fn by_time(&mut self, number: usize, now_ns: u64, out: &mut Vec<Action>) {
        let Some(service) = self.services.get_mut(number) else { return };
        let is_due = service.next_ns().is_some_and(|until| until <= now_ns);
        match service.phase {
            Phase::Pausing if is_due && !self.stopping => {
                // Later than planned, where nobody looked in time: the period counts from here.
                if let Some(restart) = service.restarts.last_mut() {
                    *restart = now_ns;
                }
                service.start(number, now_ns, out);
            }
            Phase::Starting if is_due => {
                let max = service.plan.ready_max.unwrap_or_default();
                service.condemn(number, format!("it was not ready within {max:?}"), now_ns, out);
            }
            Phase::Running if is_due => {
                let silent = Duration::from_nanos(now_ns.saturating_sub(service.beat_ns));
                service.condemn(number, format!("it had no heartbeat for {silent:?}"), now_ns, out);
            }
            Phase::Stopping if is_due => service.force(number, now_ns, out),
            Phase::Killing if is_due => service.give_up(number, now_ns, out),
            _ => {}
        }
    }

    /// Starts what may start for the first time.
    fn start(&mut self, now_ns: u64, out: &mut Vec<Action>) {
        // One that has failed by this can be what another one waits for.
        loop {
            let mut changed = false;
            for number in 0..self.services.len() {
                let Some(service) = self.services.get(number).filter(|service| service.phase == Phase::Waiting) else {
                    continue;
                };
                let needed = || service.needs.iter().filter_map(|need| self.services.get(*need));
                let failed = needed().find(|needed| needed.phase == Phase::Failed);
                let failed = failed.map(|needed| format!("it waits for {}, which failed", needed.plan.name));
                let is_free = needed().all(|needed| matches!(needed.phase, Phase::Running | Phase::Finished));
                let Some(service) = self.services.get_mut(number).filter(|_| is_free || failed.is_some()) else {
                    continue;
                };
                changed = true;
                match failed {
                    Some(reason) => service.fail(number, reason, now_ns, out),
                    None => service.start(number, now_ns, out),
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// Stops what nobody that runs still waits for.
    fn stop(&mut self, now_ns: u64, out: &mut Vec<Action>) {
        for (number, service) in self.services.iter_mut().enumerate() {
            if matches!(service.phase, Phase::Waiting | Phase::Pausing) {
                service.enter(Phase::Stopped, now_ns, None);
                out.push(Action::Tell(number, Change::Stopped(None)));
            }
        }
        for number in 0..self.services.len() {
            let mut dependents = self.services.iter().filter(|other| other.needs.contains(&number));
            let is_needed = dependents.any(|other| !other.phase.is_over());
            let Some(service) = self.services.get_mut(number).filter(|_| !is_needed) else { continue };
            if matches!(service.phase, Phase::Starting | Phase::Running) {
                service.cancel(number, now_ns, out);
                out.push(Action::Tell(number, Change::Stopping));
            }
        }
    }
}

impl Service {
    fn next_ns(&self) -> Option<u64> {
        let beat = self.plan.beat_max.filter(|_| self.phase == Phase::Running);
        beat.map(|max| after(self.beat_ns, max)).or(self.until_ns)
    }

    fn enter(&mut self, phase: Phase, now_ns: u64, until_ns: Option<u64>) {
        (self.phase, self.since_ns, self.until_ns) = (phase, now_ns, until_ns);
    }

    fn start(&mut self, number: usize, now_ns: u64, out: &mut Vec<Action>) {
        self.starts = self.starts.saturating_add(1);
        self.enter(Phase::Starting, now_ns, self.plan.ready_max.map(|max| after(now_ns, max)));
        // Said first, so that it stands before whatever the service says itself.
        out.push(Action::Tell(number, Change::Started));
        out.push(Action::Start { service: number, attempt: self.starts });
        if self.plan.ready_max.is_none() {
            self.run(number, now_ns, out);
        }
    }

    fn run(&mut self, number: usize, now_ns: u64, out: &mut Vec<Action>) {
        self.beat_ns = now_ns;
        self.enter(Phase::Running, now_ns, None);
        if self.plan.ready_max.is_some() {
            out.push(Action::Tell(number, Change::Ready));
        }
    }

    /// Makes it end although nobody asked for that.
    fn condemn(&mut self, number: usize, reason: String, now_ns: u64, out: &mut Vec<Action>) {
        self.doom = Some(reason.clone());
        out.push(Action::Tell(number, Change::Overdue(reason)));
        self.cancel(number, now_ns, out);
    }

    fn cancel(&mut self, number: usize, now_ns: u64, out: &mut Vec<Action>) {
        self.enter(Phase::Stopping, now_ns, Some(after(now_ns, self.plan.stop_max)));
        out.push(Action::Cancel(number));
    }

    /// Ends it by force, or gives it up where it cannot be forced.
    fn force(&mut self, number: usize, now_ns: u64, out: &mut Vec<Action>) {
        if !self.plan.killable {
            if self.phase != Phase::Stopping {
                self.cancel(number, now_ns, out);
                return;
            }
            return self.give_up(number, now_ns, out);
        }
        self.enter(Phase::Killing, now_ns, Some(after(now_ns, KILL_MAX)));
        out.push(Action::Kill(number));
        out.push(Action::Tell(number, Change::Killed));
    }

    /// It may run still: a second instance beside it could do everything twice, so there is none.
    fn give_up(&mut self, number: usize, now_ns: u64, out: &mut Vec<Action>) {
        self.lost = true;
        let doom = self.doom.take().map(|doom| format!("{doom}; ")).unwrap_or_default();
        let max = if self.plan.killable { KILL_MAX } else { self.plan.stop_max };
        let forced = if self.plan.killable { "killed" } else { "told to end" };
        let reason =
            format!("{doom}it was {forced} and did not end within {max:?}: it may still run, and is left alone");
        self.fail(number, reason, now_ns, out);
    }

    fn fail(&mut self, number: usize, reason: String, now_ns: u64, out: &mut Vec<Action>) {
        self.reason.clone_from(&reason);
        self.enter(Phase::Failed, now_ns, None);
        out.push(Action::Tell(number, Change::Failed(reason)));
    }

    /// The pause before the next restart, and which one of how many it is; `None` when there is none left.
    fn next_restart(&mut self, now_ns: u64) -> Option<(Duration, (u32, u32))> {
        let policy = self.plan.restart;
        // Counted by the moment of the start, pause included: so no period has more than `max` starts.
        self.restarts.retain(|at| after(*at, policy.period) > now_ns);
        let attempt = u32::try_from(self.restarts.len()).unwrap_or(u32::MAX).saturating_add(1);
        if attempt > policy.max {
            return None;
        }
        let pause = policy.pause(&self.plan.name, attempt);
        let until = after(now_ns, pause);
        self.restarts.push(until);
        self.enter(Phase::Pausing, now_ns, Some(until));
        Some((pause, (attempt, policy.max)))
    }
}

fn after(at_ns: u64, time: Duration) -> u64 {
    at_ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
