//! `tacho health`: how the programs are that log to a directory.

use crate::args::{Args, Health};
use crate::talk::shown;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tachograph::health::check::{Checked, Limits, State, check};
use tachograph::health::look::look;
use tachograph::health::metrics;
use tachograph::health::report::{self, Report};
use tachograph::health::vitals::{Life, Vitals};

/// Nothing was found, or nothing could be read.
const NOTHING: u8 = 3;
/// Targets, rings and errors that the text names.
const NAMED_MAX: usize = 5;

pub(crate) fn run(args: &Args, health: &Health) -> io::Result<ExitCode> {
    // What was found when the programs looked last: losses are those since.
    let stored = stored(&args.dir);
    let mut before = stored.as_ref().ok().cloned().flatten();
    loop {
        let now = match now(&args.dir, before.as_ref()) {
            Ok(report) if report.processes.is_empty() && report.unreadable.is_empty() => {
                from_file(args, &stored, "no process has live memory here")
            }
            Ok(report) => Some(report),
            Err(error) => from_file(args, &stored, &error.to_string()),
        };
        let Some(report) = now else { return Ok(ExitCode::from(NOTHING)) };
        for text in report.unreadable.iter().filter(|_| !args.quiet) {
            writeln!(io::stderr(), "tacho: {}", shown(text))?;
        }
        if !args.quiet {
            show(health, &report)?;
        }
        let Some(seconds) = health.watch else { return Ok(ExitCode::from(code(&report))) };
        before = Some(report);
        std::thread::sleep(Duration::from_secs(seconds.into()));
    }
}

fn code(report: &Report) -> u8 {
    match report.state {
        State::Critical => 2,
        State::Warning => 1,
        State::Ok if report.processes.is_empty() => NOTHING,
        State::Ok => u8::from(!report.unreadable.is_empty()),
    }
}

fn unix_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// How it is now, judged by how it was.
fn now(dir: &Path, before: Option<&Report>) -> io::Result<Report> {
    let found = look(dir)?;
    let judge = |vitals: Vitals| {
        let before = before.and_then(|before| before.process(&vitals.process));
        check(before, vitals, &Limits::default())
    };
    let processes = found.processes.into_iter().map(judge).collect();
    Ok(Report::new(&dir.display().to_string(), unix_ns(), processes, found.unreadable))
}

