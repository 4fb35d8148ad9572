//! `tacho health`: how the programs are that log to a directory.

use crate::args::{Args, Health};
use crate::human;
use crate::talk::shown;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tachograph::health::check::{Checked, Finding, Limits, State, check};
use tachograph::health::look::look;
use tachograph::health::metrics;
use tachograph::health::report::{self, Report};
use tachograph::health::shippers::{self, CheckedShipper};
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
        let mut past = true;
        let now = match now(&args.dir, before.as_ref()) {
            Ok(report) if report.processes.is_empty() && report.unreadable.is_empty() => {
                from_file(args, &stored, "no process has live memory here")
            }
            Ok(report) => {
                past = false;
                Some(report)
            }
            Err(error) => from_file(args, &stored, &error.to_string()),
        };
        let Some(report) = now else { return Ok(ExitCode::from(NOTHING)) };
        for text in report.unreadable.iter().filter(|_| !args.quiet) {
            writeln!(io::stderr(), "tacho: {}", shown(text))?;
        }
        if !args.quiet {
            show(health, &report, past)?;
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

pub(crate) fn unix_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// How it is now, judged by how it was.
pub(crate) fn now(dir: &Path, before: Option<&Report>) -> io::Result<Report> {
    let found = look(dir)?;
    let judge = |vitals: Vitals| {
        let before = before.and_then(|before| before.process(&vitals.process));
        check(before, vitals, &Limits::default())
    };
    let processes = found.processes.into_iter().map(judge).collect();
    let mut unreadable = found.unreadable;
    let judge = |vitals: shippers::Vitals| {
        let before = before.and_then(|before| before.shipper(&vitals.name));
        shippers::check(before, vitals, &Limits::default())
    };
    let shippers = shippers::look(dir, unix_ns(), &mut unreadable)?.into_iter().map(judge).collect();
    Ok(Report::new(&dir.display().to_string(), unix_ns(), processes, unreadable).with_shippers(shippers))
}

/// What the programs stored last; `None` where they stored nothing.
pub(crate) fn stored(dir: &Path) -> io::Result<Option<Report>> {
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

fn show(health: &Health, report: &Report, past: bool) -> io::Result<()> {
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
    out.write_all(shown(&text(report, past)).as_bytes())?;
    out.flush()
}

/// A report as text; one of the `past` says nothing of how the processes are now.
fn text(report: &Report, past: bool) -> String {
    let mut out = format!("{}: {}, {}\n", report.dir, report.state.as_str(), report.time);
    let mut all: Vec<&Checked> = report.processes.iter().collect();
    // The worst first, else as they started.
    all.sort_by_key(|checked| std::cmp::Reverse(checked.state));
    for checked in all {
        // Writing to a string does not fail.
        let _ = process(&mut out, checked, past);
    }
    for checked in &report.shippers {
        let _ = shipper(&mut out, checked);
    }
    out
}

fn shipper(out: &mut String, checked: &CheckedShipper) -> std::fmt::Result {
    let (vitals, status) = (&checked.vitals, &checked.vitals.status);
    let receiver = if status.receiver.is_empty() { "nobody yet" } else { &status.receiver };
    writeln!(out, "{} to {receiver}: {}", vitals.label(), checked.state.as_str())?;
    findings(out, &checked.findings)?;
    let (bytes, segments) = (human::bytes(vitals.waiting.bytes), vitals.waiting.segments);
    write!(out, "  waiting   {bytes} in {segments} segments, {} behind", human::span(vitals.lag_ns))?;
    match vitals.spared_bytes {
        Some(spared) => writeln!(out, ", of {} that are kept for it", human::bytes(spared))?,
        None => writeln!(out)?,
    }
    writeln!(
        out,
        "  shipped   {} records, {} rejected, {} refused, {} requests made again, {} segments lost",
        status.shipped,
        status.rejected,
        status.refused,
        status.retries,
        vitals.lost_segments()
    )
}

fn findings(out: &mut String, findings: &[Finding]) -> std::fmt::Result {
    for finding in findings {
        let state = if finding.state == State::Ok { "hint" } else { finding.state.as_str() };
        writeln!(out, "  {state:<9} {}: {}", finding.id, finding.reason)?;
        writeln!(out, "            {}", finding.advice)?;
    }
    Ok(())
}

fn process(out: &mut String, checked: &Checked, past: bool) -> std::fmt::Result {
    let vitals = &checked.vitals;
    let life = match vitals.life {
        Life::Alive if past => "was alive then",
        Life::Alive => "alive",
        Life::Dead => "dead; what it left waits for recovery",
        Life::Closed => "closed; a collector takes what it left",
    };
    writeln!(out, "{}: {}, {life}", vitals.process, checked.state.as_str())?;
    findings(out, &checked.findings)?;
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
        let [fill, high, size] = [ring.fill_bytes, ring.high_water_bytes, ring.size_bytes].map(human::bytes);
        let share = ring.high_water_bytes.saturating_mul(100).checked_div(ring.size_bytes).unwrap_or(0);
        writeln!(
            out,
            "  ring {:<4} {fill} waiting, high water {high} of {size} ({share} %), thread {:?} ({})",
            ring.number, ring.thread, ring.tid
        )?;
    }
    if let Some(more) = vitals.rings.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        writeln!(out, "            and {more} rings that are less full")?;
    }
    for service in &vitals.services {
        let (name, phase, (restarts, max)) = (&service.name, service.phase.as_str(), service.restarts);
        let seconds = vitals.taken_unix_ns.saturating_sub(service.since_unix_ns).max(0) / 1_000_000_000;
        write!(
            out,
            "  service   {name}: {phase} for {seconds} s, {} starts, {restarts} of {max} restarts",
            service.starts
        )?;
        if let Some(beat) = service.beat_unix_ns {
            write!(out, ", heartbeat {} ms ago", vitals.taken_unix_ns.saturating_sub(beat).max(0) / 1_000_000)?;
        }
        let ended = if service.reason.is_empty() { String::new() } else { format!("; last error: {}", service.reason) };
        writeln!(out, "{ended}")?;
    }
    let lag = &vitals.writer_lag;
    let time = human::span;
    writeln!(
        out,
        "  writer    {}; waits: median {}, p99 {}, p99.9 {}, longest {}",
        pinning(vitals),
        time(lag.p50_ns),
        time(lag.p99_ns),
        time(lag.p999_ns),
        time(lag.max_ns)
    )?;
    writeln!(
        out,
        "  views     {} behind, {} records wait, {} lines{}",
        time(vitals.view_lag_ns),
        vitals.view_lag_records,
        vitals.lines,
        if vitals.renders { ", rendered here" } else { "" }
    )?;
    let (free, all) = (vitals.segments_free, vitals.segments);
    writeln!(
        out,
        "  journal   {}, {} segments finished, {} files compressed, {free} of {all} live segments free",
        human::bytes(vitals.journal_bytes),
        vitals.rotations,
        vitals.compressions
    )?;
    let disk = &vitals.disk;
    if disk.measured_unix_ns != 0 {
        let [used, left, total] = [disk.used_bytes, disk.free_bytes, disk.total_bytes].map(human::bytes);
        write!(out, "  disk      {used} used, {left} of {total} free")?;
        if let Some(cap) = disk.cap_bytes {
            write!(out, ", {} left below the cap of {}", human::bytes(disk.cap_free_bytes), human::bytes(cap))?;
        }
        match disk.full_in_s {
            Some(seconds) => write!(out, ", full in {}", human::seconds(seconds))?,
            None => write!(out, ", not filling")?,
        }
        let ago =
            u64::try_from(vitals.taken_unix_ns.saturating_sub(disk.measured_unix_ns) / 1_000_000_000).unwrap_or(0);
        writeln!(out, " ({} before)", human::seconds(ago))?;
    }
    if disk.synced_unix_ns != 0 {
        let ago = u64::try_from(vitals.taken_unix_ns.saturating_sub(disk.synced_unix_ns)).unwrap_or(0);
        writeln!(out, "  synced    {} before", time(ago))?;
    }
    if vitals.crashed > 0 {
        writeln!(
            out,
            "  recovered {} killed processes, with {} records from their rings",
            vitals.crashed, vitals.recovered
        )?;
    }
    for met in vitals.errors.iter().take(NAMED_MAX) {
        let at = |unix_ns: i64| {
            let time = jiff::Timestamp::from_nanosecond(unix_ns.into());
            time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default()
        };
        let (first, last) = (at(met.first_unix_ns), at(met.last_unix_ns));
        writeln!(out, "  error     {} times from {first} to {last}: {}", met.count, met.text)?;
    }
    let clock = &vitals.clock;
    let shared = if clock.shared { "shared" } else { "not shared" };
    writeln!(
        out,
        "  clock     {}{}, {shared}, set {} times, last correction {:+} ns",
        clock.stamp,
        if clock.steady { "" } else { " (the processor's runs at no steady rate)" },
        clock.steps,
        clock.correction_ns
    )?;
    let survives = if vitals.survives_kill { "yes" } else { "no" };
    let memory = match (vitals.locked, vitals.shrunk) {
        (true, false) => "locked",
        (true, true) => "locked, smaller than configured",
        (false, false) => "not locked",
        (false, true) => "not locked, smaller than configured",
    };
    writeln!(out, "  memory    {memory}; survives kill -9: {survives}")?;
    let up = u64::try_from(vitals.taken_unix_ns.saturating_sub(vitals.started_unix_ns) / 1_000_000_000).unwrap_or(0);
    writeln!(
        out,
        "  process   {} with library {}, logger started {} before",
        vitals.pid,
        vitals.version,
        human::seconds(up)
    )?;
    if !vitals.remarks.is_empty() {
        writeln!(out, "  remark    {}", vitals.remarks)?;
    }
    Ok(())
}

/// Whether the writer is where it is to be.
fn pinning(vitals: &Vitals) -> String {
    match (vitals.core, vitals.core_wanted) {
        (Some(core), _) => format!("pinned to core {core}"),
        (None, Some(wanted)) => format!("not pinned, though core {wanted} was asked for"),
        (None, None) => "not pinned".to_owned(),
    }
}
