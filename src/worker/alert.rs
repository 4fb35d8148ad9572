//! The command that is told of changes of health: program and arguments without a shell, the event on standard input.
//!
//! One run at a time, with a limit on its time and on how many there are; the worker never waits for it. The event stands in a
//! memory file, not in a pipe, so that a command which does not read holds nobody up. Of a finding that comes and goes while
//! earlier events wait, nothing is told; of one that changes, only how it is by then.

use crate::clock::instant::Instant;
use crate::format::escape::harmless_json;
use crate::health::check::State;
use crate::health::event::HealthEvent;
use crate::sys::file::memory_file;
use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Runs that may follow each other at once.
const BURST: u32 = 20;
/// How long it takes until one more is allowed.
const REFILL: Duration = Duration::from_secs(30);
/// Events that wait at most; of more, the oldest are not told.
const WAITING_MAX: usize = 256;

/// The command, its run and what waits for it.
#[derive(Debug)]
pub(super) struct Alerts {
    command: Vec<String>,
    time_max: Duration,
    waiting: VecDeque<HealthEvent>,
    running: Option<(Child, Instant)>,
    allowed: u32,
    refilled_at: Instant,
}

impl Alerts {
    /// Runs `command`, if it is one.
    pub(super) fn new(command: Vec<String>, time_max: Duration) -> Self {
        Self { command, time_max, waiting: VecDeque::new(), running: None, allowed: BURST, refilled_at: Instant::now() }
    }

    /// Has `event` told, some time.
    pub(super) fn tell(&mut self, event: HealthEvent) {
        if !self.command.is_empty() {
            push(&mut self.waiting, event);
        }
    }

    /// Whether a run goes on, or is to begin at once.
    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some() || (self.allowed > 0 && !self.waiting.is_empty())
    }

    /// Ends a run that has ended or takes too long, and begins the next.
    pub(super) fn step(&mut self) -> io::Result<()> {
        let ended = self.reap();
        if self.refilled_at.elapsed() >= REFILL {
            self.refilled_at = Instant::now();
            self.allowed = (self.allowed + 1).min(BURST);
        }
        if self.running.is_none()
            && self.allowed > 0
            && let Some(event) = self.waiting.pop_front()
        {
            self.allowed -= 1;
            self.running = Some((self.start(&event)?, Instant::now()));
        }
        ended
    }

    fn start(&self, event: &HealthEvent) -> io::Result<Child> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut json = harmless_json(&serde_json::to_string(event).map_err(io::Error::other)?).into_bytes();
        json.push(b'\n');
        let mut input = memory_file(c"health-event", json.len())?;
        input.write_all(&json)?;
        io::Seek::rewind(&mut input)?;
        let mut command = Command::new(program);
        // A group of its own, so that what it starts ends with it.
        command.args(arguments).stdin(input).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        command.spawn().map_err(|error| io::Error::new(error.kind(), format!("cannot start {program:?}: {error}")))
    }

    fn reap(&mut self) -> io::Result<()> {
        let Some((child, since)) = &mut self.running else { return Ok(()) };
        let program = self.command.first().map_or("", String::as_str);
        match child.try_wait() {
            Ok(None) if since.elapsed() < self.time_max => Ok(()),
            Ok(None) => {
                let text = format!("{program:?} took longer than {:?} and was killed", self.time_max);
                self.end();
                Err(io::Error::new(io::ErrorKind::TimedOut, text))
            }
            Ok(Some(status)) if status.success() => {
                self.running = None;
                Ok(())
            }
            Ok(Some(status)) => {
                self.running = None;
                Err(io::Error::other(format!("{program:?} failed: {status}")))
            }
            // The host waits for all children itself: how this one ended nobody knows.
            Err(_) => {
                self.running = None;
                Ok(())
            }
        }
    }

    /// Kills what runs.
    fn end(&mut self) {
        let Some((mut child, _)) = self.running.take() else { return };
        if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Alerts {
    fn drop(&mut self) {
        self.end();
    }
}

/// Puts `event` behind those that wait; one of the same finding makes way.
fn push(waiting: &mut VecDeque<HealthEvent>, mut event: HealthEvent) {
    let same = |other: &HealthEvent| other.process == event.process && other.id == event.id;
    if let Some(before) = waiting.iter().position(same).and_then(|at| waiting.remove(at)) {
        event.was = before.was;
        if event.was == State::Ok && event.state == State::Ok {
            return;
        }
    }
    if waiting.len() >= WAITING_MAX {
        waiting.pop_front();
    }
    waiting.push_back(event);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn event(id: &str, was: State, state: State) -> HealthEvent {
        HealthEvent {
            schema: 1,
            dir: "d".repeat(8_000),
            process: "p".to_owned(),
            pid: 1,
            unix_ns: 2,
            id: id.to_owned(),
            state,
            was,
            reason: "because".to_owned(),
            advice: String::new(),
        }
    }

    fn until(mut is_so: impl FnMut() -> bool) {
        let end = std::time::Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(std::time::Instant::now() < end);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn what_waits_is_told_as_it_is_by_then() {
        use State::{Critical, Ok, Warning};
        let mut waiting = VecDeque::new();
        for (id, was, state) in [("a", Ok, Warning), ("b", Ok, Warning), ("b", Warning, Critical), ("a", Warning, Ok)] {
            push(&mut waiting, event(id, was, state));
        }
        let left: Vec<_> = waiting.iter().map(|event| (event.id.as_str(), event.was, event.state)).collect();
        assert_eq!(left, [("b", Ok, Critical)]);
    }

    #[test]
    fn each_event_is_one_run_and_they_are_limited() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("told");
        let script = format!("cat >> {}", file.display());
        let mut alerts = Alerts::new(vec!["/bin/sh".into(), "-c".into(), script], Duration::from_secs(60));
        for number in 0..2 * BURST {
            alerts.tell(event(&format!("id {number}"), State::Ok, State::Critical));
        }
        until(|| {
            alerts.step().unwrap();
            !alerts.is_busy()
        });
        let text = fs::read_to_string(&file).unwrap();
        assert!((BURST as usize..2 * BURST as usize).contains(&text.lines().count()), "{text}");
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!((&first["id"], &first["state"], &first["was"]), (&"id 0".into(), &"critical".into(), &"ok".into()));
    }

    #[test]
    fn one_that_fails_hangs_or_is_not_there_is_an_error_and_the_next_runs() {
        let sh = |script: &str| vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()];
        for (command, expected) in [
            (sh("exit 3"), "exit status: 3"),
            (sh("sleep 1000 & wait"), "was killed"),
            (vec!["/nonexistent/program".to_owned()], "cannot start"),
        ] {
            let mut alerts = Alerts::new(command, Duration::from_millis(50));
            alerts.tell(event("a", State::Ok, State::Warning));
            let mut said = String::new();
            until(|| match alerts.step() {
                Ok(()) => false,
                Err(error) => {
                    said = error.to_string();
                    true
                }
            });
            assert!(said.contains(expected), "{said}");
            assert!(!alerts.is_busy());
        }
    }
}