/// What the programs stored last; `None` where they stored nothing.
fn stored(dir: &Path) -> io::Result<Option<Report>> {
    let path = dir.join(report::FILE);
    let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()));
    let file = match std::fs::File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| wrong(error.to_string()))?,
    };
    if !file.metadata()?.is_file() {
        return Err(wrong("it is no file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(report::BYTES_MAX as u64).read_to_end(&mut bytes)?;
    Report::from_json(&bytes).map(Some).map_err(wrong)
}

/// What is stored, where nothing is live; says so, and when that was.
fn from_file(args: &Args, stored: &io::Result<Option<Report>>, why: &str) -> Option<Report> {
    let dir = args.dir.display();
    let (text, report) = match stored {
        Ok(Some(report)) => {
            let ago = unix_ns().saturating_sub(report.unix_ns) / 1_000_000_000;
            (format!("{dir}: {why}; this is {} of {}, {ago} s ago", report::FILE, report.time), Some(report.clone()))
        }
        Ok(None) => {
            let advice = "give the directory that a program logs to with -D DIR, or set TACHO_DIR";
            (format!("{dir}: {why}, and there is no {}; {advice}", report::FILE), None)
        }
        Err(error) => (format!("{dir}: {why}, and {error}"), None),
    };
    if !args.quiet {
        let _ = writeln!(io::stderr(), "tacho: {}", shown(&text));
    }
    report
}

fn show(health: &Health, report: &Report) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if health.json {
        return out.write_all(&report.to_json());
    }
    if health.prom {
        return out.write_all(metrics::text(report).as_bytes());
    }
    if health.watch.is_some() && io::stdout().is_terminal() {
        out.write_all(b"\x1b[H\x1b[2J")?;
    }
    out.write_all(shown(&text(report)).as_bytes())?;
    out.flush()
}

fn text(report: &Report) -> String {
    let mut out = format!("{}: {}, {}\n", report.dir, report.state.as_str(), report.time);
    // Writing to a string does not fail.
    for checked in &report.processes {
        let _ = process(&mut out, checked);
    }
    out
}

fn process(out: &mut String, checked: &Checked) -> std::fmt::Result {
    let vitals = &checked.vitals;
    let life = match vitals.life {
        Life::Alive => "alive",
        Life::Dead => "dead; what it left waits for recovery",
        Life::Closed => "closed; a collector takes what it left",
    };
    writeln!(out, "{}: {}, {life}", vitals.process, checked.state.as_str())?;
    for finding in &checked.findings {
        let state = if finding.state == State::Ok { "hint" } else { finding.state.as_str() };
        writeln!(out, "  {state:<9} {}: {}", finding.id, finding.reason)?;
        writeln!(out, "            {}", finding.advice)?;
    }
    let sampled: u64 = vitals.sampled_out.iter().sum();
    let (written, dropped, late) = (vitals.written, vitals.dropped.total(), vitals.late);
    writeln!(out, "  records   {written} written, {dropped} dropped, {sampled} sampled out, {late} late")?;
    if dropped > 0 {
        let causes = vitals.dropped.by_cause().into_iter().filter(|(_, count)| *count > 0);
        let causes: Vec<String> = causes.map(|(cause, count)| format!("{count} {cause}")).collect();
        writeln!(out, "  dropped   {}", causes.join(", "))?;
    }
    let named = |counts: &[tachograph::health::vitals::Count]| {
        let named = counts.iter().take(NAMED_MAX).map(|count| format!("{} {}", count.name, count.records));
        let more = counts.len().saturating_sub(NAMED_MAX);
        named.chain((more > 0).then(|| format!("and {more} more"))).collect::<Vec<_>>().join(", ")
    };
    if !vitals.levels.is_empty() {
        writeln!(out, "  levels    {}", named(&vitals.levels))?;
        writeln!(out, "  targets   {}", named(&vitals.targets))?;
    }
    for ring in vitals.rings.iter().take(NAMED_MAX) {
        let (fill, high, size) = (ring.fill_bytes, ring.high_water_bytes, ring.size_bytes);
        writeln!(
            out,
            "  ring {:<4} {fill} of {size} bytes, at most {high} so far, thread {:?}",
            ring.number, ring.thread
        )?;
    }
    for service in &vitals.services {
        let (name, phase, (restarts, max)) = (&service.name, service.phase.as_str(), service.restarts);
        let seconds = vitals.taken_unix_ns.saturating_sub(service.since_unix_ns).max(0) / 1_000_000_000;
        write!(out, "  service   {name}: {phase} for {seconds} s, {} starts, {restarts} of {max} restarts", service.starts)?;
        if let Some(beat) = service.beat_unix_ns {
            write!(out, ", heartbeat {} ms ago", vitals.taken_unix_ns.saturating_sub(beat).max(0) / 1_000_000)?;
        }
        let ended = if service.reason.is_empty() { String::new() } else { format!("; last error: {}", service.reason) };
        writeln!(out, "{ended}")?;
    }
    let lag = &vitals.writer_lag;
    let time = |ns: u64| format!("{:?}", Duration::from_nanos(ns));
    writeln!(
        out,
        "  writer    {}; waits: median {}, p99 {}, longest {}",
        vitals.core.map_or_else(|| "not pinned".to_owned(), |core| format!("pinned to core {core}")),
        time(lag.p50_ns),
        time(lag.p99_ns),
        time(lag.max_ns)
    )?;
    writeln!(
        out,
        "  views     {} behind, {} lines{}",
        time(vitals.view_lag_ns),
        vitals.lines,
        if vitals.renders { ", rendered here" } else { "" }
    )?;
    let (free, all) = (vitals.segments_free, vitals.segments);
    writeln!(
        out,
        "  journal   {} bytes, {} segments finished, {free} of {all} live ones free",
        vitals.journal_bytes, vitals.rotations
    )?;
    let disk = &vitals.disk;
    if disk.measured_unix_ns != 0 {
        write!(out, "  disk      {} bytes used, {} of {} free", disk.used_bytes, disk.free_bytes, disk.total_bytes)?;
        if let Some(cap) = disk.cap_bytes {
            write!(out, ", {} left below the cap of {cap}", disk.cap_free_bytes)?;
        }
        if let Some(seconds) = disk.full_in_s {
            write!(out, ", full in {seconds} s")?;
        }
        writeln!(out)?;
    }
    for met in vitals.errors.iter().take(NAMED_MAX) {
        writeln!(out, "  error     {} times: {}", met.count, met.text)?;
    }
    let clock = &vitals.clock;
    let shared = if clock.shared { "shared" } else { "not shared" };
    writeln!(
        out,
        "  clock     {}, {shared}, set {} times, last correction {:+} ns",
        clock.stamp, clock.steps, clock.correction_ns
    )?;
    let survives = if vitals.survives_kill { "yes" } else { "no" };
    writeln!(out, "  survives kill -9: {survives}; library {}", vitals.version)?;
    if !vitals.remarks.is_empty() {
        writeln!(out, "  remark    {}", vitals.remarks)?;
    }
    Ok(())
}
