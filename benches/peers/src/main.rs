//! Tachograph beside other Rust loggers, in the same minutes on the same machine.
//!
//! One logger per child process, because most loggers are global; the order turns from round to round, because cores,
//! clocks and caches drift. Each child checks that the lines it logged are in its file, once each.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml [-- --rounds 5] [--test] [--only NAME] [--also PROGRAM]
//! ```
//!
//! `--also` names another build of this program, whose further loggers take part: `zerolog-rs` needs a nightly compiler.
//! The results go to `peers.json` in the folder that `--out` names, `target/bench` by default.

mod child;
mod logger;
mod loggers;
#[path = "../../common/machine.rs"]
#[allow(dead_code)]
mod machine;
mod rounds;
#[path = "../../common/ticks.rs"]
#[allow(dead_code)]
mod ticks;
#[path = "../../common/timing.rs"]
#[allow(dead_code)]
mod timing;

use std::path::PathBuf;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut options = rounds::Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument} needs a value"));
        match argument.as_str() {
            "--rounds" => options.rounds = value().parse().expect("--rounds: a number"),
            "--test" => options.quick = true,
            "--only" => options.only.push(value()),
            "--also" => options.also.push(PathBuf::from(value())),
            "--out" => options.out = PathBuf::from(value()),
            "--list" => return loggers::names().iter().for_each(|name| println!("{name}")),
            "--child" => return child::main(&value()),
            other => panic!("{other}: unknown; see the head of src/main.rs"),
        }
    }
    rounds::run(&options);
}
