//! From two looks at a directory to what is shown of it: rates, rows, sums. Pure.
//!
//! A rate is of the time between the two looks, each process's own; without an earlier look there is none. Counters that
//! others wrote over can go back: such a rate is 0.

use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tachograph::health::check::{Checked, Finding, State};
use tachograph::health::histogram::quantile;
use tachograph::health::report::Report;
use tachograph::health::vitals::{Count, Life, Vitals};
use tachograph::supervisor::Phase;

/// Number of the JSON form; another meaning of a field is another number.
pub(crate) const SCHEMA: u32 = 1;

/// Where what is shown comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// Live memory of processes, dead ones included.
    Live,
    /// `health.json`: no process has live memory here.
    Stored,
    /// Journals alone: nobody knows more.
    #[default]
    Journals,
}

/// The disk of the directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Disk {
    /// Bytes of all files in the log directory.
    pub(crate) used_bytes: u64,
    /// Bytes that the file system has left.
    pub(crate) free_bytes: u64,
    /// Bytes of the file system.
    pub(crate) total_bytes: u64,
    /// `disk_bytes_cap`.
    pub(crate) cap_bytes: Option<u64>,
    /// Bytes below it.
    pub(crate) cap_free_bytes: Option<u64>,
    /// Seconds until the file system is full at the present rate.
    pub(crate) full_in_s: Option<u64>,
}

/// One look at a directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    pub(crate) source: Source,
    pub(crate) report: Report,
    pub(crate) disk: Disk,
}

/// A record that is a warning or worse.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Warning {
    pub(crate) unix_ns: i64,
    /// RFC 3339.
    pub(crate) time: String,
    pub(crate) level: String,
    pub(crate) process: String,
    pub(crate) target: String,
    /// Message and fields, safe for a terminal.
    pub(crate) text: String,
}

/// What was counted, and how much of it a second.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub(crate) struct Flow {
    pub(crate) count: u64,
    pub(crate) per_s: Option<f64>,
}

/// Records of one name: a level, or a target.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) records: Flow,
    pub(crate) bytes: Flow,
}

/// How long records wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Lags {
    /// For the writer, since the look before, or since the start.
    pub(crate) writer_p50_ns: u64,
    pub(crate) writer_p99_ns: u64,
    /// Since the start.
    pub(crate) writer_max_ns: u64,
    /// By how much the views are behind.
    pub(crate) view_ns: u64,
    pub(crate) view_records: u64,
}

/// All processes together, or one of them.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub(crate) struct Sums {
    pub(crate) records: Flow,
    pub(crate) journal_bytes: Flow,
    pub(crate) dropped: Flow,
    pub(crate) sampled_out: Flow,
    pub(crate) lines: Flow,
    pub(crate) lost: u64,
    pub(crate) late: u64,
    pub(crate) rotations: u64,
    pub(crate) compressions: u64,
    pub(crate) disk_errors: u64,
    /// Dead processes that were recovered, and the records that these had in their rings only.
    pub(crate) crashed: u64,
    pub(crate) recovered: u64,
    pub(crate) lags: Lags,
}

/// A process.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub(crate) struct ProcessRow {
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) life: Life,
    pub(crate) state: State,
    pub(crate) version: String,
    pub(crate) started_unix_ns: i64,
    #[serde(flatten)]
    pub(crate) sums: Sums,
    /// Bytes that wait in its rings, over all of them.
    pub(crate) rings_fill_bytes: u64,
    /// The fullest that any of its rings ever was, in bytes of `ring_size_bytes`.
    pub(crate) ring_high_water_bytes: u64,
    pub(crate) ring_size_bytes: u64,
    pub(crate) segments: u32,
    pub(crate) segments_free: u32,
    /// What its worker is at.
    pub(crate) worker: String,
    pub(crate) renders: bool,
    /// The core that its writer is pinned to.
    pub(crate) core: Option<u32>,
    pub(crate) synced_unix_ns: i64,
}

/// The ring of a thread.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct RingRow {
    pub(crate) process: String,
    pub(crate) number: u32,
    pub(crate) thread: String,
    pub(crate) tid: u32,
    pub(crate) fill_bytes: u64,
    pub(crate) high_water_bytes: u64,
    pub(crate) size_bytes: u64,
}

