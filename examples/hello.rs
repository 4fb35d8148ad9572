//! The program that the README shows; a test compares the two.

#![allow(clippy::print_stdout, reason = "a program may print")]

use std::time::Duration;
use tachograph::{Config, component, critical, info, start, warn};

fn main() -> Result<(), tachograph::Error> {
    let tacho = start(Config::new("logs"))?; // a guard: keep it; dropping it closes the logger
    tachograph::prepare_thread(); // optional: the thread has its ring before its first call

    let (id, px) = (42_u64, 105_433.6_f64);
    info!("order {id} filled at {px:.2}");
    info!(target: "order_watcher", order_id = id, price = px; "order filled");
    let risk = component("risk_manager");
    warn!(logger: risk, order_id = id; "limit at {:.0} %", 93.5);
    critical!("feed lost");

    tacho.flush(Duration::from_secs(1))?; // all of the above can be read in the files
    println!("{}", tacho.health());
    Ok(())
}
