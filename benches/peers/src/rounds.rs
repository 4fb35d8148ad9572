//! All loggers in turn, several times; what the children say becomes `peers.json`.

use crate::child::Order;
use crate::{loggers, machine, ticks};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RECORDS: u64 = 250_000;
const RECORDS_QUICK: u64 = 5_000;
/// What a child may take at the most.
const CHILD_MAX: Duration = Duration::from_secs(120);

pub struct Options {
    pub rounds: usize,
    pub quick: bool,
    /// Parts of names; all loggers, when there is none.
    pub only: Vec<String>,
    /// Other builds of this program.
    pub also: Vec<PathBuf>,
    pub out: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        let out = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/bench"));
        Self { rounds: 5, quick: false, only: Vec::new(), also: Vec::new(), out }
    }
}

pub fn run(options: &Options) {
    let rounds = if options.quick { 1 } else { options.rounds };
    let this = std::env::current_exe().unwrap();
    let mut peers: Vec<(PathBuf, String)> =
        loggers::names().iter().map(|name| (this.clone(), (*name).to_owned())).collect();
    for program in &options.also {
        let listed = Command::new(program)
            .arg("--list")
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let names = String::from_utf8(listed.stdout).unwrap();
        peers.extend(names.lines().map(|name| (program.clone(), name.to_owned())));
    }
    peers.retain(|(_, name)| options.only.is_empty() || options.only.iter().any(|part| name.contains(part)));
    let machine = machine::machine();
    let mut results: Vec<Value> = peers.iter().map(|(_, name)| json!({ "name": name, "rounds": [] })).collect();
    for round in 0..rounds {
        // Forwards and backwards, and each time from another one on.
        let mut order: Vec<usize> = (0..peers.len()).collect();
        order.rotate_left(round * peers.len() / rounds);
        if round % 2 == 1 {
            order.reverse();
        }
        for peer in order {
            let (program, name) = &peers[peer];
            eprintln!("round {} of {rounds}: {name}", round + 1);
            let result = one(program, name, options.quick);
            results[peer]["rounds"].as_array_mut().unwrap().push(result);
        }
    }
    let failed: Vec<&Value> = results.iter().filter(|result| result.to_string().contains("\"failed\"")).collect();
    failed.iter().for_each(|result| eprintln!("failed in a round: {}", result["name"]));
    let all = json!({ "machine": machine, "grain_ns": ticks::grain_ns(), "rounds": rounds, "peers": results });
    if options.quick {
        assert!(failed.is_empty(), "a logger failed");
        println!("peers: every logger ran, every line that is counted was there");
    } else {
        println!("{}", machine::save(&options.out, "peers", &all).display());
    }
}

/// What a logger did in a round: latency, one producer, two producers.
fn one(program: &PathBuf, name: &str, quick: bool) -> Value {
    let records = if quick { RECORDS_QUICK } else { RECORDS };
    let mut result = json!({ "latency": child(program, name, 0, records, quick) });
    let writes = !name.contains("TSC");
    for (key, producers) in [("one_producer", 1), ("two_producers", 2)].into_iter().filter(|_| writes) {
        result[key] = child(program, name, producers, records / producers, quick);
    }
    result
}

fn child(program: &PathBuf, name: &str, producers: u64, records: u64, quick: bool) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let order = Order { name: name.to_owned(), dir: dir.path().to_owned(), producers, records, quick };
    let mut command = Command::new(program);
    command.arg("--child").arg(order.json().to_string()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begin = Instant::now();
    // A child says less than a pipe holds, so it does not wait for us to read.
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > CHILD_MAX {
            child.kill().unwrap();
            child.wait().unwrap();
            return json!({ "failed": format!("not done after {CHILD_MAX:?}") });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    // Some loggers say something on stdout themselves; ours is the last line.
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or("");
    if output.status.success() {
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{name}: {error}: {last}"))
    } else {
        json!({ "failed": format!("{}", output.status) })
    }
}
