//! The shell around the [machine](super::machine): a thread for each service, and one that supervises.

use super::board::Board;
use super::cancel::Cancel;
use super::context::Context;
use super::machine::{Action, Change, Event, Machine, Status};
use super::tell::tell;
use crate::clock::ticks::monotonic_ns;
use crate::error::{Error, Kind};
use crate::logger::component::component;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// The supervisor looks at heartbeats at least so often in the time that one may take, and shows them.
const LOOKS_PER_BEAT: u32 = 4;
/// At least so often where there are any.
const LOOK_MAX: Duration = Duration::from_millis(500);

/// What runs a service; behind a lock, so that a restart goes on with the same value.
pub(super) type Body = Arc<Mutex<dyn FnMut(&Context) -> Result<(), String> + Send>>;
/// What is told of every change: the service's name, and what happened to it.
pub(super) type OnChange = Box<dyn FnMut(&str, &Change) + Send>;

/// What the supervising thread is told. The number after a service's is that of its start: what an old instance says is
/// not taken for the new one's.
#[derive(Debug)]
pub(super) enum Message {
    Ready(usize, u32),
    Ended(usize, u32, Result<(), String>),
    Stop,
}

/// Running services. Dropping it stops them, as [`stop`](Self::stop) does.
#[derive(Debug)]
#[must_use = "the services are stopped when this is dropped: keep it in a variable"]
pub struct Running {
    sender: Sender<Message>,
    thread: Option<JoinHandle<()>>,
    status: Arc<Mutex<Vec<Status>>>,
}

impl Running {
    /// How the services are. Moments are nanoseconds of the monotonic clock.
    pub fn status(&self) -> Vec<Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has all services end, without waiting for it.
    pub fn request_stop(&self) {
        // Fails when all are over already.
        let _ = self.sender.send(Message::Stop);
    }

    /// Waits until all services are over: ended by themselves, failed for good, or stopped; at most for `time`. Whether they are.
    pub fn wait(&self, time: Duration) -> bool {
        let until = Instant::now().checked_add(time);
        loop {
            let Some(thread) = self.thread.as_ref().filter(|thread| !thread.is_finished()) else { return true };
            let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            let _ = thread;
            std::thread::sleep(left.min(Duration::from_millis(2)));
        }
    }

    /// Stops the services in reverse order, each with its own limit of time, and tells how they ended. A service that does not
    /// end within its limit is left alone, and has failed.
    pub fn stop(mut self) -> Vec<Status> {
        self.end();
        self.status()
    }

