//! From vitals to findings. Pure: what was, what is and the limits come in, what is to be said of it goes out.
//!
//! A finding stands until it was absent for [`Limits::hold`], at the worst state that it had meanwhile: what comes and goes
//! is said once. What happens at one moment, such as a loss, is looked for between two vitals.
//!
//! | finding | state | when |
//! |---|---|---|
//! | `crashed` | critical | the process died without closing its logger: what it left waits for recovery, or was just brought back |
//! | `drops` | warning, critical from 1,000 | records were dropped since the last look |
//! | `lost` | critical | records were lost behind the writer |
//! | `writer_stalled` | critical | the writer has not run for 5 s |
//! | `worker_stalled` | critical | the worker has been at one thing for 5 s, or there was never one |
//! | `files` | critical; warning for a remark | the worker cannot write, archive, sync or recover |
//! | `view_lag` | warning, critical from four times | records wait for the views for longer than `health_view_lag_max` |
//! | `archive_lag` | warning, critical | three quarters, or all, of the live segments wait for the archive |
//! | `rings` | warning | a ring is three quarters full, or was since the last look |
//! | `disk` | warning, critical | little is left of the file system: 10 % or 10 GiB, 2 % or 1 GiB, whichever is less; or it is full within a day, within an hour |
//! | `disk_cap` | warning, critical | the room below `disk_bytes_cap` cannot be kept free, or is used up but for an eighth |
//! | `survival` | warning | what was logged does not survive the process |
//! | `clock` | warning | the processor has no counter of one rate |
//! | `pinning` | warning | the writer is not pinned to the core that was named for it |
//! | `memory` | warning | live memory is smaller than was configured |
//! | `unlocked` | ok, a hint | live memory can be swapped out |
//! | `services` | warning, critical | a supervised service was restarted since the last look, or is about to be; one has failed for good |
//! | `ship_…` | | of who reads the journals with a cursor of its own: [`shippers`](super::shippers) |
//! | `sampling` | warning | sampling left out more than nine of ten calls since the last look, and at least 1,000 |

use super::vitals::{Life, ServiceState, Vitals};
use crate::supervisor::Phase;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing to be done.
    #[default]
    Ok,
    /// Somebody should look.
    Warning,
    /// Records are lost, or about to be.
    Critical,
}

impl State {
    /// `ok`, `warning` or `critical`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Something that was found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Finding {
    /// What, as in the table of the module.
    pub id: Cow<'static, str>,
    /// How bad it is.
    pub state: State,
    /// What was found.
    pub reason: String,
    /// What helps.
    pub advice: Cow<'static, str>,
    /// Since when it stands, nanoseconds since the Unix epoch.
    pub since_unix_ns: i64,
    /// When it was last so.
    pub last_unix_ns: i64,
}

/// What is too much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How long a finding must be absent before it is over.
    pub hold: Duration,
    /// How long writer and worker may be silent.
    pub silent_max: Duration,
    /// How long records may wait for the views.
    pub view_lag_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(30),
            silent_max: Duration::from_secs(5),
            view_lag_max: Duration::from_secs(30),
        }
    }
}

/// A process with what was found of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Checked {
    /// The worst state of the findings.
    pub state: State,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// The process.
    pub vitals: Vitals,
}

/// Drops since the last look that are critical.
const DROPS_CRITICAL: u64 = 1_000;
/// Calls since the last look from which sampling is judged.
const SAMPLED_LEAST: u64 = 1_000;
const GIB: u64 = 1 << 30;
const HOUR_S: u64 = 3_600;

/// What is found of a process now, `previous` being how it was at the last look, if there was one.
pub fn check(previous: Option<&Checked>, now: Vitals, limits: &Limits) -> Checked {
    let mut findings = found(previous.map(|previous| &previous.vitals), &now, limits);
    let known = previous.map_or(&[][..], |previous| &previous.findings);
    let state = settle(known, &mut findings, now.taken_unix_ns, limits.hold);
    Checked { state, findings, vitals: now }
}

