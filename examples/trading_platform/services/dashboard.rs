use crate::desk::Work;
use crate::market::Message;
use tachograph::{Component, info};

/// Counts what a person would look at.
#[derive(Default)]
pub(crate) struct Dashboard {
    messages: u64,
    value_usd: f64,
}

impl Work for Dashboard {
    fn name(&self) -> &'static str {
        "dashboard"
    }

    fn take(&mut self, log: Component, message: &Message) {
        self.messages += 1;
        self.value_usd += message.price * f64::from(message.shares);
        info!(
            logger: log, order_id = message.order_id, market_time_s = message.time_s;
            "{} messages, {:.0} USD", self.messages, self.value_usd
        );
    }
}
