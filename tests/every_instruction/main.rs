//! Killed at every instruction: what was logged is in the views after recovery, once, in order, whole, and every loss is
//! stated once.
//!
//! A child is single-stepped through log calls, through the writer's step that takes them, and through one that rotates
//! the segment; all its other threads are stopped meanwhile. What survives a kill is the shared memory and the files. So
//! after each instruction that changed a byte of shared memory both are copied, and recovery is run on the copy: no
//! other state could be left by a kill there. Some children really are killed.
//!
//! By default memory is looked at behind every 17th instruction, and two children of each kind are killed. With
//! `TACHO_EVERY_INSTRUCTION=1` every instruction counts, and a child is killed at every 1009th; that takes minutes. That wrong orders of stores are noticed shows
//! `cargo test --test every_instruction -- --ignored --nocapture wrong_orders`, which builds changed copies of this crate.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout
)]

mod child;
mod live;
mod mutants;
#[path = "../support/mod.rs"]
mod shared;
mod trace;

use child::{Call, FLUSH, PLAIN_BYTES, Stretch, config, text_of, word};
use live::{Live, copy_folder, live_folder};
use shared::{SharedWords, lines, message};
use std::path::Path;
use std::process::Child;
use std::sync::atomic::Ordering;
use tachograph::{Mode, start_isolated};
use tempfile::TempDir;
use trace::Stopped;

/// By default memory is looked at behind one instruction in so many.
const SAMPLE: u64 = 17;
/// With all instructions: between two at which a child is really killed.
const KILLS: u64 = 1009;
/// By default so many children of each stretch are.
const KILLS_SAMPLE: u64 = 2;
/// A step of the writer has ended when nothing was stored for so many instructions after it took everything.
const QUIET: u64 = 2000;

fn all() -> bool {
    std::env::var_os("TACHO_EVERY_INSTRUCTION").is_some_and(|value| value == "1")
}

#[test]
#[ignore = "the child of the tests below"]
fn child_that_is_stepped() {
    let (Ok(dir), Ok(stretch)) = (std::env::var("STEP_DIR"), std::env::var("STEP_STRETCH")) else { return };
    child::run(Path::new(&dir), Stretch::named(&stretch));
}

/// A child that is ready for a stretch, stopped.
struct Stage {
    dir: TempDir,
    child: Child,
    words: SharedWords,
    stopped: Stopped,
    /// The thread to step.
    thread: libc::pid_t,
    stretch: Stretch,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.child.kill();
        self.stopped.reap();
        let _ = self.child.wait();
    }
}