/// Puts what was found `at` a time beside what stood before, the worst first; returns the worst state.
pub(super) fn settle(before: &[Finding], findings: &mut Vec<Finding>, at: i64, hold: Duration) -> State {
    for finding in findings.iter_mut() {
        (finding.since_unix_ns, finding.last_unix_ns) = (at, at);
    }
    let hold_ns = i64::try_from(hold.as_nanos()).unwrap_or(i64::MAX);
    for before in before {
        match findings.iter_mut().find(|finding| finding.id == before.id) {
            Some(again) => {
                again.since_unix_ns = before.since_unix_ns;
                again.state = again.state.max(before.state);
            }
            None if at.saturating_sub(before.last_unix_ns) < hold_ns => findings.push(before.clone()),
            None => {}
        }
    }
    findings.sort_by(|a, b| b.state.cmp(&a.state).then_with(|| a.id.cmp(&b.id)));
    findings.iter().map(|finding| finding.state).max().unwrap_or_default()
}

fn found(before: Option<&Vitals>, now: &Vitals, limits: &Limits) -> Vec<Finding> {
    let mut all = Findings(Vec::new());
    // The counters of the dead do not move any more; what they had in rings comes with recovery.
    if now.life == Life::Dead {
        all.critical(
            "crashed",
            format!(
                "process {} died without closing its logger{}",
                now.pid,
                if now.remarks.is_empty() { String::new() } else { format!("; {}", now.remarks) }
            ),
            "its records are safe in shared memory; the next start, tacho collect or tacho recover brings them",
        );
        return all.0;
    }
    let none = Vitals::default();
    let before = before.unwrap_or(&none);
    losses(&mut all, before, now);
    if now.life == Life::Alive {
        stalls(&mut all, now, limits);
    }
    lags(&mut all, before, now, limits);
    disk(&mut all, now);
    conditions(&mut all, before, now);
    services(&mut all, before, now);
    all.0
}

/// Supervised services. Those of a process that is seen for the first time are compared with none at all.
fn services(all: &mut Findings, before: &Vitals, now: &Vitals) {
    let known = |name: &str| before.services.iter().find(|known| known.name == name);
    let restarted = |service: &&ServiceState| {
        let starts = known(&service.name).map_or(1, |known| known.starts.max(1));
        service.phase == Phase::Pausing || service.starts > starts
    };
    let named = |services: Vec<&ServiceState>| {
        let named = services.iter().map(|service| format!("{} ({})", service.name, service.reason));
        named.collect::<Vec<_>>().join(", ")
    };
    let failed: Vec<_> = now.services.iter().filter(|service| service.phase == Phase::Failed).collect();
    let restarted: Vec<_> = now.services.iter().filter(restarted).collect();
    let Some(state) = graded(!restarted.is_empty(), !failed.is_empty()) else { return };
    let (what, which) = if failed.is_empty() { ("was restarted", restarted) } else { ("has failed", failed) };
    let reason = format!("{} of {} services: {what}: {}", which.len(), now.services.len(), named(which));
    let advice = "see the service's own log; one that has failed comes back only with the whole program";
    all.add("services", state, reason, advice);
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, id: &'static str, state: State, reason: String, advice: &'static str) {
        self.0.push(Finding {
            id: Cow::Borrowed(id),
            state,
            reason,
            advice: Cow::Borrowed(advice),
            ..Finding::default()
        });
    }

    fn critical(&mut self, id: &'static str, reason: String, advice: &'static str) {
        self.add(id, State::Critical, reason, advice);
    }

    fn warning(&mut self, id: &'static str, reason: String, advice: &'static str) {
        self.add(id, State::Warning, reason, advice);
    }
}

/// Warning or critical, by what is reached.
pub(super) fn graded(warning: bool, critical: bool) -> Option<State> {
    if critical { Some(State::Critical) } else { warning.then_some(State::Warning) }
}

fn losses(all: &mut Findings, before: &Vitals, now: &Vitals) {
    let new = now.dropped.total().saturating_sub(before.dropped.total());
    if let Some(state) = graded(new > 0, new >= DROPS_CRITICAL) {
        let causes = now.dropped.by_cause().into_iter().zip(before.dropped.by_cause());
        let causes = causes.filter(|((_, now), (_, before))| now > before).map(|((cause, _), _)| cause);
        let causes = causes.collect::<Vec<_>>().join(", ");
        all.add(
            "drops",
            state,
            format!("{new} records were dropped: {causes}"),
            "larger rings (ring_bytes), fewer records, or a writer with a core of its own",
        );
    }
    let lost = now.lost.saturating_sub(before.lost);
    if lost > 0 {
        all.critical(
            "lost",
            format!("{lost} records were lost behind the writer"),
            "somebody changed live memory, or the disk was full: see the log",
        );
    }
}

