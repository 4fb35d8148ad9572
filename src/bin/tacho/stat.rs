//! `tacho stat`: who writes the most.

use crate::args::{Args, Stat, StatBy};
use crate::journal::each;
use crate::select::Select;
use crate::table::{Align, Table};
use crate::talk::Talk;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::HashMap;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::process::ExitCode;
use tachograph::reader::record::{Body, RecordRef};
use tachograph::segment::layout::FRAME_HEADER_BYTES;

/// Version of what `--json` gives.
const SCHEMA: u32 = 1;
/// With more different names of a kind, what is new counts as this one.
const NAMES_MAX: usize = 1 << 20;
const OTHERS: &str = "(others)";

/// What is counted of records.
#[derive(Clone, Copy, Default, Debug, Serialize)]
struct Count {
    /// Records in the journal.
    records: u64,
    /// Their bytes in the journal before compression.
    bytes: u64,
    /// Records that sampling left out.
    sampled_out: u64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.sampled_out += other.sampled_out;
    }
}

/// One kind of name, such as targets, and the counts of each.
struct Kind {
    by: StatBy,
    counts: HashMap<String, Count>,
    name: String,
}

#[derive(Default)]
struct Totals {
    all: Count,
    dropped: u64,
    span: Option<(i64, i64)>,
}