/// A finding that stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct FindingRow {
    pub(crate) process: String,
    pub(crate) id: String,
    pub(crate) state: State,
    pub(crate) reason: String,
    pub(crate) advice: String,
    pub(crate) since_unix_ns: i64,
}

/// A service that a process supervises.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct ServiceRow {
    pub(crate) process: String,
    pub(crate) name: String,
    pub(crate) phase: Phase,
    pub(crate) since_unix_ns: i64,
    pub(crate) starts: u32,
    /// Why it last ended with an error; empty where it never did.
    pub(crate) reason: String,
}

/// An error that the worker met, however often.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct ErrorRow {
    pub(crate) process: String,
    pub(crate) text: String,
    pub(crate) count: u64,
    pub(crate) last_unix_ns: i64,
}

/// Everything that is shown.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub(crate) struct Model {
    pub(crate) schema: u32,
    pub(crate) dir: String,
    /// When it was so, RFC 3339.
    pub(crate) time: String,
    pub(crate) unix_ns: i64,
    pub(crate) source: Source,
    pub(crate) state: State,
    /// Seconds between the two looks.
    pub(crate) interval_s: Option<f64>,
    #[serde(flatten)]
    pub(crate) sums: Sums,
    pub(crate) disk: Disk,
    pub(crate) levels: Vec<Named>,
    /// Over all processes, those of most records a second first.
    pub(crate) targets: Vec<Named>,
    pub(crate) processes: Vec<ProcessRow>,
    /// The fullest first.
    pub(crate) rings: Vec<RingRow>,
    /// The worst first.
    pub(crate) findings: Vec<FindingRow>,
    /// In the order of their programs.
    pub(crate) services: Vec<ServiceRow>,
    /// The latest first.
    pub(crate) errors: Vec<ErrorRow>,
    /// Why some process could not be looked at.
    pub(crate) unreadable: Vec<String>,
    /// The latest last.
    pub(crate) warnings: Vec<Warning>,
}

impl Model {
    /// What is shown of `now`, `before` being the look before.
    pub(crate) fn new(before: Option<&Look>, now: &Look, warnings: Vec<Warning>) -> Self {
        let before = before.filter(|before| before.source == Source::Live && now.source == Source::Live);
        let report = &now.report;
        let pairs: Vec<Pair<'_>> =
            report.processes.iter().map(|checked| Pair::new(before.map(|before| &before.report), checked)).collect();
        let of_shippers = report.shippers.iter().flat_map(|checked| rows_of(checked.vitals.label(), &checked.findings));
        let mut findings: Vec<FindingRow> = report.processes.iter().flat_map(findings_of).chain(of_shippers).collect();
        findings.sort_by_key(|row| (Reverse(row.state), Reverse(row.since_unix_ns)));
        let mut rings: Vec<RingRow> = report.processes.iter().flat_map(rings_of).collect();
        rings.sort_by_key(|ring| Reverse((ring.fill_bytes, ring.high_water_bytes)));
        let mut errors: Vec<ErrorRow> = report.processes.iter().flat_map(errors_of).collect();
        errors.sort_by_key(|row| Reverse(row.last_unix_ns));
        let mut targets = named(&pairs, |vitals| &vitals.targets);
        targets.sort_by(|a, b| {
            let key = |row: &Named| row.records.per_s.unwrap_or(0.0);
            key(b).total_cmp(&key(a)).then(b.records.count.cmp(&a.records.count)).then_with(|| a.name.cmp(&b.name))
        });
        Self {
            schema: SCHEMA,
            dir: report.dir.clone(),
            time: report.time.clone(),
            unix_ns: report.unix_ns,
            source: now.source,
            state: report.state,
            interval_s: before.map(|before| seconds(before.report.unix_ns, report.unix_ns)),
            sums: sums(&pairs),
            disk: now.disk,
            levels: named(&pairs, |vitals| &vitals.levels),
            targets,
            processes: pairs.iter().map(row).collect(),
            rings,
            findings,
            services: report.processes.iter().flat_map(services_of).collect(),
            errors,
            unreadable: report.unreadable.clone(),
            warnings,
        }
    }
}

/// Seconds from one time to another.
fn seconds(from_unix_ns: i64, to_unix_ns: i64) -> f64 {
    to_unix_ns.saturating_sub(from_unix_ns).max(0) as f64 / 1e9
}

