//! A trading platform: eight services, each in a thread with a log of its own, under a supervisor.
//!
//! ```text
//!                 ┌──▶ recovery_service     ┌──▶ execution_service
//!  AAPL messages ─┼──▶ order_watcher        ├──▶ command_service       each: its inbox, its thread, its file
//!  (main thread)  ├──▶ risk_manager (!)     ├──▶ trading_bot
//!                 └──▶ execution_guard      └──▶ dashboard
//! ```
//!
//! One of them crashes on purpose and is restarted, while the others go on: `cargo run --release --example trading_platform`.
//! With `--only NAME` one service is a process by itself, for `tacho supervise` (`services.toml` beside this file).
//!
//! * [`options`]: the command line.
//! * [`market`]: the recorded messages.
//! * [`desk`]: what all services have in common.
//! * [`services`]: the eight.

mod desk;
mod market;
mod options;
mod services;

use desk::Desk;
use options::Options;
use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use tachograph::supervisor::{Phase, Restart, Status, Supervisor};
use tachograph::{Config, LevelFilter};

/// The command line was wrong.
const USAGE: u8 = 2;
/// How long the end may wait for the files, and for the services.
const END_MAX: Duration = Duration::from_secs(60);
/// A service that shows no life for so long hangs.
const HEARTBEAT_MAX: Duration = Duration::from_secs(10);
/// The order that is followed through all services at the end.
const ORDER_ID: u64 = 16_113_594;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args_os().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            let _ = io::stdout().write_all(options::HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            let _ = writeln!(io::stderr(), "trading_platform: {message}; --help tells what there is");
            return ExitCode::from(USAGE);
        }
    };
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "trading_platform: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let messages = market::messages()?;
    let tacho = tachograph::start(config(options))?;
    let (platform, inboxes) = platform(options)?;
    let running = platform.start()?;
    // Under systemd: ready, and from now on its watchdog is fed by the writer's heartbeat.
    let systemd = tachograph::systemd::ready(&tacho)?;
    systemd.status(&format!("{} services run", inboxes.len()));

    for message in &messages {
        // One that has failed for good takes none any more; the others do.
        for inbox in &inboxes {
            let _ = inbox.send(*message);
        }
        std::thread::sleep(options.pace);
    }
    // Without senders the services end when their inboxes are empty.
    drop(inboxes);
    running.wait(END_MAX);
    drop(systemd);
    let ended = running.stop();
    tacho.flush(END_MAX)?;
    report(options, &ended)?;
    tacho.close(END_MAX)?;
    let all_well = ended.iter().all(|status| status.phase == Phase::Finished);
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Little shared memory: a service that is a process by itself has it for itself.
fn config(options: &Options) -> Config {
    let rings = if options.only.is_some() { 3 } else { 10 };
    let small = Config::new(&options.dir).level(LevelFilter::Debug).rings_spare(rings);
    small.ring_bytes(256_usize << 10).segments(4_usize).segment_bytes(2_usize << 20)
}

/// The services, and the other end of their inboxes.
fn platform(options: &Options) -> Result<(Supervisor, Vec<Sender<market::Message>>), String> {
    let is_wanted = |name: &str| options.only.as_ref().is_none_or(|only| only == name);
    let crash = options.crash.as_ref().filter(|_| options.only.is_none());
    let (mut platform, mut inboxes) = (Supervisor::new(), Vec::new());
    for work in services::all().into_iter().filter(|work| is_wanted(work.name())) {
        let (sender, inbox) = channel();
        let crash_at = crash.filter(|(name, _)| name == work.name()).map(|(_, number)| *number);
        platform
            .add(Desk { work, inbox, at: None, crash_at })
            .restart(Restart::new().backoff(options.backoff, options.backoff).jitter_percent(0))
            .signals_ready(END_MAX)
            .heartbeat(HEARTBEAT_MAX);
        inboxes.push(sender);
    }
    if inboxes.is_empty() {
        return Err(format!("there is no service {}", options.only.as_deref().unwrap_or("")));
    }
    Ok((platform, inboxes))
}

fn report(options: &Options, ended: &[Status]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for status in ended {
        let reason = if status.reason.is_empty() { String::new() } else { format!("  ({})", status.reason) };
        writeln!(out, "{:<17} {}, {} starts{reason}", status.name, status.phase.as_str(), status.starts)?;
    }
    writeln!(out, "\nOne order through all services:\n  tacho -D {} trace order_id={ORDER_ID}", options.dir.display())
}
