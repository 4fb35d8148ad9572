//! What the worker has to say in the log: losses, and what others did to our files.
//!
//! The words go through shared memory to the writer, one statement at a time, so that they stand in the journal like
//! everything else. While the writer has no room they wait here, in bounded number.

use crate::level::Level;
use crate::shm::control::Control;
use std::collections::VecDeque;

/// Statements that wait at most; what comes beyond them is counted.
const WAITING_MAX: usize = 64;

/// Statements in wait.
#[derive(Debug, Default)]
pub(super) struct Statements {
    waiting: VecDeque<(Level, String)>,
    missed: u64,
}

impl Statements {
    /// Has `text` said as a warning, some time.
    pub(super) fn say(&mut self, text: String) {
        self.say_at(Level::Warn, text);
    }

    /// The same, at a level.
    pub(super) fn say_at(&mut self, level: Level, text: String) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back((level, text));
        } else {
            self.missed += 1;
        }
    }

    /// What waits, a line each, as [`take_over`](Self::take_over) understands it.
    pub(super) fn unsaid(&self) -> impl Iterator<Item = String> {
        self.waiting.iter().map(|(level, text)| format!("{} {}", *level as u8, text.replace('\n', " ")))
    }

    /// Has said what waited elsewhere.
    pub(super) fn take_over(&mut self, line: &str) {
        let level = |number: &str| number.parse().ok().and_then(Level::from_u8);
        if let Some((level, text)) = line.split_once(' ').and_then(|(number, text)| Some((level(number)?, text))) {
            self.say_at(level, text.to_owned());
        }
    }

    /// Hands over what the writer takes.
    pub(super) fn step(&mut self, control: &Control) {
        while let Some((level, text)) = self.waiting.front() {
            if !control.statement.offer(*level, text) {
                return;
            }
            self.waiting.pop_front();
        }
        let missed = || format!("{} more statements of the worker were left out", self.missed);
        if self.missed > 0 && control.statement.offer(Level::Warn, &missed()) {
            self.missed = 0;
        }
    }
}
