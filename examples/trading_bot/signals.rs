//! The signal thread: two moving averages, and a signal whenever the distance between them reaches a new band.

use crate::data::Side;
use crate::market::Tick;
use std::sync::mpsc::{Receiver, SyncSender};
use tachograph::{Value, debug, info};

const FAST_TRADES: usize = 8;
const SLOW_TRADES: usize = 32;
/// Width of a band, in hundredths of a per cent of the slow average.
const BAND_BPS: f64 = 1.5;

/// Averages that moved apart.
#[derive(Clone, Copy, Debug, Value)]
pub(crate) struct Cross {
    pub(crate) side: Side,
    pub(crate) fast: f64,
    pub(crate) slow: f64,
    /// Distance, in bands.
    pub(crate) strength: u32,
}

/// A trade with what it led to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision {
    pub(crate) tick: Tick,
    pub(crate) cross: Option<Cross>,
}

/// Returns the number of signals.
pub(crate) fn run(trades: &Receiver<Tick>, out: &SyncSender<Decision>) -> u64 {
    tachograph::prepare_thread();
    let (mut fast, mut slow) = (Average::<FAST_TRADES>::new(), Average::<SLOW_TRADES>::new());
    let (mut band, mut signals) = (0, 0);
    for tick in trades {
        let averages = (fast.push(tick.trade.price), slow.push(tick.trade.price));
        let mut cross = None;
        if let (Some(fast), Some(slow)) = averages {
            let bps = (fast / slow - 1.0) * 10_000.0;
            // Below the default level: costs one load, and evaluates nothing.
            debug!(target: "signals", bps; "distance");
            let now = (bps / BAND_BPS).trunc() as i32;
            if now != band && now != 0 {
                let side = if now > 0 { Side::Buy } else { Side::Sell };
                let found = Cross { side, fast, slow, strength: now.unsigned_abs() };
                info!(target: "signals", trade_id = tick.trade.id, strength = found.strength; "{found:.2?}");
                signals += 1;
                cross = Some(found);
            }
            band = now;
        }
        if out.send(Decision { tick, cross }).is_err() {
            break;
        }
    }
    signals
}

/// The mean of the last `N` values.
struct Average<const N: usize> {
    values: [f64; N],
    seen: usize,
}

impl<const N: usize> Average<N> {
    const fn new() -> Self {
        Self { values: [0.0; N], seen: 0 }
    }

    /// Takes a value; the mean, once there are `N`.
    fn push(&mut self, value: f64) -> Option<f64> {
        if let Some(oldest) = self.values.get_mut(self.seen % N) {
            *oldest = value;
        }
        self.seen += 1;
        (self.seen >= N).then(|| self.values.iter().sum::<f64>() / N as f64)
    }
}
