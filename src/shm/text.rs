//! A short text that one process says and others read, without a lock.

use crate::sync::{AtomicU64, Ordering, fence};

/// A model tries every word's values: it has two.
const WORDS: usize = if cfg!(loom) { 2 } else { 64 };
/// Bytes of the longest text; what is longer is cut.
pub const TEXT_BYTES_MAX: usize = WORDS * 8;
/// Attempts at reading a text that is being changed.
const TRIES: usize = 100;

/// The text. One thread at a time says it; all zeros are the empty one.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Text {
    /// Odd while the text changes.
    version: AtomicU64,
    bytes: AtomicU64,
    text: [AtomicU64; WORDS],
}

impl Text {
    /// Says `text`.
    pub(crate) fn say(&self, text: &str) {
        let end = (0..=text.len().min(TEXT_BYTES_MAX)).rev().find(|end| text.is_char_boundary(*end));
        let text = end.and_then(|end| text.get(..end)).unwrap_or_default();
        // Who said something before may have been killed in the midst of it.
        let changing = self.version.load(Ordering::Relaxed) | 1;
        self.version.store(changing, Ordering::Relaxed);
        // Whoever sees a word stored behind this fence sees the odd version.
        fence(Ordering::Release);
        for (word, bytes) in self.text.iter().zip(text.as_bytes().chunks(8)) {
            let mut padded = [0; 8];
            padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            word.store(u64::from_le_bytes(padded), Ordering::Relaxed);
        }
        self.bytes.store(text.len() as u64, Ordering::Relaxed);
        // SYNC POINT with the first load in `read`: the text is whole.
        self.version.store(changing.wrapping_add(1), Ordering::Release);
    }

    /// What is said; empty also when it is being changed all the time.
    pub(crate) fn read(&self) -> String {
        (0..TRIES).find_map(|_| self.try_read()).unwrap_or_default()
    }

    fn try_read(&self) -> Option<String> {
        // SYNC POINT with the last store in `say`.
        let before = self.version.load(Ordering::Acquire);
        let bytes = usize::try_from(self.bytes.load(Ordering::Relaxed)).ok()?;
        let mut text: Vec<u8> = self.text.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
        fence(Ordering::Acquire);
        let after = self.version.load(Ordering::Relaxed);
        if before & 1 != 0 || before != after || bytes > text.len() {
            std::hint::spin_loop();
            return None;
        }
        text.truncate(bytes);
        Some(String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
impl Text {
    /// As zeroed memory has it.
    pub(super) fn silent() -> Self {
        let zero = || AtomicU64::new(0);
        Self { version: zero(), bytes: zero(), text: std::array::from_fn(|_| zero()) }
    }
}

#[cfg(all(test, loom))]
mod models {
    //! `RUSTFLAGS="--cfg loom" cargo test --lib --release models`

    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn models_a_text_is_read_whole_or_not_at_all() {
        loom::model(|| {
            let shared = Arc::new(Text::silent());
            shared.say("one and one more");
            let theirs = Arc::clone(&shared);
            let speaker = thread::spawn(move || theirs.say("TWO AND TWO"));
            if let Some(read) = shared.try_read() {
                assert!(["one and one more", "TWO AND TWO"].contains(&read.as_str()), "{read}");
            }
            speaker.join().unwrap();
            assert_eq!(shared.try_read().as_deref(), Some("TWO AND TWO"));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_whole_or_not_at_all() {
        let words = Text::silent();
        assert_eq!(words.read(), "");
        words.say(&"é".repeat(TEXT_BYTES_MAX));
        assert_eq!(words.read(), "é".repeat(TEXT_BYTES_MAX / 2));
        let texts = ["a".repeat(500), "b".repeat(3), String::new()];
        words.say("");
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (0..30_000).for_each(|round| words.say(&texts[round % 3])));
            while !writer.is_finished() {
                let read = words.read();
                assert!(texts.contains(&read), "{read}");
            }
        });
    }

    #[test]
    fn who_was_killed_while_it_spoke_leaves_the_next_a_text_to_say() {
        let words = Text::silent();
        words.version.store(7, Ordering::Relaxed);
        assert_eq!(words.read(), "");
        words.say("x");
        assert_eq!(words.read(), "x");
    }
}