fn stalls(all: &mut Findings, now: &Vitals, limits: &Limits) {
    let silent = |ns: Option<u64>| ns.map(Duration::from_nanos).filter(|silent| *silent >= limits.silent_max);
    if let Some(silent) = silent(now.writer_silent_ns) {
        let free = now.rings.iter().map(|ring| ring.size_bytes.saturating_sub(ring.fill_bytes)).min();
        let room = free.map_or(String::new(), |free| format!("; the fullest ring has {free} bytes left"));
        all.critical(
            "writer_stalled",
            format!("the writer has not run for {:.1} s{room}", silent.as_secs_f64()),
            "is the process stopped (SIGSTOP, a debugger), or its core taken by others?",
        );
    }
    let started = u64::try_from(now.taken_unix_ns.saturating_sub(now.started_unix_ns)).unwrap_or(0);
    // A logger without threads has no writer that could be silent either; nor is anything known of it.
    let served = now.worker_silent_ns.or((now.writer_silent_ns.is_some() && now.written > 0).then_some(started));
    if let Some(silent) = silent(served) {
        let (reason, advice) = if now.worker_silent_ns.is_none() {
            ("nobody archives and renders what is logged".to_owned(), "start tacho collect for the directory")
        } else {
            let what = match now.worker_activity.as_str() {
                "resting" => "has not run",
                "archiving" => "has been appending to the archive",
                "rendering" => "has been appending to the views",
                "syncing" => "has been forcing files to disk",
                _ => "has been tending the log directory",
            };
            (
                format!("the worker {what} for {:.1} s", silent.as_secs_f64()),
                "does the disk hang? Is the worker, or tacho collect, stopped or gone?",
            )
        };
        all.critical(
            "worker_stalled",
            format!("{reason}; {} of {} live segments are free", now.segments_free, now.segments),
            advice,
        );
    }
    if !now.trouble.is_empty() {
        let state = if now.in_trouble { State::Critical } else { State::Warning };
        let failing = if now.views_failing > 0 {
            format!("{} of {} views cannot be written: ", now.views_failing, now.views)
        } else {
            String::new()
        };
        all.add(
            "files",
            state,
            format!("{failing}{}", now.trouble),
            "nothing is lost while live segments are free; free space or mend the files, it goes on by itself",
        );
    }
}

fn lags(all: &mut Findings, before: &Vitals, now: &Vitals, limits: &Limits) {
    let lag = Duration::from_nanos(now.view_lag_ns);
    if let Some(state) = graded(lag >= limits.view_lag_max, lag >= limits.view_lag_max.saturating_mul(4)) {
        let reason = format!("the views are {:.1} s behind; {} records wait", lag.as_secs_f64(), now.view_lag_records);
        all.add(
            "view_lag",
            state,
            reason,
            "is the disk slow, a view failing, or the renderer (another process) stopped?",
        );
    }
    let full = now.segments.saturating_sub(now.segments_free);
    let starved = now.starved > before.starved && before.segments > 0;
    if let Some(state) = graded(
        u64::from(full) * 4 > u64::from(now.segments) * 3,
        now.segments > 0 && (now.segments_free == 0 || starved),
    ) {
        let reason = format!("{full} of {} live segments wait for the archive", now.segments);
        all.add(
            "archive_lag",
            state,
            reason,
            "the disk is slower than what is logged; when no segment is free, rings fill and records are dropped",
        );
    }
    let near = |bytes: u64, size: u64| size > 0 && bytes >= size / 4 * 3;
    let high = now.rings.iter().find(|ring| {
        let known = before.rings.iter().find(|known| known.number == ring.number);
        let grown = known.is_none_or(|known| ring.high_water_bytes > known.high_water_bytes);
        near(ring.fill_bytes, ring.size_bytes) || (grown && near(ring.high_water_bytes, ring.size_bytes))
    });
    if let Some(ring) = high {
        let reason = format!(
            "the ring of thread {:?} had {} of {} bytes waiting",
            ring.thread,
            ring.high_water_bytes.max(ring.fill_bytes),
            ring.size_bytes
        );
        all.warning("rings", reason, "larger rings (ring_bytes), or a writer with a core of its own");
    }
}

