//! `tacho recover`: what dead processes left in shared memory comes to disk.

use crate::TROUBLE;
use crate::args::{Args, Recover};
use crate::talk::shown;
use std::io::{self, Write as _};
use std::process::ExitCode;
use tachograph::recover::{Fate, Options, Report, recover};

/// Version of what `--json` gives.
const SCHEMA: u32 = 1;

pub(crate) fn run(args: &Args, wanted: &Recover) -> io::Result<ExitCode> {
    let mut options = Options::default();
    options.shm_dir.clone_from(&wanted.shm_dir);
    options.dry_run = wanted.dry_run;
    options.force.clone_from(&wanted.force);
    let report = recover(&args.dir, &options).map_err(io::Error::other)?;
    let mut out = io::stdout().lock();
    if wanted.json {
        writeln!(out, "{}", json(&report, wanted.dry_run))?;
    }
    for found in report.processes.iter().filter(|_| !wanted.json) {
        let process = shown(&found.process);
        match found.fate {
            Fate::Alive => writeln!(out, "{process}: alive, left alone")?,
            Fate::Dead => writeln!(out, "{process}: dead, {} records in its rings", found.records)?,
            Fate::Recovered => {
                writeln!(out, "{process}: recovered, {} records from its rings, {} bytes", found.records, found.bytes)?;
            }
        }
        for damage in &found.damage {
            writeln!(out, "{process}: {}", shown(damage))?;
        }
    }
    if report.processes.is_empty() && report.failed.is_empty() && !wanted.json && !args.quiet {
        writeln!(out, "nothing to recover")?;
    }
    if let Some(original) = report.copy_of.as_ref().filter(|_| !args.quiet) {
        let text = format!(
            "this is a copy of {}: what its processes left in shared memory belongs to that directory, and is left for \
             `tacho recover` there",
            shown(original)
        );
        writeln!(io::stderr(), "tacho: {text}")?;
    }
    let mut failed = report.failed.clone();
    failed.extend(report.views.iter().map(|error| format!("the views are not up to date: {error}")));
    let named = wanted.force.as_ref().is_none_or(|name| {
        let process = |text: &str| text.starts_with(name.as_str()) || text.split('-').nth(1) == Some(name);
        report.processes.iter().any(|found| process(&found.process)) || report.failed.iter().any(|text| process(text))
    });
    if !named {
        failed.push("--force: no process of that name or number has anything in shared memory here".to_owned());
    }
    for text in &failed {
        writeln!(io::stderr(), "tacho: {}", shown(text))?;
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(TROUBLE) })
}

fn json(report: &Report, dry_run: bool) -> serde_json::Value {
    let processes = report.processes.iter().map(|found| {
        let fate = match found.fate {
            Fate::Alive => "alive",
            Fate::Dead => "dead",
            Fate::Recovered => "recovered",
        };
        serde_json::json!({
            "process": found.process,
            "fate": fate,
            "records_in_rings": found.records,
            "bytes": found.bytes,
            "damage": found.damage,
        })
    });
    serde_json::json!({
        "schema": SCHEMA,
        "dry_run": dry_run,
        "processes": processes.collect::<Vec<_>>(),
        "failed": report.failed,
        "views": report.views,
        "copy_of": report.copy_of,
    })
}
