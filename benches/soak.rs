//! A steady 200,000 records a second, with files that are full about every second: nothing may be dropped, and the histogram of
//! the whole run is kept.
//!
//! ```text
//! cargo bench --bench soak -- --seconds 600
//! ```
//!
//! Without a length it runs for 10 s. Leaves `soak.json` under `target/bench/`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

mod common;

use common::machine::{self, cores, cpu_ns, memory_kib, pin, thread_cpu_ns, unpin};
use common::ticks::{now, ns_per_tick};
use common::timing::{BURST, add, histogram, quantiles};
use common::{config, folder, quick};
use serde_json::json;
use std::time::{Duration, Instant};
use tachograph::{prepare_thread, start};

const RATE: u64 = 200_000;
/// At 48 bytes a record in the journal and about 115 in the view, both are full about once a second.
const SEGMENT_BYTES: usize = 8 << 20;
const VIEW_BYTES_MAX: u64 = 22 << 20;
const CLOSE_MAX: Duration = Duration::from_secs(120);

fn main() {
    let seconds = seconds();
    let dir = tempfile::tempdir().unwrap();
    unpin();
    let config = config(dir.path()).segment_bytes(SEGMENT_BYTES).view_bytes_max(VIEW_BYTES_MAX);
    // What an operator would set: backups and archives are compressed, and bounded.
    let tacho = start(config.archive_compress(true).archive_bytes_max(1_u64 << 28)).unwrap();
    pin(cores().0);
    prepare_thread();

    let machine = machine::machine();
    let bursts = seconds * RATE / BURST as u64;
    let ticks_per_burst = 1e9 / ns_per_tick() * BURST as f64 / RATE as f64;
    let (mut all, mut behind_max) = (histogram(), 0_u64);
    let (cpu, begin, first) = (cpu_ns() - thread_cpu_ns(), Instant::now(), now());
    for burst in 0..bursts {
        let due = first + (burst as f64 * ticks_per_burst) as u64;
        while now() < due {
            std::hint::spin_loop();
        }
        behind_max = behind_max.max(now().saturating_sub(due));
        for i in burst * BURST as u64..(burst + 1) * BURST as u64 {
            let before = now();
            numbers!(i);
            add(&mut all, now().wrapping_sub(before));
        }
    }
    let took = begin.elapsed();
    // The producer spins between bursts, which is no work of the logger.
    let cpu_behind = cpu_ns() - thread_cpu_ns() - cpu;
    tacho.flush(CLOSE_MAX).unwrap();
    let health = tacho.health();
    tacho.close(CLOSE_MAX).unwrap();

    let records = bursts * BURST as u64;
    assert_eq!((health.called(), health.written, health.dropped), (records, records, 0), "{health}");
    assert!(health.lines >= records, "every record has its line: {health}");
    let result = json!({
        "machine": machine, "seconds": seconds, "took_seconds": took.as_secs_f64(), "records": records, "rate": RATE,
        "dropped": health.dropped, "late": health.late, "rotations": health.rotations, "starved": health.starved,
        "call_ns": quantiles(&all, 1.0), "behind_max_us": behind_max as f64 * ns_per_tick() / 1000.0,
        "cpu_ns_per_record": cpu_behind as f64 / records as f64, "memory_max_kib": memory_kib("VmHWM"),
    });
    println!("soak: {records} records in {took:.1?}, {} rotations, none dropped", health.rotations);
    if !quick() {
        println!("{}", machine::save(&folder(), "soak", &result).display());
    }
}

fn seconds() -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seconds").skip(1);
    let wanted = arguments.next().map(|seconds| seconds.parse().unwrap());
    wanted.unwrap_or(if quick() { 1 } else { 10 })
}
