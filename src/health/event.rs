//! A finding that begins, gets worse or ends: what the log, the callback and the command are told, once.

use super::check::{Checked, Finding, State};
use super::shippers::CheckedShipper;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// Number of the JSON form of an event.
pub const SCHEMA: u32 = 1;

/// A change of health.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct HealthEvent {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The log directory.
    pub dir: String,
    /// Name of the process's journal; `ship:NAME` for a shipper.
    pub process: String,
    /// Its number, in its own namespace; 0 where it is not known.
    pub pid: u32,
    /// When, nanoseconds since the Unix epoch.
    pub unix_ns: i64,
    /// Which finding; see [`check`](super::check).
    pub id: String,
    /// How it is now: `Ok` where the finding is over.
    pub state: State,
    /// How it was before.
    pub was: State,
    /// What was found; of a finding that is over, what had been found last.
    pub reason: String,
    /// What helps.
    pub advice: String,
}

impl fmt::Display for HealthEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, id) = (self.state.as_str(), &self.id);
        match self.state {
            State::Ok => write!(f, "health: {id} is ok again; it was {}: {}", self.was.as_str(), self.reason),
            _ => write!(f, "health: {state}: {id}: {} ({})", self.reason, self.advice),
        }
    }
}

/// What is to be told of the change from `before` to `now`. Hints are not told.
pub(crate) fn events(dir: &str, before: Option<&Checked>, now: &Checked) -> Vec<HealthEvent> {
    let known = before.map_or(&[][..], |before| &before.findings);
    let of = (now.vitals.process.clone(), now.vitals.pid);
    changes(dir, of, now.vitals.taken_unix_ns, known, &now.findings)
}

/// The same of a shipper.
pub(crate) fn shipper_events(dir: &str, before: Option<&CheckedShipper>, now: &CheckedShipper) -> Vec<HealthEvent> {
    let known = before.map_or(&[][..], |before| &before.findings);
    let of = (now.vitals.label(), now.vitals.status.pid);
    changes(dir, of, now.vitals.taken_unix_ns, known, &now.findings)
}

fn changes(
    dir: &str,
    (process, pid): (String, u32),
    unix_ns: i64,
    before: &[Finding],
    now: &[Finding],
) -> Vec<HealthEvent> {
    let find = |all: &[Finding], id: &str| -> State {
        all.iter().find(|finding| finding.id == id).map_or(State::Ok, |finding| finding.state)
    };
    let event = |finding: &Finding, state: State, was: State| HealthEvent {
        schema: SCHEMA,
        dir: dir.to_owned(),
        process: process.clone(),
        pid,
        unix_ns,
        id: finding.id.to_string(),
        state,
        was,
        reason: finding.reason.clone(),
        advice: finding.advice.to_string(),
    };
    let begun = now.iter().filter_map(|finding| {
        let was = find(before, &finding.id);
        (finding.state > was).then(|| event(finding, finding.state, was))
    });
    let over = before.iter().filter_map(|finding| {
        let is_over = find(now, &finding.id) == State::Ok;
        (is_over && finding.state > State::Ok).then(|| event(finding, State::Ok, finding.state))
    });
    begun.chain(over).collect()
}

/// What a program wants to be called with each event.
#[derive(Clone)]
pub(crate) struct Callback(pub(crate) Arc<dyn Fn(&HealthEvent) + Send + Sync>);

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::check::{Limits, check};
    use crate::health::vitals::Vitals;

    #[test]
    fn each_change_is_told_once_and_what_gets_better_in_between_is_not() {
        let limits = Limits { hold: std::time::Duration::from_nanos(10), ..Limits::default() };
        let mut before = None;
        let mut told = Vec::new();
        // Free segments of eight, one look after the other.
        for (tick, free) in [7, 1, 1, 0, 1, 7, 7, 7, 0].into_iter().enumerate() {
            let vitals =
                Vitals { segments: 8, segments_free: free, taken_unix_ns: 8 * tick as i64, ..Vitals::default() };
            let now = check(before.as_ref(), vitals, &limits);
            told.extend(events("d", before.as_ref(), &now).iter().map(|event| (tick, event.was, event.state)));
            before = Some(now);
        }
        use State::{Critical, Ok, Warning};
        assert_eq!(told, [(1, Ok, Warning), (3, Warning, Critical), (6, Critical, Ok), (8, Ok, Critical)]);
    }
}
