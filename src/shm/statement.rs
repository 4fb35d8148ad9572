//! What a worker has to say in the log of a process, on its way to the writer: one statement at a time.

use super::text::Text;
use crate::level::Level;
use crate::sync::{AtomicU64, Ordering};

/// A statement, from the one worker to the one writer.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Statement {
    /// The number of its level while one waits for the writer, else 0.
    waits: AtomicU64,
    words: Text,
}

impl Statement {
    /// By the worker: hands over `text`, a record of this level; `false` while the one before waits.
    pub(crate) fn offer(&self, level: Level, text: &str) -> bool {
        // SYNC POINT with the store in `taken`: the writer has read the one before.
        if self.waits.load(Ordering::Acquire) != 0 {
            return false;
        }
        self.words.say(text);
        // SYNC POINT with the load in `waiting`: the text is there.
        self.waits.store(level as u64, Ordering::Release);
        true
    }

    /// By the writer: the statement that waits, if one does.
    #[inline]
    pub(crate) fn waiting(&self) -> Option<(Level, String)> {
        // SYNC POINT with the store in `offer`.
        let level = self.waits.load(Ordering::Acquire);
        // What is no level is none of ours, but a statement.
        (level != 0).then(|| (Level::from_u8(level as u8).unwrap_or(Level::Warn), self.words.read()))
    }

    /// By the writer: it stands in the journal.
    pub(crate) fn taken(&self) {
        // SYNC POINT with the load in `offer`.
        self.waits.store(0, Ordering::Release);
    }
}

#[cfg(all(test, loom))]
mod models {
    //! `RUSTFLAGS="--cfg loom" cargo test --lib --release models`

    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    fn hear(statement: &Statement) -> Vec<(Level, String)> {
        statement.waiting().inspect(|_| statement.taken()).into_iter().collect()
    }

    #[test]
    fn models_each_statement_arrives_whole_once_and_in_order() {
        loom::model(|| {
            let shared = Arc::new(Statement { waits: AtomicU64::new(0), words: Text::silent() });
            let theirs = Arc::clone(&shared);
            // The writer in the other thread: loom finds the orders to try from the last access to each word alone.
            let writer = thread::spawn(move || hear(&theirs));
            let all = [(Level::Warn, "one"), (Level::Info, "two")];
            let offered = all.into_iter().take_while(|(level, text)| shared.offer(*level, text)).count();
            let mut heard = writer.join().unwrap();
            heard.extend(hear(&shared));
            assert_eq!(heard, all.map(|(level, text)| (level, text.to_owned()))[..offered]);
        });
    }
}
