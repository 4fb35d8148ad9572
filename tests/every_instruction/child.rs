//! The process that is stepped, and what it logs.

use crate::live::live_folder;
use crate::shared::SharedWords;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tachograph::{Config, Guard, WriterCore, info, start};

pub(crate) const FLUSH: Duration = Duration::from_secs(60);
const RING_BYTES: usize = 64 << 10;
const SEGMENT_BYTES: usize = 64 << 10;

/// Words that child and parent share.
pub(crate) mod word {
    /// The thread that logs, when everything is ready.
    pub(crate) const READY: usize = 0;
    /// 1: the child may make the last calls before the stretch. 2: those of the stretch.
    pub(crate) const GO: usize = 1;
    /// Calls of the stretch that returned.
    pub(crate) const RETURNED: usize = 2;
    /// All of them did.
    pub(crate) const DONE: usize = 3;
    /// Calls before the stretch.
    pub(crate) const BEFORE: usize = 4;
    /// All of those were made, the last of them with the writer stopped.
    pub(crate) const FILLED: usize = 5;
    pub(crate) const COUNT: usize = 6;
}

/// What a call of a stretch is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    /// Integers, a float and a string.
    Plain,
    /// The same, by a call site that was never used before.
    Fresh,
    /// Longer than what a segment that is nearly full has left.
    Long,
    /// Too large for any record, and so dropped.
    TooLarge,
    /// Larger than what the ring has left, and so dropped.
    Full,
}

impl Call {
    pub(crate) fn is_dropped(self) -> bool {
        matches!(self, Self::TooLarge | Self::Full)
    }
}

/// A stretch of instructions, and the calls that are made before or in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stretch {
    /// Log calls, the first at the ring's wrap, with the writer stopped.
    Calls,
    /// The writer's step that takes them.
    Step,
    /// The same, with a rotation in its midst.
    Rotation,
}

impl Stretch {
    pub(crate) fn calls(self) -> &'static [Call] {
        match self {
            Self::Calls => &[Call::Plain, Call::Full, Call::Plain],
            Self::Step => &[Call::Plain, Call::TooLarge, Call::Fresh, Call::TooLarge],
            Self::Rotation => &[Call::Plain, Call::Plain, Call::Long, Call::Plain, Call::TooLarge],
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        [Self::Calls, Self::Step, Self::Rotation].into_iter().find(|one| format!("{one:?}") == name).unwrap()
    }
}

/// What a record says.
pub(crate) fn text_of(call: Call, number: u64, before: usize) -> String {
    let long = match call {
        Call::Long => LONG_BYTES,
        _ => before,
    };
    format!("{number} {} {} {}", number as i32 * -7, number as f64 / 4.0, "x".repeat(long))
}

/// Text of the long calls, in bytes.
const LONG_BYTES: usize = 800;
/// Text of the largest records: four of them do not fit into a ring.
const FULL_BYTES: usize = 16_350;
/// Such a record in the ring.
const FULL_FRAME_BYTES: usize = 16_408;
/// So many are in the ring before log calls are stepped.
const FULL_BEFORE: u64 = 3;

/// Text of the plain calls of a stretch, in bytes.
pub(crate) const PLAIN_BYTES: usize = 20;

pub(crate) fn config(dir: &Path) -> Config {
    fs::create_dir_all(dir.join("shm")).unwrap();
    Config::new(dir.join("logs"))
        .health_interval(Duration::ZERO)
        .shm_dir(dir.join("shm"))
        .segments(4_usize)
        .segment_bytes(SEGMENT_BYTES)
        .ring_bytes(RING_BYTES)
        .rings_spare(1_usize)
        .record_bytes_max(16_usize << 10)
        .table_bytes(64_usize << 10)
        .view_compress(false)
        .writer_core(WriterCore::Unpinned)
}

fn plain(number: u64, text: &str) {
    info!(target: "step", "{} {} {} {}", number, number as i32 * -7, number as f64 / 4.0, text);
}

fn fresh(number: u64, text: &str) {
    info!(target: "step", "{} {} {} {text}", number, number as i32 * -7, number as f64 / 4.0);
}

