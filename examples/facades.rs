//! Three interfaces, one log: what a dependency says through `log`, what an async part says through `tracing`, and what the hot path
//! says through the macros of this crate.
//!
//! `cargo run --features log,tracing --example facades`, also with `RUST_LOG=info,matching=trace` before it.

#![allow(clippy::print_stdout, clippy::panic, reason = "a program may print, and shows a panic")]

use std::time::Duration;
use tachograph::{Config, View, facade, start};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Stands for a dependency that knows nothing of this crate.
mod venue {
    pub(crate) fn connect(host: &str) {
        log::info!(target: "venue", host, port = 5001_u16; "connected");
        log::trace!(target: "venue", "a detail that nobody asked for: {}", 1);
    }
}

/// Stands for the part that is written with `tracing`.
#[tracing::instrument(target = "oms")]
fn submit(order_id: u64, px: f64) {
    tracing::info!(target: "oms", "submitted");
    match_order(order_id, px);
    tracing::warn!(target: "oms", open = 1_u32, "not filled completely");
}

/// The hot path.
fn match_order(order_id: u64, px: f64) {
    tachograph::info!(target: "matching", order_id, px; "filled at {px:.2}");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let all = View::new("all");
    let tacho = start(Config::new("logs").components(false).view(all).levels_from_env("RUST_LOG"))?;
    facade::log::install()?;
    tracing_subscriber::registry().with(facade::tracing::layer()).try_init()?;
    tachograph::log_panics(Duration::from_secs(1));

    venue::connect("venue.example");
    submit(42, 105_433.6);
    let died = std::thread::spawn(|| panic!("order 43 is unknown")).join();
    assert!(died.is_err());

    tacho.flush(Duration::from_secs(1))?;
    print!("{}", std::fs::read_to_string("logs/all.log")?);
    Ok(())
}
