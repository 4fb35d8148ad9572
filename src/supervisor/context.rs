//! What a service is given: its name, its log, and how it talks with the supervisor.

use super::cancel::Cancel;
use super::run::Message;
use crate::clock::ticks::monotonic_ns;
use crate::logger::component::Component;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

/// What a running service is given. Belongs to one start of it.
#[derive(Clone, Debug)]
pub struct Context {
    pub(super) component: Component,
    pub(super) cancel: Cancel,
    /// When it last showed life, in nanoseconds of the monotonic clock.
    pub(super) beat_ns: Arc<AtomicU64>,
    pub(super) sender: Sender<Message>,
    pub(super) service: usize,
    pub(super) attempt: u32,
}

impl Context {
    /// The service's name.
    pub fn name(&self) -> &'static str {
        self.component.name()
    }

    /// The service's component, for `logger:`; its records stand in the service's own file.
    pub fn component(&self) -> Component {
        self.component
    }

    /// Which start of the service this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Says that the service is ready: what waits for it starts. Takes memory; not for the hot path.
    pub fn ready(&self) {
        // Fails when the supervisor is gone, and then nobody waits.
        let _ = self.sender.send(Message::Ready(self.service, self.attempt));
    }

    /// Says that the service is alive. Costs a reading of the monotonic clock and a store; wakes nobody.
    #[inline]
    pub fn beat(&self) {
        self.beat_ns.store(monotonic_ns(), Ordering::Relaxed);
    }

    /// Whether the service is to end. Costs one load.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Sleeps for `time`, or until the service is to end; whether it is to go on.
    pub fn sleep(&self, time: Duration) -> bool {
        !self.cancel.wait(time)
    }

    /// The same for code that has no business with the supervisor.
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }
}