fn call(call: Call, number: u64, texts: &Texts) {
    match call {
        Call::Plain => plain(number, &texts.plain),
        Call::Fresh => fresh(number, &texts.plain),
        Call::Long => plain(number, &texts.long),
        Call::Full => plain(number, &texts.full),
        Call::TooLarge => info!(target: "step", "{:?}", [number; 3000]),
    }
}

struct Texts {
    plain: String,
    long: String,
    full: String,
}

/// Runs in the child; does not return before it is killed.
pub(crate) fn run(dir: &Path, stretch: Stretch) {
    let words = SharedWords::open(&dir.join("words"), word::COUNT);
    let tacho = start(config(dir)).unwrap();
    let texts = [PLAIN_BYTES, LONG_BYTES, FULL_BYTES].map(|bytes| "x".repeat(bytes));
    let [plain_text, long, full] = texts;
    let texts = Texts { plain: plain_text, long, full };
    let mut number = 0;
    // Fills ring or segment with records of the length that `wanted` asks for.
    while let Some(bytes) = wanted(stretch, &dir.join("shm"), number) {
        plain(number, &"x".repeat(bytes));
        tacho.flush(FLUSH).unwrap();
        number += 1;
    }
    // SAFETY: no preconditions.
    words.word(word::READY).store(unsafe { libc::gettid() } as u64, Ordering::Release);
    let wait = |go| {
        while words.word(word::GO).load(Ordering::Acquire) < go {
            std::hint::spin_loop();
        }
    };
    wait(1);
    if stretch == Stretch::Calls {
        (number..number + FULL_BEFORE).for_each(|number| call(Call::Full, number, &texts));
        number += FULL_BEFORE;
    }
    words.word(word::BEFORE).store(number, Ordering::Release);
    words.word(word::FILLED).store(1, Ordering::Release);
    wait(2);
    for (done, kind) in stretch.calls().iter().enumerate() {
        call(*kind, number + done as u64, &texts);
        words.word(word::RETURNED).store(done as u64 + 1, Ordering::Release);
    }
    words.word(word::DONE).store(1, Ordering::Release);
    loop {
        std::thread::sleep(Duration::from_secs(1));
        keep(&tacho);
    }
}

fn keep(_: &Guard) {}

/// Bytes of text of the next record to fill ring or segment with; `None` when the stretch may begin.
fn wanted(stretch: Stretch, shm: &Path, number: u64) -> Option<usize> {
    if number == 0 {
        return Some(1);
    }
    let folder = live_folder(shm);
    match stretch {
        Stretch::Step => None,
        Stretch::Calls => {
            // The head stands on the second pair of cache lines; data follows the first page.
            let head = word_at(&folder.join("ring.0"), 128) as usize;
            let begin = head + FULL_BEFORE as usize * FULL_FRAME_BYTES;
            let left = RING_BYTES - begin % RING_BYTES;
            // A frame has 24 bytes, the numbers before the text 24 and its length 4; 40 shall be left.
            match left {
                ..=40 => None,
                41..=199 => Some(1000),
                200..=8000 => Some(left - 40 - 24 - 28),
                _ => Some(4000),
            }
        }
        Stretch::Rotation => match segment_left(&folder) {
            ..=600 => None,
            601..=10_000 => Some(150),
            _ => Some(9000),
        },
    }
}

fn word_at(path: &Path, offset: u64) -> u64 {
    let mut bytes = [0; 8];
    fs::File::open(path).unwrap().read_exact_at(&mut bytes, offset).unwrap();
    u64::from_le_bytes(bytes)
}

/// Bytes behind the last frame of the newest segment.
fn segment_left(folder: &Path) -> usize {
    let segments = (0..4).map(|slot| fs::read(folder.join(format!("live.{slot}"))).unwrap());
    let newest = segments.max_by_key(|bytes| u64::from_le_bytes(bytes[32..40].try_into().unwrap())).unwrap();
    let mut at = 128;
    while let bytes @ 1.. = usize::from(u16::from_le_bytes(newest[at..at + 2].try_into().unwrap())) * 8 {
        at += bytes;
    }
    SEGMENT_BYTES - at
}
