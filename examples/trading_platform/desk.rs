//! What all services have in common: a desk at which messages arrive, and somebody who works on them.

use crate::market::Message;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tachograph::Component;
use tachograph::supervisor::{Context, Service};

/// How long a desk waits before it shows life.
const PATIENCE: Duration = Duration::from_millis(50);

/// Who works at a desk.
pub(crate) trait Work: Send {
    /// The service's name.
    fn name(&self) -> &'static str;

    /// Takes a message, and logs to `log` what comes of it.
    fn take(&mut self, log: Component, message: &Message);
}

/// A service: its inbox outlives a crash of it, and so does the message that it was at.
pub(crate) struct Desk {
    pub(crate) work: Box<dyn Work>,
    pub(crate) inbox: Receiver<Message>,
    /// What it is at. Still there after a crash: then it is done again.
    pub(crate) at: Option<Message>,
    /// In its first life it crashes at the message of this number.
    pub(crate) crash_at: Option<u64>,
}

impl Service for Desk {
    type Error = String;

    fn name(&self) -> &str {
        self.work.name()
    }

    fn run(&mut self, context: &Context) -> Result<(), String> {
        context.ready();
        while !context.is_cancelled() {
            context.beat();
            let message = match self.at {
                Some(message) => message,
                None => match self.inbox.recv_timeout(PATIENCE) {
                    Ok(message) => message,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                },
            };
            self.at = Some(message);
            if context.attempt() == 1 && self.crash_at == Some(message.number) {
                crash(&message);
            }
            self.work.take(context.component(), &message);
            self.at = None;
        }
        Ok(())
    }
}

#[allow(clippy::panic, reason = "this is what the example shows")]
fn crash(message: &Message) {
    panic!("crash on purpose at message {} of order {}", message.number, message.order_id);
}
