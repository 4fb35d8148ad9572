//! Many threads, short-lived threads, many components, large messages, many call sites: what they cost, and what memory they take.
//!
//! `cargo bench --bench scale` leaves `scale.json` under `target/bench/`; with `-- --sites` it also builds a program with
//! 10,000 call sites, which takes minutes. Each case runs in a process of its own, and checks that its records are there.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark"
)]

mod cases;
#[path = "../common/mod.rs"]
mod common;
mod sites;

use common::{folder, machine, quick};
use serde_json::{Value, json};
use std::process::Command;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--case") {
        return println!("{}", cases::run(&arguments[at + 1]));
    }
    let machine = machine::machine();
    let mut results: Vec<Value> = cases::NAMES.iter().map(|name| child(name)).collect();
    if arguments.iter().any(|argument| argument == "--sites") {
        results.extend(sites::measure());
    }
    if quick() {
        println!("scale: every case ran, every record was there");
    } else {
        println!("{}", machine::save(&folder(), "scale", &json!({ "machine": machine, "cases": results })).display());
    }
}

fn child(name: &str) -> Value {
    eprintln!("scale: {name}");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--case", name]);
    if quick() {
        command.arg("--test");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
