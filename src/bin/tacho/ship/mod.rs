//! `tacho ship`: the journal, on its way to a receiver that speaks OTLP, or to NATS JetStream. Every record is sent at least
//! once: the cursor is saved when its batch was acknowledged, so what a kill comes between is sent again, with the same
//! identity.
//!
//! The core (`shipper.rs`) knows a receiver by its [`Transport`](transport::Transport) alone; `http.rs` and `nats/` are two.
//!
//! One batch is in memory at a time, and the next is read when it is through. A receiver that is slow or dead holds up the
//! shipper alone: loggers know nothing of it, and retention spares what the cursor has not passed, within its limits.

mod answer;
mod batch;
mod convert;
mod endpoint;
mod http;
mod json;
#[cfg(feature = "nats")]
mod nats;
mod otlp;
mod receiver;
mod refused;
mod shipper;
mod status;
mod transport;

use crate::args::{Args, Ship};
use crate::{TROUBLE, human, invalid};
use receiver::Receiver;
use shipper::{End, Shipper};
use signal_hook::consts::{SIGINT, SIGTERM};
use status::Status;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tachograph::health::shippers::{self, Vitals};
use tachograph::reader::cursor;

pub(crate) use json::Export;

pub(crate) fn run(args: &Args, ship: &Ship) -> io::Result<ExitCode> {
    if ship.forget {
        return forget(ship);
    }
    if ship.status {
        return show(ship, args.quiet);
    }
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let receiver = Receiver::find(ship, env)?;
    let name = ship.name.as_deref().unwrap_or(receiver.default_name());
    let shown = receiver.shown();
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let ended: Vec<End> = std::thread::scope(|scope| {
        let ship_one = |dir| {
            let (receiver, stop, called) = (&receiver, &*stop, (name, shown.as_str()));
            move || {
                let ship = receiver.transport().and_then(|way| Shipper::new(dir, ship, args.quiet, called, way));
                let shipped = ship.and_then(|it| it.run(stop));
                shipped.unwrap_or_else(|error| {
                    talk(&format!("{}: not shipped: {error}", dir.display()));
                    End::Trouble
                })
            }
        };
        let threads: Vec<_> = ship.dirs.iter().map(|dir| scope.spawn(ship_one(dir))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(End::Trouble)).collect()
    });
    Ok(if ended.contains(&End::Trouble) { ExitCode::from(TROUBLE) } else { ExitCode::SUCCESS })
}

fn forget(ship: &Ship) -> io::Result<ExitCode> {
    for dir in &ship.dirs {
        let name = match (&ship.name, &cursor::names(dir)?[..]) {
            (Some(name), _) => name.clone(),
            (None, []) => {
                talk(&format!("{}: there is no cursor", dir.display()));
                continue;
            }
            (None, [only]) => only.clone(),
            (None, several) => {
                let names = several.join(", ");
                return Err(invalid(format!("{}: forget which cursor? --name: {names}", dir.display())));
            }
        };
        let was = if cursor::forget(dir, &name)? { "forgotten" } else { "there is none" };
        talk(&format!("{}: cursor {name}: {was}", dir.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Of the shipper that is named, or of all.
fn show(ship: &Ship, quiet: bool) -> io::Result<ExitCode> {
    let mut all = Vec::new();
    for dir in &ship.dirs {
        let names = ship.name.clone().map_or_else(|| status::names(dir), |name| Ok(vec![name]))?;
        let mut unreadable = Vec::new();
        // Without a cursor, as when it was forgotten, nothing waits.
        let looked = shippers::look(dir, status::now_unix_ns(), &mut unreadable).unwrap_or_default();
        unreadable.iter().for_each(|text| talk(&format!("{}: {text}", dir.display())));
        for name in names {
            let waits = looked.iter().find(|vitals| vitals.name == name).cloned();
            let status = status::load(dir, &name)?;
            all.extend(status.map(|status| (dir, name, status, waits)));
        }
    }
    let mut out = io::stdout().lock();
    if ship.json {
        let one = |(dir, name, status, waits): &(&PathBuf, String, Status, Option<Vitals>)| {
            let (waiting, lag_ns) = (waits.as_ref().map(|it| it.waiting), waits.as_ref().map(|it| it.lag_ns));
            let dir = dir.to_string_lossy();
            serde_json::json!({"dir": dir, "name": name, "status": status, "waiting": waiting, "lag_ns": lag_ns})
        };
        let shippers: Vec<_> = all.iter().map(one).collect();
        writeln!(out, "{}", serde_json::json!({"schema": 1, "shippers": shippers}))?;
    } else {
        for (dir, name, status, waits) in &all {
            write_status(&mut out, dir, name, status)?;
            if let Some(waits) = waits {
                let (bytes, segments) = (human::bytes(waits.waiting.bytes), waits.waiting.segments);
                writeln!(out, "  {bytes} in {segments} segments wait, {} behind", human::span(waits.lag_ns))?;
            }
        }
    }
    if all.is_empty() && quiet {
        return Ok(ExitCode::from(crate::NOTHING));
    }
    if all.is_empty() {
        let dirs = ship.dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ");
        talk(&format!("{dirs}: nothing was ever shipped{}", if ship.name.is_some() { " by that name" } else { "" }));
        return Ok(ExitCode::from(crate::NOTHING));
    }
    Ok(ExitCode::SUCCESS)
}

fn write_status(out: &mut impl io::Write, dir: &Path, name: &str, status: &Status) -> io::Result<()> {
    let dir = crate::talk::shown(&dir.display().to_string());
    writeln!(out, "{dir}: {} to {}:", crate::talk::shown(name), crate::talk::shown(&status.receiver))?;
    writeln!(out, "  {} records acknowledged, {} requests made again", status.shipped, status.retries)?;
    let counts = [
        (status.duplicates, "records had been stored before"),
        (status.rejected, "records rejected"),
        (status.refused, "records refused"),
        (status.refused_lost, "of them found no room in the file of refused ones"),
        (status.missing_segments, "segments missing"),
    ];
    for (count, what) in counts.iter().filter(|(count, _)| *count > 0) {
        writeln!(out, "  {count} {what}")?;
    }
    if status.acknowledged_unix_ns > 0 {
        let ago = (status::now_unix_ns() - status.acknowledged_unix_ns).max(0) / 1_000_000_000;
        let behind = (status.acknowledged_unix_ns - status.shipped_until_unix_ns).max(0) / 1_000_000;
        writeln!(out, "  last acknowledged {ago} s ago, a record that was then {behind} ms old")?;
    }
    match &status.trouble {
        Some(trouble) => writeln!(out, "  {}", crate::talk::shown(trouble)),
        None => Ok(()),
    }
}

fn talk(text: &str) {
    let _ = writeln!(io::stderr(), "tacho: {}", crate::talk::shown(text));
}
