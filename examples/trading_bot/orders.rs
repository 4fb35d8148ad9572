//! The order thread: one resting limit order at a time, filled by the trades of the market, within a limit of position.

use crate::data::{SATS_PER_BTC, Side, Trade};
use crate::signals::{Cross, Decision};
use std::sync::mpsc::Receiver;
use std::time::Instant;
use tachograph::{Component, Value, component, info, warn};

/// Size of an order: 0.01 BTC.
const ORDER_SATS: i64 = 1_000_000;
/// The position, long or short, with the resting order filled: 0.03 BTC.
const POSITION_SATS_MAX: i64 = 3_000_000;

/// A limit order that rests.
#[derive(Clone, Copy, Debug)]
struct Order {
    id: u32,
    side: Side,
    price: f64,
    left_sats: i64,
}

/// A part of an order was traded.
#[derive(Clone, Copy, Debug, Value)]
struct Fill {
    order_id: u32,
    side: Side,
    price: f64,
    sats: i64,
    left_sats: i64,
}

/// Why an order was not sent. No `Value`: formatted at the call site, which is the slow way, and good enough for what
/// is rare.
#[derive(Debug)]
enum Rejection {
    #[expect(dead_code, reason = "shown by Debug")]
    PositionLimit { would_be_sats: i64, limit_sats: i64 },
}

/// What the thread did.
#[derive(Debug)]
pub(crate) struct Done {
    /// Records under `orders`.
    pub(crate) records: u64,
    /// Records under `risk`.
    pub(crate) rejected: u64,
    /// Records under `latency`.
    pub(crate) latencies: u64,
    position_sats: i64,
    cash_usd: f64,
}

impl Done {
    pub(crate) fn position_btc(&self) -> f64 {
        btc(self.position_sats)
    }

    pub(crate) fn cash_usd(&self) -> f64 {
        self.cash_usd
    }
}

struct Desk {
    risk: Component,
    resting: Option<Order>,
    next_id: u32,
    done: Done,
}

pub(crate) fn run(decisions: &Receiver<Decision>) -> Done {
    tachograph::prepare_thread();
    let done = Done { records: 0, rejected: 0, latencies: 0, position_sats: 0, cash_usd: 0.0 };
    let mut desk = Desk { risk: component("risk"), resting: None, next_id: 1, done };
    for Decision { tick, cross } in decisions {
        desk.fill_by(&tick.trade);
        if let Some(cross) = cross
            && desk.act_on(&cross, tick.trade.price)
        {
            desk.tell_latency(tick.trade.id, tick.received);
        }
    }
    desk.done
}

impl Desk {
    /// A trade at our price or beyond it takes from the resting order.
    fn fill_by(&mut self, trade: &Trade) {
        let Some(order) = &mut self.resting else { return };
        let reached = match order.side {
            Side::Buy => trade.side == Side::Sell && trade.price <= order.price,
            Side::Sell => trade.side == Side::Buy && trade.price >= order.price,
        };
        if !reached {
            return;
        }
        let sats = trade.sats.min(order.left_sats);
        order.left_sats -= sats;
        let sign = if order.side == Side::Buy { 1 } else { -1 };
        self.done.position_sats += sign * sats;
        self.done.cash_usd -= sign as f64 * btc(sats) * order.price;
        let fill = Fill { order_id: order.id, side: order.side, price: order.price, sats, left_sats: order.left_sats };
        info!(target: "orders", order_id = order.id, position_btc = btc(self.done.position_sats); "filled {fill:?}");
        self.done.records += 1;
        if order.left_sats == 0 {
            self.resting = None;
        }
    }

    /// Replaces the resting order by one that follows the signal; says whether one was sent.
    fn act_on(&mut self, cross: &Cross, price: f64) -> bool {
        if let Some(order) = self.resting.take() {
            info!(target: "orders", order_id = order.id, left_btc = btc(order.left_sats); "cancelled");
            self.done.records += 1;
        }
        let order = Order { id: self.next_id, side: cross.side, price, left_sats: ORDER_SATS };
        self.next_id += 1;
        if let Err(rejection) = self.check(&order) {
            warn!(logger: self.risk, order_id = order.id; "order refused: {rejection:?}");
            self.done.rejected += 1;
            return false;
        }
        let text = if cross.strength > 1 { "adding to the trend" } else { "new trend" };
        info!(
            target: "orders",
            order_id = order.id, side:? = order.side, reason = text;
            "sent {:.4} at {:.1}", btc(order.left_sats), order.price
        );
        self.done.records += 1;
        self.resting = Some(order);
        true
    }

    fn check(&self, order: &Order) -> Result<(), Rejection> {
        let sign = if order.side == Side::Buy { 1 } else { -1 };
        let would_be_sats = self.done.position_sats + sign * order.left_sats;
        if would_be_sats.abs() > POSITION_SATS_MAX {
            return Err(Rejection::PositionLimit { would_be_sats, limit_sats: POSITION_SATS_MAX });
        }
        Ok(())
    }

    fn tell_latency(&mut self, trade_id: u64, received: Instant) {
        let tick_to_order = received.elapsed();
        info!(target: "latency", trade_id, ns = tick_to_order.as_nanos() as u64; "tick to order {tick_to_order:.1?}");
        self.done.latencies += 1;
    }
}

fn btc(sats: i64) -> f64 {
    sats as f64 / SATS_PER_BTC
}
