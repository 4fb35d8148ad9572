//! A small trading bot on 1,000 real trades, which logs the way such bots do.
//!
//! ```text
//!  market-data ──trades──▶ signals ──trades, signals──▶ orders       order-book (with --lobster)
//!    trades.log              signals.log                  orders.log     book.log
//!                                                         risk.log
//!                                                         latency.log
//! ```
//!
//! `cargo run --release --example trading_bot` leaves `logs/` with one file per component; `--help` tells the rest.
//!
//! * [`options`]: the command line.
//! * [`data`]: the recorded trades and order-book messages.
//! * [`market`], [`signals`], [`orders`], [`book`]: one thread each.
//! * [`stopwatch`]: what a log call cost.
//! * [`report`]: what is told at the end.

mod book;
mod data;
mod market;
mod options;
mod orders;
mod report;
mod signals;
mod stopwatch;

use options::{Options, Parsed};
use report::Report;
use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};
use stopwatch::Stopwatch;
use tachograph::{Config, info};

/// Messages that a channel between two threads holds.
const CHANNEL_MESSAGES: usize = 4096;
/// How long the end may wait for the files.
const FLUSH_MAX: Duration = Duration::from_secs(10);
/// The command line was wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args_os().skip(1)) {
        Ok(Parsed::Run(options)) => options,
        Ok(Parsed::Help) => {
            let _ = io::stdout().write_all(options::HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            let _ = writeln!(io::stderr(), "trading_bot: {message}; --help tells what there is");
            return ExitCode::from(USAGE);
        }
    };
    match run(&options) {
        Ok(report) => match report.write(&mut io::stdout().lock()) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&error),
            _ => ExitCode::SUCCESS,
        },
        Err(error) => fail(&*error),
    }
}

fn fail(error: &dyn Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "trading_bot: {error}");
    ExitCode::FAILURE
}

fn run(options: &Options) -> Result<Report, Box<dyn Error>> {
    let trades = data::trades(options.repeat)?;
    let messages = if options.lobster { data::book_messages()? } else { Vec::new() };
    let had_trades = options.dir.join("trades.log").exists();

    let tacho = tachograph::start(Config::new(&options.dir))?;
    tachograph::prepare_thread();
    let stopwatch = Stopwatch::calibrated();
    let begin = Instant::now();
    info!(trades = trades.len(), messages = messages.len(), paced = options.speed.is_some(); "bot starts");

    let (to_signals, from_market) = sync_channel(CHANNEL_MESSAGES);
    let (to_orders, from_signals) = sync_channel(CHANNEL_MESSAGES);
    let (market, signals, orders, book) = thread::scope(|scope| {
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        let (speed, trades, messages, watch) = (options.speed, &trades, &messages, &stopwatch);
        let market =
            named("market-data").spawn_scoped(scope, move || market::run(trades, speed, watch, &to_signals))?;
        let signals = named("signals").spawn_scoped(scope, move || signals::run(&from_market, &to_orders))?;
        let orders = named("orders").spawn_scoped(scope, move || orders::run(&from_signals))?;
        let book = if options.lobster {
            Some(named("order-book").spawn_scoped(scope, move || book::run(messages, speed))?)
        } else {
            None
        };
        let book = book.map_or(Ok(0), join)?;
        Ok::<_, Box<dyn Error>>((join(market)?, join(signals)?, join(orders)?, book))
    })?;

    let seconds = begin.elapsed().as_secs_f64();
    info!(position_btc = orders.position_btc(), cash_usd = orders.cash_usd(); "bot ends after {seconds:.3} s");

    tacho.flush(FLUSH_MAX)?;
    let report = Report {
        records: vec![
            ("trading_bot", 2),
            ("trades", market.records),
            ("signals", signals),
            ("orders", orders.records),
            ("risk", orders.rejected),
            ("latency", orders.latencies),
            ("book", book),
        ],
        cost: stopwatch.summary(market.call_ticks),
        had_trades,
        health: tacho.health(),
    };
    tacho.close(FLUSH_MAX)?;
    Ok(report)
}

/// What the thread came to; an error if it panicked.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> Result<T, Box<dyn Error>> {
    let name = thread.thread().name().unwrap_or("?").to_owned();
    thread.join().map_err(|_| format!("the thread {name} panicked").into())
}
