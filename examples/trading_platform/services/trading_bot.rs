use crate::desk::Work;
use crate::market::{Message, Side};
use tachograph::{Component, info};

/// How much a new message counts.
const WEIGHT: f64 = 0.05;

/// Follows the pressure of buyers and sellers.
#[derive(Default)]
pub(crate) struct TradingBot {
    pressure: f64,
}

impl Work for TradingBot {
    fn name(&self) -> &'static str {
        "trading_bot"
    }

    fn take(&mut self, log: Component, message: &Message) {
        let side = if message.side == Side::Buy { 1.0 } else { -1.0 };
        self.pressure += WEIGHT * (side - self.pressure);
        let signal = match self.pressure {
            pressure if pressure > 0.3 => "buy",
            pressure if pressure < -0.3 => "sell",
            _ => "wait",
        };
        info!(logger: log, order_id = message.order_id, signal = signal; "pressure {:+.3}", self.pressure);
    }
}