/// A process at two looks.
struct Pair<'a> {
    checked: &'a Checked,
    /// How it was, and how many seconds ago; nothing where there was no earlier look.
    before: Option<(Option<&'a Vitals>, f64)>,
}

impl<'a> Pair<'a> {
    fn new(before: Option<&'a Report>, checked: &'a Checked) -> Self {
        let now = checked.vitals.taken_unix_ns;
        let before = before.map(|before| match before.process(&checked.vitals.process) {
            Some(known) => (Some(&known.vitals), seconds(known.vitals.taken_unix_ns, now)),
            // It came since: all that it did was done since.
            None => (None, seconds(before.unix_ns, now)),
        });
        Self { checked, before: before.filter(|(_, seconds)| *seconds > 0.0) }
    }

    fn flow(&self, value: impl Fn(&Vitals) -> u64) -> Flow {
        let count = value(&self.checked.vitals);
        let per_s =
            self.before.map(|(before, seconds)| count.saturating_sub(before.map_or(0, &value)) as f64 / seconds);
        Flow { count, per_s }
    }

    /// The waits for the writer since the look before, or all of them.
    fn waits(&self) -> BTreeMap<u64, u64> {
        let mut waits: BTreeMap<u64, u64> = self.checked.vitals.writer_lag.buckets.iter().copied().collect();
        for (bound, count) in self.before.iter().flat_map(|(before, _)| *before).flat_map(|v| &v.writer_lag.buckets) {
            if let Some(now) = waits.get_mut(bound) {
                *now = now.saturating_sub(*count);
            }
        }
        waits.retain(|_, count| *count > 0);
        waits
    }
}

fn add(sum: Flow, flow: Flow) -> Flow {
    Flow {
        count: sum.count.saturating_add(flow.count),
        per_s: flow.per_s.map(|per_s| sum.per_s.unwrap_or(0.0) + per_s).or(sum.per_s),
    }
}

