//! `tacho ship`: the journal, on its way to a receiver that speaks OTLP. Every record is sent at least once: the cursor is
//! saved when its batch was acknowledged, so what a kill comes between is sent again, with the same `log.record.uid`.
//!
//! One batch is in memory at a time, and the next is read when it is through. A receiver that is slow or dead holds up the
//! shipper alone: loggers know nothing of it, and retention spares what the cursor has not passed, within its limits.

mod answer;
mod batch;
mod convert;
mod endpoint;
mod http;
mod json;
mod otlp;
mod refused;
mod shipper;
mod status;

use crate::TROUBLE;
use crate::args::{Args, Ship};
use http::Http;
use shipper::{End, Shipper};
use signal_hook::consts::{SIGINT, SIGTERM};
use status::Status;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tachograph::reader::cursor;

pub(crate) use json::Export;

pub(crate) fn run(args: &Args, ship: &Ship) -> io::Result<ExitCode> {
    if ship.forget {
        return forget(ship);
    }
    if ship.status {
        return show(ship);
    }
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let url = endpoint::url(ship, env)?;
    let http = Http::new(url.clone(), endpoint::headers(ship, env)?, ship.timeout);
    let receiver = endpoint::shown(&url);
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let ended: Vec<End> = std::thread::scope(|scope| {
        let ship_one = |dir| {
            let (http, stop, receiver) = (&http, &*stop, receiver.as_str());
            move || {
                let shipped = Shipper::new(dir, ship, http, receiver, args.quiet).and_then(|it| it.run(stop));
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
        let was = if cursor::forget(dir, &ship.name)? { "forgotten" } else { "there is none" };
        talk(&format!("{}: cursor {}: {was}", dir.display(), ship.name));
    }
    Ok(ExitCode::SUCCESS)
}

fn show(ship: &Ship) -> io::Result<ExitCode> {
    let mut all = Vec::new();
    for dir in &ship.dirs {
        all.push((dir, Status::load(dir, &ship.name)?));
    }
    let found = all.iter().any(|(_, status)| status.is_some());
    let mut out = io::stdout().lock();
    if ship.json {
        let shippers: Vec<_> = all
            .iter()
            .map(|(dir, status)| serde_json::json!({"dir": dir.to_string_lossy(), "status": status}))
            .collect();
        writeln!(out, "{}", serde_json::json!({"schema": 1, "name": ship.name, "shippers": shippers}))?;
    } else {
        all.iter().try_for_each(|(dir, status)| write_status(&mut out, dir, status.as_ref()))?;
    }
    Ok(if found { ExitCode::SUCCESS } else { ExitCode::from(crate::NOTHING) })
}

fn write_status(out: &mut impl io::Write, dir: &Path, status: Option<&Status>) -> io::Result<()> {
    let dir = crate::talk::shown(&dir.display().to_string());
    let Some(status) = status else { return writeln!(out, "{dir}: nothing was shipped by that name") };
    writeln!(out, "{dir} to {}:", crate::talk::shown(&status.receiver))?;
    writeln!(out, "  {} records acknowledged, {} requests made again", status.shipped, status.retries)?;
    let counts = [
        (status.rejected, "records rejected"),
        (status.refused, "records refused"),
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
