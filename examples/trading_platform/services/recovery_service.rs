use crate::desk::Work;
use crate::market::Message;
use tachograph::{Component, info};

/// Keeps what a restart of the platform would need: the last message that was seen.
#[derive(Default)]
pub(crate) struct RecoveryService {
    last: u64,
}

impl Work for RecoveryService {
    fn name(&self) -> &'static str {
        "recovery_service"
    }

    fn take(&mut self, log: Component, message: &Message) {
        let missed = message.number.saturating_sub(self.last + 1);
        self.last = message.number;
        info!(logger: log, order_id = message.order_id, number = message.number, missed = missed; "checkpoint");
    }
}
