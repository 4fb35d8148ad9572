use crate::desk::Work;
use crate::market::{Message, Side};
use tachograph::{Component, info, warn};

/// Dollars that may be at stake on one side.
const LIMIT_USD: f64 = 2_000_000.0;

/// Watches what executions put at stake.
#[derive(Default)]
pub(crate) struct RiskManager {
    exposure_usd: f64,
}

impl Work for RiskManager {
    fn name(&self) -> &'static str {
        "risk_manager"
    }

    fn take(&mut self, log: Component, message: &Message) {
        let value = message.price * f64::from(message.shares);
        if message.is_execution() {
            self.exposure_usd += if message.side == Side::Buy { value } else { -value };
        }
        let (order_id, used) = (message.order_id, 100.0 * self.exposure_usd.abs() / LIMIT_USD);
        if used > 100.0 {
            warn!(logger: log, order_id = order_id, exposure_usd = self.exposure_usd; "over the limit: {used:.1} %");
        } else {
            info!(logger: log, order_id = order_id, value_usd = value; "within the limit: {used:.1} %");
        }
    }
}