fn sums(pairs: &[Pair<'_>]) -> Sums {
    let flow = |value: fn(&Vitals) -> u64| pairs.iter().map(|pair| pair.flow(value)).fold(Flow::default(), add);
    let vitals = || pairs.iter().map(|pair| &pair.checked.vitals);
    let sum = |value: fn(&Vitals) -> u64| vitals().map(value).fold(0, u64::saturating_add);
    let mut waits: BTreeMap<u64, u64> = BTreeMap::new();
    for (bound, count) in pairs.iter().flat_map(Pair::waits) {
        let all = waits.entry(bound).or_default();
        *all = all.saturating_add(count);
    }
    let waits: Vec<(u64, u64)> = waits.into_iter().collect();
    Sums {
        records: flow(|v| v.written),
        journal_bytes: flow(|v| v.journal_bytes),
        dropped: flow(|v| v.dropped.total()),
        sampled_out: flow(|v| v.sampled_out.iter().fold(0, |sum, out| sum.saturating_add(*out))),
        lines: flow(|v| v.lines),
        lost: sum(|v| v.lost),
        late: sum(|v| v.late),
        rotations: sum(|v| v.rotations),
        compressions: sum(|v| v.compressions),
        disk_errors: sum(|v| v.disk_errors),
        crashed: sum(|v| v.crashed),
        recovered: sum(|v| v.recovered),
        lags: Lags {
            writer_p50_ns: quantile(&waits, 0.5),
            writer_p99_ns: quantile(&waits, 0.99),
            writer_max_ns: vitals().map(|v| v.writer_lag.max_ns).max().unwrap_or(0),
            view_ns: vitals().map(|v| v.view_lag_ns).max().unwrap_or(0),
            view_records: sum(|v| v.view_lag_records),
        },
    }
}

/// Sums by name, those of most records first.
fn named(pairs: &[Pair<'_>], of: fn(&Vitals) -> &Vec<Count>) -> Vec<Named> {
    let mut rows: BTreeMap<&str, Named> = BTreeMap::new();
    for pair in pairs {
        for count in of(&pair.checked.vitals) {
            let same = |vitals: &Vitals| of(vitals).iter().find(|known| known.name == count.name).cloned();
            let flow = |value: fn(&Count) -> u64| pair.flow(|vitals| same(vitals).as_ref().map_or(0, value));
            let row = rows.entry(&count.name).or_default();
            row.name.clone_from(&count.name);
            (row.records, row.bytes) = (add(row.records, flow(|c| c.records)), add(row.bytes, flow(|c| c.bytes)));
        }
    }
    let mut rows: Vec<Named> = rows.into_values().collect();
    rows.sort_by_key(|row| Reverse(row.records.count));
    rows
}

fn row(pair: &Pair<'_>) -> ProcessRow {
    let (checked, vitals) = (pair.checked, &pair.checked.vitals);
    let fullest = vitals.rings.iter().max_by_key(|ring| ring.high_water_bytes);
    ProcessRow {
        name: vitals.process.clone(),
        pid: vitals.pid,
        life: vitals.life,
        state: checked.state,
        version: vitals.version.clone(),
        started_unix_ns: vitals.started_unix_ns,
        sums: sums(std::slice::from_ref(pair)),
        rings_fill_bytes: vitals.rings.iter().fold(0, |sum, ring| sum.saturating_add(ring.fill_bytes)),
        ring_high_water_bytes: fullest.map_or(0, |ring| ring.high_water_bytes),
        ring_size_bytes: fullest.map_or(0, |ring| ring.size_bytes),
        segments: vitals.segments,
        segments_free: vitals.segments_free,
        worker: vitals.worker_activity.clone(),
        renders: vitals.renders,
        core: vitals.core,
        synced_unix_ns: vitals.disk.synced_unix_ns,
    }
}

fn findings_of(checked: &Checked) -> impl Iterator<Item = FindingRow> {
    rows_of(checked.vitals.process.clone(), &checked.findings)
}

fn rows_of(process: String, findings: &[Finding]) -> impl Iterator<Item = FindingRow> {
    findings.iter().map(move |finding| FindingRow {
        process: process.clone(),
        id: finding.id.to_string(),
        state: finding.state,
        reason: finding.reason.clone(),
        advice: finding.advice.to_string(),
        since_unix_ns: finding.since_unix_ns,
    })
}

fn rings_of(checked: &Checked) -> impl Iterator<Item = RingRow> {
    checked.vitals.rings.iter().map(|ring| RingRow {
        process: checked.vitals.process.clone(),
        number: ring.number,
        thread: ring.thread.clone(),
        tid: ring.tid,
        fill_bytes: ring.fill_bytes,
        high_water_bytes: ring.high_water_bytes,
        size_bytes: ring.size_bytes,
    })
}

fn services_of(checked: &Checked) -> impl Iterator<Item = ServiceRow> {
    checked.vitals.services.iter().map(|service| ServiceRow {
        process: checked.vitals.process.clone(),
        name: service.name.clone(),
        phase: service.phase,
        since_unix_ns: service.since_unix_ns,
        starts: service.starts,
        reason: service.reason.clone(),
    })
}

fn errors_of(checked: &Checked) -> impl Iterator<Item = ErrorRow> {
    checked.vitals.errors.iter().map(|met| ErrorRow {
        process: checked.vitals.process.clone(),
        text: met.text.clone(),
        count: met.count,
        last_unix_ns: met.last_unix_ns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tachograph::health::check::{Limits, check};
    use tachograph::health::vitals::{Drops, Lag, Ring};

    fn vitals(process: &str, second: i64, written: u64) -> Vitals {
        let count = |name: &str, records: u64| Count { name: name.to_owned(), records, bytes: records * 10 };
        Vitals {
            process: process.to_owned(),
            taken_unix_ns: second * 1_000_000_000,
            written,
            journal_bytes: written * 10,
            targets: vec![count("a", written / 2), count(process, written / 2)],
            levels: vec![count("info", written)],
            rings: vec![Ring { number: 1, fill_bytes: written, size_bytes: 1 << 20, ..Ring::default() }],
            ..Vitals::default()
        }
    }

    fn look(second: i64, vitals: Vec<Vitals>) -> Look {
        let checked = vitals.into_iter().map(|vitals| check(None, vitals, &Limits::default())).collect();
        let report = Report::new("logs", second * 1_000_000_000, checked, Vec::new());
        Look { source: Source::Live, report, ..Look::default() }
    }

    #[test]
    fn rates_are_of_the_time_between_the_looks() {
        let before = look(10, vec![vitals("p", 10, 100)]);
        // Another one came meanwhile.
        let now = look(12, vec![vitals("p", 12, 300), vitals("q", 12, 50)]);
        let model = Model::new(Some(&before), &now, Vec::new());
        assert_eq!(model.interval_s, Some(2.0));
        assert_eq!(
            model.processes.iter().map(|row| row.sums.records.per_s).collect::<Vec<_>>(),
            [Some(100.0), Some(25.0)]
        );
        assert_eq!(model.sums.records, Flow { count: 350, per_s: Some(125.0) });
        assert_eq!(model.sums.journal_bytes, Flow { count: 3500, per_s: Some(1250.0) });
        let targets: Vec<_> = model.targets.iter().map(|row| (row.name.as_str(), row.records)).collect();
        assert_eq!(
            targets,
            [
                ("a", Flow { count: 175, per_s: Some(62.5) }),
                ("p", Flow { count: 150, per_s: Some(50.0) }),
                ("q", Flow { count: 25, per_s: Some(12.5) })
            ]
        );
        assert_eq!(model.levels[0].records.count, 350);
        assert_eq!(model.rings.iter().map(|ring| ring.fill_bytes).collect::<Vec<_>>(), [300, 50]);
    }

    #[test]
    fn without_a_look_before_there_are_counts_and_no_rates() {
        let now = look(12, vec![vitals("p", 12, 300)]);
        let alone = Model::new(None, &now, Vec::new());
        assert_eq!((alone.sums.records, alone.interval_s), (Flow { count: 300, per_s: None }, None));
        // What was stored does not move, and two looks at it say nothing of how fast it was.
        let stored = Look { source: Source::Stored, ..now.clone() };
        assert_eq!(Model::new(Some(&stored), &stored, Vec::new()).sums.records.per_s, None);
        assert_eq!(Model::new(Some(&now), &now, Vec::new()).sums.records.per_s, None, "no time passed");
    }

    #[test]
    fn counters_that_went_back_are_no_rate() {
        let (before, now) = (look(1, vec![vitals("p", 1, 300)]), look(2, vec![vitals("p", 2, 100)]));
        assert_eq!(Model::new(Some(&before), &now, Vec::new()).sums.records.per_s, Some(0.0));
    }

    #[test]
    fn the_writers_lag_is_that_since_the_look_before() {
        let with = |second, buckets: &[(u64, u64)]| {
            let lag = Lag { buckets: buckets.to_vec(), max_ns: 5_000, ..Lag::default() };
            look(second, vec![Vitals { writer_lag: lag, ..vitals("p", second, 1) }])
        };
        let (before, now) = (with(1, &[(100, 1_000), (5_000, 1)]), with(2, &[(100, 1_000), (300, 10), (5_000, 1)]));
        let lags = |before| Model::new(before, &now, Vec::new()).sums.lags;
        assert_eq!((lags(None).writer_p50_ns, lags(Some(&before)).writer_p50_ns), (100, 300));
        assert_eq!(lags(Some(&before)).writer_max_ns, 5_000);
    }

    #[test]
    fn the_worst_finding_comes_first() {
        let lossy = Vitals { dropped: Drops { full: 5_000, ..Drops::default() }, ..vitals("p", 1, 1) };
        let shaky = Vitals { version: "1".to_owned(), survives_kill: false, ..vitals("q", 1, 1) };
        let model = Model::new(None, &look(1, vec![shaky, lossy]), Vec::new());
        assert_eq!((model.findings[0].id.as_str(), model.findings[0].state), ("drops", State::Critical));
        assert_eq!(model.state, State::Critical);
        assert!(model.findings.iter().any(|row| row.process == "q" && row.id == "survival"));
    }

    #[test]
    fn the_json_form_has_its_number_and_what_scripts_ask_for() {
        let (before, now) = (look(10, vec![vitals("p", 10, 100)]), look(12, vec![vitals("p", 12, 300)]));
        let json = serde_json::to_value(Model::new(Some(&before), &now, Vec::new())).unwrap();
        assert_eq!((&json["schema"], &json["source"]), (&SCHEMA.into(), &"live".into()));
        assert_eq!(json["records"]["per_s"], 100.0);
        assert_eq!(json["processes"][0]["records"]["count"], 300);
        assert_eq!(json["lags"]["view_records"], 0);
    }
}
