//! A request of another process of the same user, and the answer: one at a time, through the control page.
//!
//! ```text
//! tacho (has the lock of the page's file): words, asked + 1 ──▶ writer or worker: waiting()
//! writer or worker: answer, refused, answered = asked        ──▶ tacho: answer_to(number)
//! ```
//!
//! Whoever takes the request believes nothing of it: what it does not understand it refuses, with what there is instead.

use super::text::Text;
use std::sync::atomic::{AtomicU64, Ordering};

/// A place for a request and its answer.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Ask {
    /// Counts the requests.
    asked: AtomicU64,
    /// The last that was answered.
    answered: AtomicU64,
    /// 1 where the answer says why nothing was done.
    refused: AtomicU64,
    words: Text,
    answer: Text,
}

impl Ask {
    /// By who asks, and holds the lock of the page's file: has `words` done. Returns the number of the request.
    pub(crate) fn put(&self, words: &str) -> u64 {
        let number = self.asked.load(Ordering::Relaxed).wrapping_add(1);
        self.words.say(words);
        // SYNC POINT with the load in `waiting`: the words are there.
        self.asked.store(number, Ordering::Release);
        number
    }

    /// By who serves: the request that waits, if one does.
    #[inline]
    pub(crate) fn waiting(&self) -> Option<(u64, String)> {
        // SYNC POINT with the store in `put`.
        let number = self.asked.load(Ordering::Acquire);
        (number != self.answered.load(Ordering::Relaxed)).then(|| (number, self.words.read()))
    }

    /// By who serves: what came of request `number`; an error says why nothing was done, and what there is.
    pub(crate) fn answer(&self, number: u64, answer: &Result<String, String>) {
        let (refused, text) = match answer {
            Ok(text) => (0, text),
            Err(text) => (1, text),
        };
        self.answer.say(text);
        self.refused.store(refused, Ordering::Relaxed);
        // SYNC POINT with the load in `answer_to`: the answer is there.
        self.answered.store(number, Ordering::Release);
    }

    /// By who asked: the answer, once it is there.
    pub(crate) fn answer_to(&self, number: u64) -> Option<Result<String, String>> {
        // SYNC POINT with the store in `answer`.
        if self.answered.load(Ordering::Acquire) != number {
            return None;
        }
        let text = self.answer.read();
        Some(if self.refused.load(Ordering::Relaxed) == 0 { Ok(text) } else { Err(text) })
    }
}
