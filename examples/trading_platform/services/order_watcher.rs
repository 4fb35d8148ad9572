use crate::desk::Work;
use crate::market::{Kind, Message, Side};
use tachograph::{Component, info};

/// Keeps the resting shares of both sides of the book.
#[derive(Default)]
pub(crate) struct OrderWatcher {
    buy: i64,
    sell: i64,
}

impl Work for OrderWatcher {
    fn name(&self) -> &'static str {
        "order_watcher"
    }

    fn take(&mut self, log: Component, message: &Message) {
        let shares = i64::from(message.shares);
        let change = match message.kind {
            Kind::Submission => shares,
            Kind::PartialCancellation | Kind::Deletion | Kind::Execution => -shares,
            Kind::HiddenExecution | Kind::CrossTrade | Kind::Halt => 0,
        };
        match message.side {
            Side::Buy => self.buy += change,
            Side::Sell => self.sell += change,
        }
        info!(
            logger: log, order_id = message.order_id, kind = message.kind, side = message.side, shares = shares;
            "book: {} to buy, {} to sell", self.buy, self.sell
        );
    }
}
