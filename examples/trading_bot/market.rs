//! The market-data thread: logs every trade of the market, times each of those calls, and hands the trade on.

use crate::data::{SATS_PER_BTC, Trade};
use crate::stopwatch::{Stopwatch, ticks};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};
use tachograph::info;

/// A trade on its way through the bot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick {
    pub(crate) trade: Trade,
    pub(crate) received: Instant,
}

/// What the thread did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) records: u64,
    /// What each log call took.
    pub(crate) call_ticks: Vec<u64>,
}

/// Replays `trades`, flat out or with their gaps divided by `speed`.
pub(crate) fn run(trades: &[Trade], speed: Option<f64>, stopwatch: &Stopwatch, out: &SyncSender<Tick>) -> Done {
    tachograph::prepare_thread();
    let mut call_ticks = Vec::with_capacity(trades.len());
    let mut pace = Pace::new(speed);
    for trade in trades {
        pace.wait_for(trade.time_s);
        let received = Instant::now();
        let before = ticks(stopwatch);
        info!(
            target: "trades",
            trade_id = trade.id, price = trade.price, side:? = trade.side, kind = trade.kind;
            "XBT/USDT {:.8} at {:.1}", trade.sats as f64 / SATS_PER_BTC, trade.price
        );
        call_ticks.push(ticks(stopwatch) - before);
        if out.send(Tick { trade: *trade, received }).is_err() {
            break;
        }
    }
    Done { records: call_ticks.len() as u64, call_ticks }
}

/// Waits for recorded times.
#[derive(Debug)]
pub(crate) struct Pace {
    speed: Option<f64>,
    begin: Option<(Instant, f64)>,
}

impl Pace {
    pub(crate) fn new(speed: Option<f64>) -> Self {
        Self { speed, begin: None }
    }

    /// Returns when what happened at `time_s` is due; the first is due at once.
    pub(crate) fn wait_for(&mut self, time_s: f64) {
        let Some(speed) = self.speed else { return };
        let (begin, first_s) = *self.begin.get_or_insert_with(|| (Instant::now(), time_s));
        let due = Duration::try_from_secs_f64((time_s - first_s) / speed).unwrap_or_default();
        thread::sleep(due.saturating_sub(begin.elapsed()));
    }
}
