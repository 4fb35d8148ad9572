use crate::desk::Work;
use crate::market::Message;
use tachograph::{Component, info, warn};

/// By how much a price may differ from the last.
const BAND_PERCENT: f64 = 5.0;

/// Refuses prices that are far from the last one.
#[derive(Default)]
pub(crate) struct ExecutionGuard {
    last: Option<f64>,
}

impl Work for ExecutionGuard {
    fn name(&self) -> &'static str {
        "execution_guard"
    }

    fn take(&mut self, log: Component, message: &Message) {
        let away = self.last.map_or(0.0, |last| 100.0 * (message.price - last).abs() / last);
        let (order_id, price) = (message.order_id, message.price);
        if away > BAND_PERCENT {
            warn!(logger: log, order_id = order_id, price = price; "refused: {away:.2} % away");
        } else {
            info!(logger: log, order_id = order_id, price = price; "passed: {away:.2} % away");
            self.last = Some(price);
        }
    }
}
