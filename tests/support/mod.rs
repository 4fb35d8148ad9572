//! What several tests need: reading the files of a view back, and children that are killed.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

pub mod oracle;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::AtomicU64;

/// The text of each file of a view: the oldest backup first.
///
/// A file that was compressed but not deleted before its process was killed is there twice, byte for byte, until the
/// next logger tidies up: it counts once.
pub fn texts(dir: &Path, view: &str) -> impl Iterator<Item = String> {
    let mut files: Vec<(u32, bool, PathBuf)> = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(rest) = name.strip_prefix(&format!("{view}.log")) else { continue };
        let compressed = rest.ends_with(".gz");
        let Some(number) = number_of(rest.trim_end_matches(".gz")) else { continue };
        files.push((number, compressed, path));
    }
    // Under one number the plain file is the newer.
    files.sort_by_key(|(number, compressed, _)| std::cmp::Reverse((*number, *compressed)));
    let mut before: Option<(u32, String)> = None;
    files.into_iter().filter_map(move |(number, compressed, path)| {
        let bytes = fs::read(&path).unwrap();
        let mut text = String::new();
        if compressed {
            flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8(bytes).unwrap();
        }
        assert!(!text.contains('\0'), "{}", path.display());
        let copy = before.as_ref().is_some_and(|(other, same)| *other == number && *same == text);
        before = compressed.then(|| (number, text.clone()));
        (!copy).then_some(text)
    })
}

/// The number of a file of a view: what stands behind `x.log`, without `.gz`.
fn number_of(rest: &str) -> Option<u32> {
    if rest.is_empty() { Some(0) } else { rest.strip_prefix('.')?.parse().ok() }
}

/// All lines of a view in order: the oldest backup first.
pub fn lines(dir: &Path, view: &str) -> Vec<String> {
    texts(dir, view).flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// What stands behind `[thread] `.
pub fn message(line: &str) -> &str {
    line.split_once("] ").expect("a line has a thread").1
}

/// How many records the log says were dropped for that cause; one statement may stand for a part of them.
pub fn stated_drops<'a>(messages: impl IntoIterator<Item = &'a str>, cause: &str) -> u64 {
    let counts = messages.into_iter().filter_map(|message| {
        let (count, stated) = message.split_once(" records dropped here: ")?;
        (stated == cause).then(|| count.replace(',', "").parse::<u64>().expect("a count"))
    });
    counts.sum()
}

/// Runs one of this binary's ignored tests as a child process of its own.
pub fn child(test: &str, environment: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads", "1"]);
    command.envs(environment.iter().copied());
    command.stdout(std::process::Stdio::null());
    command.spawn().unwrap()
}

/// Words in a file that parent and child both map: what the child stored last survives its death.
pub struct SharedWords {
    base: *mut u8,
    words: usize,
}

// SAFETY: the words are only accessed as atomics.
unsafe impl Sync for SharedWords {}
// SAFETY: as above.
unsafe impl Send for SharedWords {}

impl SharedWords {
    pub fn open(path: &Path, words: usize) -> Self {
        use std::os::fd::AsRawFd;
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        file.set_len(words as u64 * 8).unwrap();
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new shared mapping of a file of that length.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), words * 8, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        assert_ne!(base, libc::MAP_FAILED);
        Self { base: base.cast(), words }
    }

    pub fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.words);
        // SAFETY: within the mapping, aligned, and never unmapped.
        unsafe { AtomicU64::from_ptr(self.base.wrapping_add(index * 8).cast()) }
    }
}
