use crate::desk::Work;
use crate::market::Message;
use tachograph::{Component, debug, info};

/// Reports what was executed, and what works still.
#[derive(Default)]
pub(crate) struct ExecutionService {
    executed: u64,
}

impl Work for ExecutionService {
    fn name(&self) -> &'static str {
        "execution_service"
    }

    fn take(&mut self, log: Component, message: &Message) {
        let (order_id, shares, price) = (message.order_id, message.shares, message.price);
        if message.is_execution() {
            self.executed += u64::from(shares);
            info!(logger: log, order_id = order_id, price = price; "{shares} executed, {} in all", self.executed);
        } else {
            debug!(logger: log, order_id = order_id, price = price; "{shares} work");
        }
    }
}