pub(crate) fn run(args: &Args, stat: &Stat) -> io::Result<ExitCode> {
    let mut select = Select::new(&stat.filter)?;
    let mut talk = Talk::new(args);
    let mut kinds: Vec<Kind> = kinds(stat).into_iter().map(Kind::new).collect();
    let mut totals = Totals::default();
    each(args, &[], &mut select, &mut talk, |record| {
        let count = totals.take(record);
        for kind in &mut kinds {
            kind.take(record, count);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let text = if stat.json { json(&kinds, &totals, stat.top)? } else { text(&kinds, &totals, stat.top) };
    io::stdout().write_all(text.as_bytes())?;
    Ok(talk.code())
}

fn kinds(stat: &Stat) -> Vec<StatBy> {
    let mut kinds = Vec::new();
    let usual = [StatBy::Target, StatBy::Level, StatBy::Site];
    for by in if stat.by.is_empty() { &usual[..] } else { &stat.by } {
        if !kinds.contains(by) {
            kinds.push(*by);
        }
    }
    kinds
}

impl Totals {
    fn take(&mut self, record: &RecordRef<'_>) -> Count {
        let mut count = Count { records: 1, bytes: bytes(record), sampled_out: 0 };
        match record.body {
            Body::Suppressed { count: left_out, .. } => count.sampled_out = left_out,
            Body::Dropped { count, .. } => self.dropped += count,
            _ => {}
        }
        self.all.add(count);
        let (first, last) = self.span.unwrap_or((record.unix_ns, record.unix_ns));
        self.span = Some((first.min(record.unix_ns), last.max(record.unix_ns)));
        count
    }

    fn seconds(&self) -> f64 {
        self.span.map_or(0.0, |(first, last)| last.saturating_sub(first) as f64 / 1e9)
    }
}

/// What a record takes of a segment.
fn bytes(record: &RecordRef<'_>) -> u64 {
    let payload = match record.body {
        Body::Message { payload, .. } | Body::Suppressed { payload, .. } => payload.len(),
        Body::Note { text } => text.len().next_multiple_of(8),
        Body::Dropped { .. } => 16,
        Body::Damage { bytes } => return bytes,
        Body::Unknown { .. } => 0,
    };
    (FRAME_HEADER_BYTES + payload) as u64
}

impl Kind {
    fn new(by: StatBy) -> Self {
        Self { by, counts: HashMap::new(), name: String::new() }
    }

    fn take(&mut self, record: &RecordRef<'_>, count: Count) {
        self.name.clear();
        self.push_name(record);
        if let Some(known) = self.counts.get_mut(&self.name) {
            return known.add(count);
        }
        let name = if self.counts.len() < NAMES_MAX { &self.name } else { OTHERS };
        self.counts.entry(name.to_owned()).or_default().add(count);
    }

    fn push_name(&mut self, record: &RecordRef<'_>) {
        use std::fmt::Write as _;
        let name = &mut self.name;
        match (self.by, &record.body) {
            (StatBy::Target, _) => name.push_str(record.target),
            (StatBy::Level, _) => name.push_str(record.level.as_str()),
            (StatBy::Thread, _) => name.push_str(&record.thread.name),
            (StatBy::Process, _) => name.push_str(record.process),
            (StatBy::Minute, _) => push_time(record.unix_ns, 60, name),
            (StatBy::Hour, _) => push_time(record.unix_ns, 3600, name),
            (StatBy::Site, Body::Message { site, .. } | Body::Suppressed { site, .. }) => {
                // A string takes everything.
                let _ = write!(name, "{}:{} {}", site.def.file, site.def.line, site.def.format);
            }
            (StatBy::Site, _) => name.push_str("(the logger itself)"),
        }
    }

    /// The names with their counts: those of most bytes first, times in their order.
    fn sorted(&self) -> Vec<(&str, Count)> {
        let mut all: Vec<(&str, Count)> = self.counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        if matches!(self.by, StatBy::Minute | StatBy::Hour) {
            all.sort_unstable_by_key(|(name, _)| *name);
        } else {
            all.sort_unstable_by_key(|(name, count)| (std::cmp::Reverse((count.bytes, count.records)), *name));
        }
        all
    }
}

/// Puts the beginning of the minute or hour that a time is in.
fn push_time(unix_ns: i64, step_s: i64, out: &mut String) {
    let second = unix_ns.div_euclid(1_000_000_000).div_euclid(step_s) * step_s;
    out.push_str(&Timestamp::from_second(second).map(|time| time.to_string()).unwrap_or_default());
}

fn key(by: StatBy) -> &'static str {
    match by {
        StatBy::Target => "target",
        StatBy::Level => "level",
        StatBy::Site => "site",
        StatBy::Thread => "thread",
        StatBy::Process => "process",
        StatBy::Minute => "minute",
        StatBy::Hour => "hour",
    }
}

fn text(kinds: &[Kind], totals: &Totals, top: usize) -> String {
    let seconds = totals.seconds();
    let rate = |count: u64| if seconds > 0.0 { format!("{:.1}", count as f64 / seconds) } else { "-".to_owned() };
    let share = |count: u64, all: u64| if all == 0 { 0.0 } else { count as f64 * 100.0 / all as f64 };
    let mut out = format!(
        "{} records, {} bytes over {seconds:.3} s; {} sampled out, {} dropped\n",
        totals.all.records, totals.all.bytes, totals.all.sampled_out, totals.dropped
    );
    for kind in kinds.iter().filter(|kind| !kind.counts.is_empty()) {
        let head = ["bytes", "%", "records", "%", "rec/s", "B/rec", "sampled out", key(kind.by)];
        let mut table = Table::new(head.map(|name| (name, Align::Right)).into_iter().collect());
        table.align_last(Align::Left);
        let sorted = kind.sorted();
        let shown = if top == 0 { sorted.len() } else { top };
        for (name, count) in sorted.iter().take(shown) {
            table.row([
                count.bytes.to_string(),
                format!("{:.1}", share(count.bytes, totals.all.bytes)),
                count.records.to_string(),
                format!("{:.1}", share(count.records, totals.all.records)),
                rate(count.records),
                (count.bytes / count.records.max(1)).to_string(),
                count.sampled_out.to_string(),
                (*name).to_owned(),
            ]);
        }
        out.push('\n');
        table.push(&mut out);
        if let Some(more) = sorted.len().checked_sub(shown).filter(|more| *more > 0) {
            out.push_str(&format!("and {more} more; --top 0 shows all\n"));
        }
    }
    out
}

fn json(kinds: &[Kind], totals: &Totals, top: usize) -> io::Result<String> {
    use serde_json::{Map, Value, json};
    let mut report = Map::new();
    let time = |unix_ns: i64| Timestamp::from_nanosecond(unix_ns.into()).map(|time| time.to_string()).ok();
    report.insert("schema".into(), json!(SCHEMA));
    report.insert("first".into(), json!(totals.span.and_then(|(first, _)| time(first))));
    report.insert("last".into(), json!(totals.span.and_then(|(_, last)| time(last))));
    report.insert("seconds".into(), json!(totals.seconds()));
    report.insert("total".into(), json!(totals.all));
    report.insert("dropped".into(), json!(totals.dropped));
    for kind in kinds {
        let sorted = kind.sorted();
        let shown = if top == 0 { sorted.len() } else { top };
        let rows: Result<Vec<Value>, serde_json::Error> = sorted
            .into_iter()
            .take(shown)
            .map(|(name, count)| {
                let mut row = Map::from_iter([(key(kind.by).to_owned(), json!(name))]);
                if let Value::Object(counts) = serde_json::to_value(count)? {
                    row.extend(counts);
                }
                Ok(Value::Object(row))
            })
            .collect();
        report.insert(format!("by_{}", key(kind.by)), Value::Array(rows?));
    }
    Ok(tachograph::format::escape::harmless_json(&serde_json::to_string(&report)?) + "\n")
}
