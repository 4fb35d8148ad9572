//! `tacho verify`: whether the journals on disk are whole.

use crate::TROUBLE;
use crate::args::{Args, Verify};
use crate::talk::shown;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tachograph::format::escape::push_json;
use tachograph::verify::{FileReport, JournalReport, Report, bytes_of, verify};

/// Version of what `--json` gives.
const SCHEMA: u32 = 1;
/// Something is damaged or missing.
const DAMAGED: u8 = 1;
/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &Args, verify_args: &Verify) -> io::Result<ExitCode> {
    let mut report = Report::default();
    let paths = if verify_args.paths.is_empty() { vec![args.dir.clone()] } else { verify_args.paths.clone() };
    let mut failed = false;
    let mut progress = Progress::new(args.quiet, paths.iter().map(|path| bytes_of(path)).sum());
    for path in &paths {
        if let Err(error) = verify(path, &mut report, &mut |bytes| progress.add(bytes)) {
            progress.clear();
            failed = true;
            let missing = error.kind() == io::ErrorKind::NotFound && verify_args.paths.is_empty();
            let advice = "\ngive the directory that the program logs to with -D DIR, or set TACHO_DIR";
            writeln!(io::stderr(), "tacho: {}{}", shown(&error.to_string()), if missing { advice } else { "" })?;
        }
    }
    progress.clear();
    if failed && report == Report::default() {
        return Ok(ExitCode::from(TROUBLE));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    if verify_args.json {
        out.write_all(&json(&report))?;
    } else {
        text(&report, args.quiet, &mut out)?;
    }
    out.flush()?;
    Ok(match () {
        () if report.is_damaged() => ExitCode::from(DAMAGED),
        () if failed || report.is_incomplete() => ExitCode::from(TROUBLE),
        () => ExitCode::SUCCESS,
    })
}

fn text(report: &Report, quiet: bool, out: &mut impl io::Write) -> io::Result<()> {
    for file in report.files.iter().filter(|file| !quiet || !file.is_clean()) {
        let path = shown(&file.path.to_string_lossy());
        let state = if file.is_clean() { "ok" } else { "NOT OK" };
        write!(out, "{path}: {state}")?;
        if file.frames > 0 {
            write!(out, ", {} frames, {} records", file.frames, file.records)?;
        }
        writeln!(out)?;
        for damage in &file.damage {
            writeln!(out, "    {} damaged bytes at offset {}", damage.bytes, damage.offset)?;
        }
        let listed: u64 = file.damage.iter().map(|damage| damage.bytes).sum();
        if listed < file.damaged_bytes {
            writeln!(out, "    and {} damaged bytes behind these", file.damaged_bytes - listed)?;
        }
        for text in file.problems.iter().chain(&file.notes).chain(&file.unchecked) {
            writeln!(out, "    {}", shown(text))?;
        }
    }
    for journal in &report.journals {
        let lost = journal.problems.iter().chain(&journal.notes);
        for text in lost.filter(|_| !quiet || !journal.problems.is_empty()) {
            writeln!(out, "{}: {}", shown(&journal.process), shown(text))?;
        }
    }
    let bad = report.files.iter().filter(|file| !file.is_clean()).count();
    let sum = |value: fn(&FileReport) -> u64| report.files.iter().map(value).sum::<u64>();
    let missing: u64 = report.journals.iter().map(|journal| journal.missing).sum();
    writeln!(
        out,
        "{} files, {} bytes, {} records; {bad} files not ok, {} damaged bytes, {missing} records missing",
        report.files.len(),
        sum(|file| file.bytes),
        sum(|file| file.records),
        sum(|file| file.damaged_bytes)
    )
}

fn json(report: &Report) -> Vec<u8> {
    let mut out = format!("{{\"schema\":{SCHEMA},\"files\":[").into_bytes();
    list(&mut out, &report.files, |out, file| {
        out.extend_from_slice(b"{\"path\":");
        push_json(&file.path.to_string_lossy(), out);
        for (name, value) in [
            ("bytes", file.bytes),
            ("frames", file.frames),
            ("records", file.records),
            ("damaged_bytes", file.damaged_bytes),
        ] {
            number(out, name, value);
        }
        out.extend_from_slice(b",\"damage\":[");
        list(out, &file.damage, |out, damage| {
            out.extend_from_slice(format!("{{\"offset\":{},\"bytes\":{}}}", damage.offset, damage.bytes).as_bytes());
        });
        out.push(b']');
        texts(out, "problems", &file.problems);
        texts(out, "notes", &file.notes);
        if let Some(why) = &file.unchecked {
            out.extend_from_slice(b",\"unchecked\":");
            push_json(why, out);
        }
        out.extend_from_slice(format!(",\"ok\":{}}}", file.is_clean()).as_bytes());
    });
    out.extend_from_slice(b"],\"journals\":[");
    list(&mut out, &report.journals, |out, journal: &JournalReport| {
        out.extend_from_slice(b"{\"process\":");
        push_json(&journal.process, out);
        number(out, "records", journal.records);
        number(out, "accounted", journal.accounted);
        number(out, "missing", journal.missing);
        texts(out, "problems", &journal.problems);
        texts(out, "notes", &journal.notes);
        out.push(b'}');
    });
    let ok = !report.is_damaged() && !report.is_incomplete();
    out.extend_from_slice(format!("],\"ok\":{ok}}}\n").as_bytes());
    out
}

fn list<T>(out: &mut Vec<u8>, items: &[T], each: impl Fn(&mut Vec<u8>, &T)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        each(out, item);
    }
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    out.extend_from_slice(format!(",\"{name}\":{value}").as_bytes());
}

fn texts(out: &mut Vec<u8>, name: &str, texts: &[String]) {
    out.extend_from_slice(format!(",\"{name}\":[").as_bytes());
    list(out, texts, |out, text| push_json(text, out));
    out.push(b']');
}

/// How far the work is, in a line on standard error, where that is a terminal.
struct Progress {
    total: u64,
    done: u64,
    shown_at: Option<Instant>,
    wanted: bool,
}

impl Progress {
    fn new(quiet: bool, total: u64) -> Self {
        Self { total, done: 0, shown_at: None, wanted: !quiet && io::stderr().is_terminal() }
    }

    fn add(&mut self, bytes: u64) {
        self.done += bytes;
        if self.wanted && self.shown_at.is_none_or(|at| at.elapsed() >= PROGRESS_INTERVAL) {
            self.shown_at = Some(Instant::now());
            // Compressed segments count as what they are inflated.
            let _ = write!(io::stderr(), "\r{} of {} MB", self.done / 1_000_000, self.total.max(self.done) / 1_000_000);
        }
    }

    fn clear(&mut self) {
        if self.shown_at.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