impl Stage {
    /// `None` where a process may not trace its child.
    fn new(stretch: Stretch) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("tacho-step-").tempdir_in("/dev/shm").unwrap();
        let words = SharedWords::open(&dir.path().join("words"), word::COUNT);
        let name = format!("{stretch:?}");
        let environment = [("STEP_DIR", dir.path().to_str().unwrap()), ("STEP_STRETCH", &name)];
        let mut child = shared::child("child_that_is_stepped", &environment);
        while words.word(word::READY).load(Ordering::Acquire) == 0 {
            assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let stopped = match Stopped::seize(child.id() as libc::pid_t) {
            Ok(stopped) => stopped,
            Err(error) => {
                eprintln!("SKIPPED: {stretch:?} was not stepped, because a child may not be traced here: {error}");
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        };
        let logging = words.word(word::READY).load(Ordering::Acquire) as libc::pid_t;
        words.word(word::GO).store(1, Ordering::Release);
        stopped.go_on(logging);
        while words.word(word::FILLED).load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        stopped.stop(logging);
        words.word(word::GO).store(2, Ordering::Release);
        let thread = if stretch == Stretch::Calls {
            logging
        } else {
            stopped.go_on(logging);
            while words.word(word::DONE).load(Ordering::Acquire) == 0 {
                std::thread::yield_now();
            }
            stopped.stop(logging);
            stopped.named("tacho-writer")
        };
        Some(Self { dir, child, words, stopped, thread, stretch })
    }

    fn before(&self) -> u64 {
        self.words.word(word::BEFORE).load(Ordering::Acquire)
    }

    fn returned(&self) -> usize {
        self.words.word(word::RETURNED).load(Ordering::Acquire) as usize
    }

    fn shm(&self) -> std::path::PathBuf {
        self.dir.path().join("shm")
    }

    /// Records that the stretch's calls leave.
    fn records(&self) -> u64 {
        self.stretch.calls().iter().filter(|call| !call.is_dropped()).count() as u64
    }

    /// Whether the stretch is over, `quiet` instructions after the last store.
    fn is_over(&self, live: &Live, quiet: u64) -> bool {
        match self.stretch {
            Stretch::Calls => self.words.word(word::DONE).load(Ordering::Acquire) != 0,
            _ => quiet > QUIET && live.written() == self.before() + self.records(),
        }
    }
}

/// Goes through a stretch and tries its states; returns how many instructions there were.
fn walk(stretch: Stretch, sample: u64) -> Option<u64> {
    let stage = Stage::new(stretch)?;
    let template = tempfile::Builder::new().prefix("tacho-step-").tempdir_in("/dev/shm").unwrap();
    for part in ["logs", "shm"] {
        copy_folder(&stage.dir.path().join(part), &template.path().join(part));
    }
    let mut live = Live::open(&stage.shm());
    let (mut steps, mut states, mut quiet, mut returned) = (0, 0, 0, 0);
    while !stage.is_over(&live, quiet) {
        stage.stopped.step(stage.thread);
        steps += 1;
        quiet += 1;
        if steps % sample == 0 && (live.has_changed() || stage.returned() != returned) {
            quiet = 0;
            returned = stage.returned();
            states += 1;
            live.put(&stage.shm(), &template.path().join("shm"));
            let copy = tempfile::Builder::new().prefix("tacho-step-").tempdir_in("/dev/shm").unwrap();
            copy_folder(template.path(), copy.path());
            point_into(copy.path());
            check(copy.path(), stretch, stage.before(), returned, &format!("{stretch:?}, instruction {steps}"));
        }
    }
    println!("{stretch:?}: {steps} instructions, {states} states of shared memory recovered");
    Some(steps)
}

/// Lets the journals under `dir`, which is a copy, name the live folders that were copied with them.
fn point_into(dir: &Path) {
    let live = live_folder(&dir.join("shm"));
    let journal = dir.join("logs/.journal").join(live.file_name().unwrap());
    std::fs::write(journal.join("shm"), format!("{}\n", live.display())).unwrap();
    // The copy is to be taken for the original: its identity does not say where it was made.
    let id = dir.join("logs/.journal/id");
    let text = std::fs::read_to_string(&id).unwrap();
    std::fs::write(&id, format!("{}\n", text.lines().next().unwrap())).unwrap();
}

/// Kills a child after `steps` instructions of the stretch.
fn kill_after(stretch: Stretch, steps: u64) {
    let Some(mut stage) = Stage::new(stretch) else { return };
    let live = Live::open(&stage.shm());
    for _ in 0..steps {
        // One child need not take as many instructions as the other.
        if !stage.is_over(&live, QUIET + 1) {
            stage.stopped.step(stage.thread);
        }
    }
    let (before, returned) = (stage.before(), stage.returned());
    stage.child.kill().unwrap();
    stage.stopped.reap();
    stage.child.wait().unwrap();
    check(stage.dir.path(), stretch, before, returned, &format!("{stretch:?}, killed after {steps} instructions"));
}

/// Recovers what stands under `dir`, and holds it against what must be there.
fn check(dir: &Path, stretch: Stretch, before: u64, returned: usize, what: &str) {
    let next = start_isolated(config(dir).mode(Mode::Synchronous)).unwrap();
    next.flush(FLUSH).unwrap_or_else(|error| panic!("{what}: {error}"));
    let health = next.health();
    assert!(health.trouble.is_none() && health.disk_errors == 0, "{what}: {health}");
    next.close(FLUSH).unwrap_or_else(|error| panic!("{what}: {error}"));
    let plain = |line: &String| message(line).replace(" (recovered)", "").replace(" (late)", "");
    let found: Vec<String> = lines(&dir.join("logs"), "step").iter().map(plain).collect();
    let calls = stretch.calls();
    let drops = |calls: &[Call]| calls.iter().filter(|call| call.is_dropped()).count() as u64;
    let mut numbers = Vec::new();
    let whole = |line: &String| {
        let number: u64 = line.split(' ').next()?.parse().ok()?;
        numbers.push(number);
        let made = number.checked_sub(before).map(|place| calls[place as usize]);
        let expected = made.map(|call| text_of(call, number, PLAIN_BYTES));
        (expected.is_none_or(|expected| expected == *line)).then_some(())
    };
    let torn = found.iter().map(whole).position(|line| line.is_none());
    assert_eq!(torn, None, "{what}: a line is torn: {found:#?}");
    let made = |calls: &[Call]| -> Vec<u64> {
        let records = calls.iter().zip(before..).filter(|(call, _)| !call.is_dropped());
        (0..before).chain(records.map(|(_, number)| number)).collect()
    };
    let (least, most) = (made(&calls[..returned]), made(&calls[..calls.len().min(returned + 1)]));
    assert!(numbers == least || numbers == most, "{what}: {returned} calls returned, found {numbers:?}");
    let notes = lines(&dir.join("logs"), "tachograph").iter().map(plain).collect::<Vec<_>>();
    let counts =
        notes.iter().map(|note| note.split_once(" records dropped here: ").unwrap_or_else(|| panic!("{note}")).0);
    let stated: u64 = counts.map(|count| count.parse::<u64>().unwrap()).sum();
    let (least, most) = (drops(&calls[..returned]), drops(&calls[..calls.len().min(returned + 1)]));
    assert!((least..=most).contains(&stated), "{what}: {least} to {most} drops, stated {notes:?}");
}

fn every_instruction(stretch: Stretch) {
    let Some(steps) = walk(stretch, if all() { 1 } else { SAMPLE }) else { return };
    if std::env::var_os("TACHO_NO_KILLS").is_some() {
        return;
    }
    let between = if all() { KILLS } else { steps / KILLS_SAMPLE + 1 };
    let mut kills = 0;
    for at in (between / 2..steps).step_by(between as usize) {
        kill_after(stretch, at);
        kills += 1;
    }
    println!("{stretch:?}: {kills} children killed");
}

#[test]
fn killed_at_every_instruction_of_log_calls() {
    every_instruction(Stretch::Calls);
}

#[test]
fn killed_at_every_instruction_of_a_step_of_the_writer() {
    every_instruction(Stretch::Step);
}

#[test]
fn killed_at_every_instruction_of_a_rotation() {
    every_instruction(Stretch::Rotation);
}
