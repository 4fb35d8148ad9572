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
