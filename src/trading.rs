//! Events that every trading system has, typed and named alike everywhere.
//!
//! They are log calls with fixed fields, for the global logger, at level `info` and at the cost of [`info!`](crate::info):
//! the numbers may be of any type that is a [`Value`]: integers (ticks, lots), floats, or, with the feature
//! `rust_decimal`, decimals. Trades and signals have the target [`TRADING_ACTIVITY`], measurements the target
//! [`PERFORMANCE`], so that each has its file.
//!
//! ```text
//! 2026-11-20T13:02:37.123456789Z INFO     trading_activity [main] trade symbol=BTC/USDT side=Buy quantity=0.001 price=50000
//! 2026-11-20T13:02:37.123461277Z INFO     trading_activity [main] signal symbol=ETH/USDT direction=Bullish strength=0.85
//! 2026-11-20T13:02:37.123463154Z INFO     performance [main] measured name=latency value=45.2 unit=ms
//! ```
//!
//! ```
//! use tachograph::trading::{Side, Signal, log_performance, log_signal, log_trade};
//! log_trade("BTC/USDT", Side::Buy, 0.001, 50_000.0);
//! log_signal("ETH/USDT", Signal::Bullish, 0.85);
//! log_performance("latency", 45.2, "ms");
//! ```

use crate::value::Value;

/// Target of trades and signals.
pub const TRADING_ACTIVITY: &str = "trading_activity";
/// Target of measurements.
pub const PERFORMANCE: &str = "performance";

/// The side of a trade or order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, tachograph_macros::Value)]
pub enum Side {
    /// Bought, or to be bought.
    Buy,
    /// Sold, or to be sold.
    Sell,
}

/// What a signal expects of the price.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, tachograph_macros::Value)]
pub enum Signal {
    /// It rises.
    Bullish,
    /// It falls.
    Bearish,
    /// It stays.
    Neutral,
}

/// Logs that a quantity was traded at a price. Units are the caller's: they are recorded as they are given.
#[inline]
pub fn log_trade<Q: Value, P: Value>(symbol: &str, side: Side, quantity: Q, price: P) {
    crate::info!(target: TRADING_ACTIVITY, symbol = symbol, side = side, quantity = quantity, price = price; "trade");
}

/// Logs a signal and its strength, on the caller's scale.
#[inline]
pub fn log_signal<S: Value>(symbol: &str, direction: Signal, strength: S) {
    crate::info!(target: TRADING_ACTIVITY, symbol = symbol, direction = direction, strength = strength; "signal");
}

/// Logs a measurement and its unit.
#[inline]
pub fn log_performance<V: Value>(name: &str, value: V, unit: &str) {
    crate::info!(target: PERFORMANCE, name = name, value = value, unit = unit; "measured");
}
