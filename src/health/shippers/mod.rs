//! Shippers: who reads the journals of a directory with a cursor of its own, how far it is, and what is found of that.
//! `tacho ship` is one. Each is looked at from outside: its cursor, and the file in which it says how it is doing.
//!
//! | finding | state | when |
//! |---|---|---|
//! | `ship_lost` | critical | since the last look segments went before they were shipped, or refused records found no room in their file |
//! | `ship_lag` | warning, critical | a shipper that follows has been behind for 5 min, for an hour; or three quarters, 15 of 16 parts, of what retention spares for it are used up |
//! | `ship_stopped` | warning | a shipper that follows has said nothing for a minute, and something waits |
//! | `ship_trouble` | warning | its receiver cannot be reached, or does not take what is sent |
//! | `ship_refused` | warning | since the last look the receiver refused records for ever |
//!
//! Findings are held as those of processes are: [`check`](super::check).

pub mod lag;
mod look;
pub mod status;

pub use look::look;

use super::check::{Finding, Limits, State, graded, settle};
use lag::Waiting;
use serde::{Deserialize, Serialize};
use status::Status;
use std::borrow::Cow;
use std::time::Duration;

/// How long a shipper that follows may be behind.
const LAG_MAX: Duration = Duration::from_secs(300);
/// From so many times that on it is critical.
const LAG_CRITICAL: u32 = 12;
/// How long a shipper that follows may say nothing.
const SILENT_MAX: Duration = Duration::from_secs(60);

/// A shipper, as it was found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Vitals {
    /// Name of its cursor.
    pub name: String,
    /// When it was looked at, nanoseconds since the Unix epoch.
    pub taken_unix_ns: i64,
    /// What it says of itself; nothing where it never said anything.
    pub status: Status,
    /// What waits for it.
    pub waiting: Waiting,
    /// Since when records wait that were not shipped, at the longest, in nanoseconds; 0 when nothing waits.
    pub lag_ns: u64,
    /// The most bytes of archives that retention spares for it; `None` where that is not known.
    pub spared_bytes: Option<u64>,
}

impl Vitals {
    /// Puts together what was found.
    pub fn new(name: &str, taken_unix_ns: i64, status: Status, waiting: Waiting) -> Self {
        let all_was_sent = status.shipped_until_unix_ns.max(status.caught_up_unix_ns);
        let lag_ns = match waiting.bytes {
            0 => 0,
            _ => u64::try_from(taken_unix_ns.saturating_sub(all_was_sent)).unwrap_or(0),
        };
        Self { name: name.to_owned(), taken_unix_ns, status, waiting, lag_ns, spared_bytes: None }
    }

    /// Segments that went before they were shipped: those that the shipper met, and those that it has not come to yet.
    pub fn lost_segments(&self) -> u64 {
        self.status.missing_segments.saturating_add(self.waiting.missing)
    }

    /// How a shipper is called where it stands among processes.
    pub fn label(&self) -> String {
        format!("ship:{}", self.name)
    }
}

/// A shipper with what was found of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CheckedShipper {
    /// The worst state of the findings.
    pub state: State,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// The shipper.
    pub vitals: Vitals,
}

/// What is found of a shipper now, `previous` being how it was at the last look, if there was one.
pub fn check(previous: Option<&CheckedShipper>, mut now: Vitals, limits: &Limits) -> CheckedShipper {
    let before = previous.map(|previous| &previous.vitals);
    // Who looks from outside does not know the limits of the archive; who renders the views told them.
    now.spared_bytes = now.spared_bytes.or(before.and_then(|before| before.spared_bytes));
    let mut findings = found(before.unwrap_or(&Vitals::default()), &now);
    let known = previous.map_or(&[][..], |previous| &previous.findings);
    let state = settle(known, &mut findings, now.taken_unix_ns, limits.hold);
    CheckedShipper { state, findings, vitals: now }
}

