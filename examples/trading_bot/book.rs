//! The order-book thread: logs every message of another market. Nothing is traded on it.

use crate::data::BookMessage;
use crate::market::Pace;
use tachograph::info;

/// Returns the number of messages.
pub(crate) fn run(messages: &[BookMessage], speed: Option<f64>) -> u64 {
    tachograph::prepare_thread();
    let mut pace = Pace::new(speed);
    for message in messages {
        pace.wait_for(message.time_s);
        let BookMessage { kind, order_id, size, price, side, .. } = *message;
        info!(target: "book", order_id, size, price, side:?; "AAPL {kind} of {size} at {price:.2}");
    }
    messages.len() as u64
}