    fn end(&mut self) {
        self.request_stop();
        if let Some(thread) = self.thread.take() {
            // It does not panic, but for a callback of the user's, which has been reported as panics are.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// A service as the supervising thread has it.
pub(super) struct Seat {
    pub(super) name: String,
    pub(super) body: Body,
    pub(super) beat_max: Option<Duration>,
}

struct Crew {
    seats: Vec<Seat>,
    /// The present, or last, instance of each.
    present: Vec<Option<Context>>,
    seen_beat_ns: Vec<u64>,
    machine: Machine,
    board: Board,
    on_change: Option<OnChange>,
    sender: Sender<Message>,
    status: Arc<Mutex<Vec<Status>>>,
}

/// Starts the supervising thread.
pub(super) fn start(seats: Vec<Seat>, machine: Machine, on_change: Option<OnChange>) -> Result<Running, Error> {
    let (sender, receiver) = channel();
    let status = Arc::new(Mutex::new(machine.status().collect()));
    let crew = Crew {
        present: seats.iter().map(|_| None).collect(),
        seen_beat_ns: vec![0; seats.len()],
        seats,
        machine,
        board: Board::default(),
        on_change,
        sender: sender.clone(),
        status: Arc::clone(&status),
    };
    let thread = Builder::new().name("supervisor".to_owned()).spawn(move || crew.work(&receiver));
    let thread = thread.map_err(|error| {
        Error::new(Kind::Io, format!("cannot start the supervisor's thread: {error}"), "raise the limit on threads")
    })?;
    Ok(Running { sender, thread: Some(thread), status })
}

impl Crew {
    fn work(mut self, receiver: &Receiver<Message>) {
        let shortest_beat = self.seats.iter().filter_map(|seat| seat.beat_max).min();
        let look = shortest_beat.map_or(Duration::MAX, |beat| (beat / LOOKS_PER_BEAT).min(LOOK_MAX));
        self.step(Event::Tick);
        while !self.machine.is_over() {
            let due = self.machine.next_ns().map(|due| due.saturating_sub(monotonic_ns()));
            let wait = due.map_or(look, |due| Duration::from_nanos(due).min(look));
            let message = if wait == Duration::MAX {
                receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                receiver.recv_timeout(wait)
            };
            self.beats();
            match message {
                Ok(Message::Ready(service, attempt)) if self.is_present(service, attempt) => {
                    self.step(Event::Ready(service));
                }
                Ok(Message::Ended(service, attempt, end)) if self.is_present(service, attempt) => {
                    self.step(Event::Ended(service, end));
                }
                Ok(Message::Stop) => self.step(Event::Stop),
                Ok(_) | Err(_) => self.step(Event::Tick),
            }
        }
    }

    fn is_present(&self, service: usize, attempt: u32) -> bool {
        self.present.get(service).and_then(Option::as_ref).is_some_and(|present| present.attempt == attempt)
    }

    /// Passes on the heartbeats that came.
    fn beats(&mut self) {
        for service in 0..self.seats.len() {
            let beat = self.present.get(service).and_then(Option::as_ref);
            let Some(beat_ns) = beat.map(|present| present.beat_ns.load(Ordering::Relaxed)) else { continue };
            if let Some(seen) = self.seen_beat_ns.get_mut(service).filter(|seen| **seen < beat_ns) {
                *seen = beat_ns;
                self.step(Event::Beat(service, beat_ns));
            }
        }
    }

    fn step(&mut self, event: Event) {
        // Those that what was done brings about, come behind it.
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let mut actions = Vec::new();
            self.machine.step(monotonic_ns(), event, &mut actions);
            for action in actions {
                self.act(action, &mut events);
            }
        }
        let status: Vec<Status> = self.machine.status().collect();
        self.board.show(&status);
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    fn act(&mut self, action: Action, events: &mut Vec<Event>) {
        match action {
            Action::Start { service, attempt } => {
                if let Err(error) = self.start(service, attempt) {
                    events.push(Event::Ended(service, Err(format!("its thread cannot be started: {error}"))));
                }
            }
            Action::Cancel(service) => {
                if let Some(Some(present)) = self.present.get(service) {
                    present.cancel.cancel();
                }
            }
            // No plan of ours is killable.
            Action::Kill(_) => {}
            Action::Tell(service, change) => {
                let Some(seat) = self.seats.get(service) else { return };
                tell(component(&seat.name), &change);
                if let Some(on_change) = &mut self.on_change {
                    on_change(&seat.name, &change);
                }
            }
        }
    }

    fn start(&mut self, service: usize, attempt: u32) -> std::io::Result<()> {
        let Some(seat) = self.seats.get(service) else { return Ok(()) };
        let context = Context {
            component: component(&seat.name),
            cancel: Cancel::new(),
            beat_ns: Arc::new(AtomicU64::new(0)),
            sender: self.sender.clone(),
            service,
            attempt,
        };
        let (body, given) = (Arc::clone(&seat.body), context.clone());
        if let Some(present) = self.present.get_mut(service) {
            *present = Some(context);
        }
        let work = move || {
            crate::prepare_thread();
            // What a panic left half done is the service's to put right: `run` begins anew on the same value.
            let run = || (body.lock().unwrap_or_else(PoisonError::into_inner))(&given);
            let end = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(said(panic)));
            // Fails when the supervisor gave it up and is gone.
            let _ = given.sender.send(Message::Ended(given.service, given.attempt, end));
        };
        Builder::new().name(seat.name.clone()).spawn(work).map(drop)
    }
}

/// What a panic says.
fn said(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    // Whatever it carries may panic again while it is dropped.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
    format!("panicked: {}", text.unwrap_or_else(|| "with a value that is no text".to_owned()))
}