fn disk(all: &mut Findings, now: &Vitals) {
    let disk = &now.disk;
    if disk.measured_unix_ns == 0 {
        return;
    }
    let below = |percent: u64, bytes: u64| disk.free_bytes < (disk.total_bytes / 100 * percent).min(bytes);
    let soon = |seconds: u64| disk.full_in_s.is_some_and(|full| full < seconds);
    let known = disk.total_bytes > 0;
    if let Some(state) =
        graded(known && below(10, 10 * GIB) || soon(24 * HOUR_S), known && below(2, GIB) || soon(HOUR_S))
    {
        let when = disk.full_in_s.map_or(String::new(), |full| format!("; full in {full} s at the present rate"));
        let reason = format!("{} of {} bytes are free{when}", disk.free_bytes, disk.total_bytes);
        all.add(
            "disk",
            state,
            reason,
            "free some space, or lower archive_bytes_max and view_backups, or set disk_bytes_cap",
        );
    }
    if let Some(cap) = disk.cap_bytes {
        let (free, kept) = (disk.cap_free_bytes, disk.cap_kept_bytes);
        if let Some(state) = graded(free < kept / 2, free < kept / 8) {
            let reason = format!("{free} bytes are left below disk_bytes_cap ({cap}), {kept} should be");
            all.add("disk_cap", state, reason, "nothing is left that may be deleted: are there foreign files in the log directory, or lines that cannot be written?");
        }
    }
}