fn found(before: &Vitals, now: &Vitals) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut add = |id: &'static str, state: State, reason: String, advice: &'static str| {
        all.push(Finding { id: Cow::Borrowed(id), state, reason, advice: Cow::Borrowed(advice), ..Finding::default() });
    };
    let (name, status) = (&now.name, &now.status);
    let segments = now.lost_segments().saturating_sub(before.lost_segments());
    let records = status.refused_lost.saturating_sub(before.status.refused_lost);
    if segments + records > 0 {
        let reason = format!(
            "{name}: {segments} segments were gone before they were shipped, {records} refused records found no room"
        );
        let advice = "larger archives (archive_bytes_max), a shipper that runs, or a larger file (--refused-bytes-max)";
        add("ship_lost", State::Critical, reason, advice);
    }
    let lag = Duration::from_nanos(if status.follows { now.lag_ns } else { 0 });
    let by_time = graded(lag >= LAG_MAX, lag >= LAG_MAX.saturating_mul(LAG_CRITICAL));
    let uses = |part: u64| now.spared_bytes.is_some_and(|spared| now.waiting.bytes >= spared / 16 * part);
    if let Some(state) = by_time.max(graded(uses(12), uses(15))) {
        let spared = now.spared_bytes.map_or(String::new(), |bytes| format!(" of {bytes} that are kept for it"));
        let reason = format!("{name}: {:.0} s behind; {} bytes wait{spared}", lag.as_secs_f64(), now.waiting.bytes);
        add("ship_lag", state, reason, "is the receiver, or tacho ship, too slow? What is not shipped in time is lost");
    }
    let silent =
        Duration::from_nanos(u64::try_from(now.taken_unix_ns.saturating_sub(status.written_unix_ns)).unwrap_or(0));
    match &status.trouble {
        Some(trouble) => {
            add(
                "ship_trouble",
                State::Warning,
                format!("{name}: {trouble}"),
                "see tacho ship --status; it tries again",
            );
        }
        None if status.follows && silent >= SILENT_MAX && now.waiting.bytes > 0 => {
            let (seconds, bytes) = (silent.as_secs(), now.waiting.bytes);
            let reason = format!("{name}: nothing was heard of it for {seconds} s; {bytes} bytes wait");
            add("ship_stopped", State::Warning, reason, "start it again, or give up its cursor: tacho ship --forget");
        }
        None => {}
    }
    let unwanted = |status: &Status| status.refused.saturating_add(status.rejected);
    let refused = unwanted(status).saturating_sub(unwanted(&before.status));
    if refused > 0 {
        let reason = format!("{name}: {refused} records were refused by {}", status.receiver);
        add("ship_refused", State::Warning, reason, "see the file of refused records, ship-NAME.refused.jsonl");
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// A shipper that follows and does what it should.
    fn well(second: i64) -> Vitals {
        let now = (1000 + second) * SECOND;
        let status = Status { follows: true, caught_up_unix_ns: now, written_unix_ns: now, ..Status::default() };
        Vitals::new("otlp", now, status, Waiting { segments: 1, bytes: 160, missing: 0 })
    }

    #[test]
    fn each_finding_has_its_condition() {
        type Change = fn(&mut Vitals);
        use State::{Critical, Warning};
        let start = check(None, well(0), &Limits::default());
        assert_eq!((start.state, start.findings.len()), (State::Ok, 0));
        let cases: [(Change, &str, State); 9] = [
            (|v| v.lag_ns = 300 * SECOND as u64, "ship_lag", Warning),
            (|v| v.lag_ns = 3600 * SECOND as u64, "ship_lag", Critical),
            (|v| v.spared_bytes = Some(210), "ship_lag", Warning),
            (|v| v.spared_bytes = Some(160), "ship_lag", Critical),
            (|v| v.waiting.missing = 2, "ship_lost", Critical),
            (|v| v.status.refused_lost = 2, "ship_lost", Critical),
            (|v| v.status.written_unix_ns -= 60 * SECOND, "ship_stopped", Warning),
            (|v| v.status.trouble = Some("down".to_owned()), "ship_trouble", Warning),
            (|v| v.status.rejected = 1, "ship_refused", Warning),
        ];
        for (change, id, state) in cases {
            let mut now = well(1);
            change(&mut now);
            let checked = check(Some(&start), now, &Limits::default());
            let found: Vec<(&str, State)> = checked.findings.iter().map(|one| (&*one.id, one.state)).collect();
            assert_eq!((found, checked.state), (vec![(id, state)], state));
        }
    }

    #[test]
    fn who_is_run_now_and_then_is_not_behind_and_a_segment_that_it_meets_as_missing_is_no_new_loss() {
        let mut now = well(1);
        now.status.follows = false;
        (now.lag_ns, now.status.written_unix_ns) = (u64::MAX, 0);
        assert_eq!(check(None, now, &Limits::default()).state, State::Ok);
        let mut lost = well(1);
        lost.waiting.missing = 2;
        let lost = check(Some(&check(None, well(0), &Limits::default())), lost, &Limits::default());
        assert_eq!(lost.state, State::Critical);
        let mut met = well(40);
        met.status.missing_segments = 2;
        assert_eq!(check(Some(&lost), met, &Limits::default()).state, State::Ok);
    }

    #[test]
    fn the_lag_is_since_it_had_nothing_left_or_since_the_last_record_that_it_sent() {
        let of = |caught_up, shipped_until, bytes| {
            let status =
                Status { caught_up_unix_ns: caught_up, shipped_until_unix_ns: shipped_until, ..Status::default() };
            Vitals::new("x", 100, status, Waiting { bytes, ..Waiting::default() }).lag_ns
        };
        assert_eq!((of(90, 80, 1), of(80, 90, 1), of(80, 90, 0)), (10, 10, 0));
    }
}
