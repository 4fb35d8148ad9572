//! One logger in one process: latency, or throughput until all lines are in the file; and whether they are.

use crate::logger::Logger;
use crate::timing::{Plan, measure};
use crate::{loggers, machine};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// 32 bytes.
const TEXT: &str = "ORDER-ACCEPTED-XNAS-AAPL-0012345";

/// 20 calls in 50 µs are 400,000 a second: what all but the slowest back ends keep up with, else drops would be measured.
const PAUSE_NS: f64 = 50_000.0;
const WHOLE: Plan = Plan { bursts: 5_000, pause_ns: PAUSE_NS, singles: [150, 30, 6], cold: [100, 20, 5] };
const QUICK: Plan = Plan { bursts: 50, pause_ns: PAUSE_NS, singles: [2, 1, 1], cold: [1, 1, 1] };
const WITHOUT_SINGLES: [usize; 3] = [0; 3];

/// What a child is asked for; it comes as JSON.
pub struct Order {
    pub name: String,
    pub dir: PathBuf,
    /// 0: latency.
    pub producers: u64,
    /// Records of each producer.
    pub records: u64,
    pub quick: bool,
}

impl Order {
    pub fn json(&self) -> Value {
        json!({
            "name": self.name, "dir": self.dir, "producers": self.producers, "records": self.records, "quick": self.quick
        })
    }

    fn parse(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap();
        let number = |key: &str| value[key].as_u64().unwrap();
        Self {
            name: value["name"].as_str().unwrap().to_owned(),
            dir: value["dir"].as_str().unwrap().into(),
            producers: number("producers"),
            records: number("records"),
            quick: value["quick"].as_bool().unwrap(),
        }
    }
}

pub fn main(order: &str) {
    let order = Order::parse(order);
    let result = loggers::named(&order.name).1(&order);
    println!("{result}");
}

pub fn run<L: Logger>(order: &Order) -> Value {
    // The logger's threads inherit the second core; the producer then goes to the first.
    let (first, second) = machine::cores();
    machine::pin(second.unwrap_or(first));
    let logger = L::start(&order.dir);
    machine::pin(first);
    logger.prepare_thread();
    if order.producers == 0 { latency(order, logger) } else { throughput(order, logger) }
}

fn latency<L: Logger>(order: &Order, logger: L) -> Value {
    let plan = if order.quick { QUICK } else { WHOLE };
    let mut i = 0;
    // The first calls of all: thread-locals, call sites, pages.
    measure(Plan { bursts: 200, singles: WITHOUT_SINGLES, cold: WITHOUT_SINGLES, ..plan }, &mut i, &mut |i| {
        logger.numbers(i)
    });
    measure(Plan { bursts: 200, singles: WITHOUT_SINGLES, cold: WITHOUT_SINGLES, ..plan }, &mut i, &mut |i| {
        logger.text(i, TEXT)
    });
    let text_plan = Plan { singles: WITHOUT_SINGLES, cold: WITHOUT_SINGLES, ..plan };
    let text = measure(text_plan, &mut i, &mut |i| logger.text(i, TEXT));
    let numbers = measure(plan, &mut i, &mut |i| logger.numbers(i));
    drop(logger.finish());
    let found = if L::WRITES { check(&L::file(&order.dir), i, 1).0 } else { i };
    json!({ "numbers": numbers.json(), "text": text.json(), "records": i, "found": found })
}

fn throughput<L: Logger>(order: &Order, logger: L) -> Value {
    let (cpu, begin) = (machine::cpu_ns(), Instant::now());
    std::thread::scope(|scope| {
        for _ in 1..order.producers {
            scope.spawn(|| {
                // Wherever the scheduler puts it: what is left to it are the back end's core and the other producer's.
                machine::unpin();
                logger.prepare_thread();
                (0..order.records).for_each(|i| logger.numbers(i));
            });
        }
        (0..order.records).for_each(|i| logger.numbers(i));
    });
    let rest = logger.finish();
    let seconds = begin.elapsed().as_secs_f64();
    let cpu_ns = machine::cpu_ns() - cpu;
    drop(rest);
    let records = order.records * order.producers;
    let (found, bytes) = check(&L::file(&order.dir), order.records, order.producers);
    json!({
        "producers": order.producers,
        "records": records,
        "found": found,
        "seconds": seconds,
        "cpu_ns_per_record": cpu_ns as f64 / records as f64,
        "bytes_per_record": bytes as f64 / found.max(1) as f64,
        "memory_max_kib": machine::memory_kib("VmHWM"),
    })
}

/// Counts the lines that are there as often as they were logged; says that and the bytes of the file.
///
/// # Panics
/// When a line is there more often, or was not logged.
fn check(file: &Path, records: u64, producers: u64) -> (u64, u64) {
    let mut seen = vec![0_u8; records as usize];
    let mut lines =
        BufReader::new(std::fs::File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())));
    let (mut line, mut bytes) = (String::new(), 0);
    while lines.read_line(&mut line).unwrap() > 0 {
        bytes += line.len() as u64;
        if let Some((_, rest)) = line.split_once("Logging iteration: ") {
            let (i, rest) = rest.split_once(',').unwrap();
            let i: u64 = i.parse().unwrap();
            assert!(rest.starts_with(&format!(" int: {}, double: {}", i ^ 1, i as f64)), "{line}");
            seen[i as usize] += 1;
        }
        line.clear();
    }
    assert!(seen.iter().all(|count| u64::from(*count) <= producers), "{}: a line stands there twice", file.display());
    (seen.iter().map(|count| u64::from(*count)).sum(), bytes)
}
