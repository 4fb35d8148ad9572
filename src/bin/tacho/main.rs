//! `tacho`: reads what Tachograph recorded, and records what others print. Data goes to standard output, talk to
//! standard error.

mod archive;
mod args;
mod cat;
mod cleanup;
mod collect;
mod condition;
mod config;
mod csv;
mod export;
mod grep;
mod health;
mod human;
mod ingest;
mod journal;
mod level;
mod line;
mod manual;
mod matcher;
mod monitor;
mod pipe;
mod recover;
mod rotate;
mod run;
mod select;
#[cfg(feature = "ship")]
mod ship;
mod stat;
mod supervise;
mod table;
mod tail;
mod talk;
mod trace;
mod verify;
mod when;

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

/// Something was wrong, and it was said on standard error.
const TROUBLE: u8 = 2;
/// Nothing was found.
const NOTHING: u8 = 1;

/// What the user wrote cannot be.
fn invalid(why: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}

fn main() -> ExitCode {
    let args = <args::Args as clap::Parser>::parse();
    let result = match &args.command {
        args::Command::Cat(cat) => cat::run(&args, cat),
        args::Command::Tail(tail) => tail::run(&args, tail),
        args::Command::Grep(grep) => grep::run(&args, grep),
        args::Command::Trace(trace) => trace::run(&args, trace),
        args::Command::Stat(stat) => stat::run(&args, stat),
        args::Command::Export(export) => export::run(&args, export),
        args::Command::Completions { shell } => manual::completions(*shell),
        args::Command::Man { page, to } => manual::pages(page.as_deref(), to.as_deref()),
        args::Command::Archive(archive) => archive::run(&args, archive),
        args::Command::Cleanup(cleanup) => cleanup::run(&args, cleanup),
        args::Command::Collect(collect) => collect::run(&args, collect),
        args::Command::Config(command) => config::run(command),
        args::Command::Health(health) => health::run(&args, health),
        args::Command::Level(level) => level::run(&args, level),
        args::Command::Rotate(rotate) => rotate::run(&args, rotate),
        args::Command::Monitor(monitor) => monitor::run(&args, monitor),
        args::Command::Recover(recover) => recover::run(&args, recover),
        #[cfg(feature = "ship")]
        args::Command::Ship(ship) => ship::run(&args, ship),
        args::Command::Run(run) => run::run(&args, run),
        args::Command::Pipe(ingest) => pipe::run(&args, ingest),
        args::Command::Supervise(wanted) => supervise::run(&args, wanted),
        args::Command::Verify(verify) => verify::run(&args, verify),
    };
    match result {
        Ok(code) => code,
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "tacho: {}", talk::shown(&error.to_string()));
            ExitCode::from(TROUBLE)
        }
    }
}