fn conditions(all: &mut Findings, before: &Vitals, now: &Vitals) {
    // Without a health page of this version nothing of it is known.
    if now.version.is_empty() {
        return;
    }
    if !now.survives_kill {
        all.warning(
            "survival",
            format!("crash survival is off or impaired: {}", now.remarks),
            "see docs/shared-memory.md",
        );
    }
    if !now.clock.steady && now.clock.stamp != "manual" {
        all.warning(
            "clock",
            "the processor has no counter of one rate: log calls may make system calls, and times can be wrong"
                .to_owned(),
            "use a host with an invariant time-stamp counter",
        );
    }
    if let Some(wanted) = now.core_wanted.filter(|wanted| now.core != Some(*wanted) && now.written > 0) {
        all.warning(
            "pinning",
            format!("the writer is not pinned to core {wanted}"),
            "was the process's set of cores changed? Set writer_core",
        );
    }
    if now.shrunk {
        all.warning(
            "memory",
            format!("live memory is smaller than configured: {}", now.remarks),
            "give the shared-memory file system more room (Docker: --shm-size), or set shm_bytes_max",
        );
    }
    if !now.locked {
        all.add(
            "unlocked",
            State::Ok,
            "live memory can be swapped out".to_owned(),
            "raise the limit on locked memory (ulimit -l; LimitMEMLOCK= of systemd)",
        );
    }
    let sum = |of: &Vitals| of.sampled_out.iter().fold(0_u64, |sum, out| sum.saturating_add(*out));
    let (out, called) = (sum(now).saturating_sub(sum(before)), now.called().saturating_sub(before.called()));
    if called >= SAMPLED_LEAST && out > called / 10 * 9 {
        all.warning(
            "sampling",
            format!("sampling left out {out} of {called} calls"),
            "who repeats itself so often? See the summaries in the log",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::vitals::{DiskState, Ring};

    const SECOND: i64 = 1_000_000_000;

    fn well() -> Vitals {
        let mut vitals = Vitals {
            version: "1".to_owned(),
            taken_unix_ns: 1_000 * SECOND,
            started_unix_ns: 1,
            written: 5,
            segments: 8,
            segments_free: 7,
            writer_silent_ns: Some(0),
            worker_silent_ns: Some(0),
            survives_kill: true,
            locked: true,
            services: service(Phase::Running, 1),
            ..Vitals::default()
        };
        vitals.clock.steady = true;
        vitals.disk =
            DiskState { measured_unix_ns: 1, free_bytes: 500 << 30, total_bytes: 1 << 40, ..DiskState::default() };
        vitals
    }

    fn service(phase: Phase, starts: u32) -> Vec<ServiceState> {
        vec![ServiceState { name: "a".to_owned(), phase, starts, ..ServiceState::default() }]
    }

    /// What changes a well process, the finding that comes of it, and its state.
    type Case = (fn(&mut Vitals), &'static str, State);

    #[test]
    fn each_condition_has_its_finding_and_a_well_process_none() {
        use State::{Critical, Ok, Warning};
        let limits = Limits::default();
        let start = check(None, well(), &limits);
        assert_eq!((start.state, &*start.findings), (Ok, &[][..]));
        let cases: [Case; 30] = [
            (|v| v.life = Life::Dead, "crashed", Critical),
            (|v| v.services = service(Phase::Running, 2), "services", Warning),
            (|v| v.services = service(Phase::Pausing, 1), "services", Warning),
            (|v| v.services = service(Phase::Failed, 1), "services", Critical),
            (|v| v.dropped.full = 999, "drops", Warning),
            (|v| v.dropped.full = 1_000, "drops", Critical),
            (|v| v.lost = 1, "lost", Critical),
            (|v| v.writer_silent_ns = Some(5_000_000_000), "writer_stalled", Critical),
            (|v| v.worker_silent_ns = Some(5_000_000_000), "worker_stalled", Critical),
            (|v| v.worker_silent_ns = None, "worker_stalled", Critical),
            (|v| (v.trouble, v.in_trouble) = ("no room".to_owned(), true), "files", Critical),
            (|v| v.trouble = "other settings".to_owned(), "files", Warning),
            (|v| (v.view_lag_records, v.view_lag_ns) = (3, 30_000_000_000), "view_lag", Warning),
            (|v| (v.view_lag_records, v.view_lag_ns) = (3, 120_000_000_000), "view_lag", Critical),
            (|v| v.segments_free = 1, "archive_lag", Warning),
            (|v| v.segments_free = 0, "archive_lag", Critical),
            (|v| v.starved = 1, "archive_lag", Critical),
            (|v| v.rings = vec![Ring { high_water_bytes: 75, size_bytes: 100, ..Ring::default() }], "rings", Warning),
            (|v| v.disk.free_bytes = 9 << 30, "disk", Warning),
            (|v| v.disk.free_bytes = 1 << 29, "disk", Critical),
            (|v| v.disk.full_in_s = Some(86_399), "disk", Warning),
            (|v| v.disk.full_in_s = Some(3_599), "disk", Critical),
            (
                |v| (v.disk.cap_bytes, v.disk.cap_kept_bytes, v.disk.cap_free_bytes) = (Some(9), 80, 39),
                "disk_cap",
                Warning,
            ),
            (
                |v| (v.disk.cap_bytes, v.disk.cap_kept_bytes, v.disk.cap_free_bytes) = (Some(9), 80, 9),
                "disk_cap",
                Critical,
            ),
            (|v| v.survives_kill = false, "survival", Warning),
            (|v| v.clock.steady = false, "clock", Warning),
            (|v| v.core_wanted = Some(3), "pinning", Warning),
            (|v| v.shrunk = true, "memory", Warning),
            (|v| v.locked = false, "unlocked", Ok),
            (|v| v.sampled_out = [9_999, 0, 0], "sampling", Warning),
        ];
        for (change, id, state) in cases {
            let mut now = well();
            change(&mut now);
            let checked = check(Some(&start), now, &limits);
            let found: Vec<(&str, State)> = checked.findings.iter().map(|one| (&*one.id, one.state)).collect();
            assert_eq!((found, checked.state), (vec![(id, state)], state));
        }
    }

    #[test]
    fn a_finding_ends_when_it_was_absent_for_the_hold_and_is_held_at_its_worst() {
        let limits = Limits { hold: Duration::from_secs(30), ..Limits::default() };
        let mut last = check(None, well(), &limits);
        let mut seen = Vec::new();
        for second in 1..70 {
            let mut now = well();
            now.taken_unix_ns += second * SECOND;
            now.segments_free = if second == 2 { 0 } else { 1 };
            if second > 30 {
                now.segments_free = 7;
            }
            last = check(Some(&last), now, &limits);
            seen.push(last.findings.first().map(|finding| (finding.state, finding.since_unix_ns)));
        }
        let since = well().taken_unix_ns + SECOND;
        assert_eq!(seen.first(), Some(&Some((State::Warning, since))));
        assert!(seen.get(1..59).unwrap().iter().all(|seen| *seen == Some((State::Critical, since))), "{seen:?}");
        assert!(seen.get(59..).unwrap().iter().all(Option::is_none), "{seen:?}");
    }
}
