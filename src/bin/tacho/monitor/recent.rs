//! The last warnings, and those to come: a thread that reads the journals beside the screen.
//!
//! It takes a fifth of a core at most. A log that is faster than that leaves it behind; then it goes on with what is newest,
//! and says that it left something out.

use super::model::Warning;
use crate::line;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tachograph::LevelFilter;
use tachograph::format::line::LineFormat;
use tachograph::format::pattern::TextFormat;
use tachograph::reader::dir::LogDir;
use tachograph::reader::follow::{Follower, Start, Until};
use tachograph::reader::record::RecordRef;

/// Warnings that are kept.
pub(crate) const KEPT: usize = 200;
/// What is shown of the text of one, in bytes.
const TEXT_BYTES_MAX: usize = 4096;
/// So many segments of each journal are looked through for the last warnings, more when there are none in them.
const SEGMENTS_TRIED: [usize; 3] = [2, 8, 32];
/// How long is read at once, and how long rested then.
const READ_TIME: Duration = Duration::from_millis(40);
const REST_TIME: Duration = Duration::from_millis(160);
/// So often in a row may reading end before the journals do; then the rest is left out.
const BEHIND_MAX: u32 = 25;

/// The last warnings of the journals.
struct Recent {
    follower: Follower,
    kept: VecDeque<Warning>,
    format: TextFormat,
    text: Vec<u8>,
}

impl Recent {
    fn open(dir: &LogDir, until: Until, segments: usize) -> io::Result<Self> {
        Ok(Self {
            follower: Follower::open(dir.clone(), until, Start::Last(segments))?,
            kept: VecDeque::new(),
            format: line::pattern("{message} {fields}")?,
            text: Vec::new(),
        })
    }

    /// Reads on, for so long at most; says whether it came to the end.
    fn read(&mut self, time: Duration) -> bool {
        let begun = Instant::now();
        let mut records = 0_u32;
        while self.follower.advance() {
            let Some(record) = self.follower.current() else { continue };
            if LevelFilter::Warn.passes(record.level) {
                let warning = warning(&record, &mut self.format, &mut self.text);
                if self.kept.len() == KEPT {
                    self.kept.pop_front();
                }
                self.kept.push_back(warning);
            }
            records = records.wrapping_add(1);
            if records.is_multiple_of(256) && begun.elapsed() > time {
                return false;
            }
        }
        true
    }
}

fn warning(record: &RecordRef<'_>, format: &mut TextFormat, text: &mut Vec<u8>) -> Warning {
    text.clear();
    format.line(record, text);
    let text = String::from_utf8_lossy(text.get(..TEXT_BYTES_MAX).unwrap_or(text)).trim_end().to_owned();
    let time = jiff::Timestamp::from_nanosecond(record.unix_ns.into());
    Warning {
        unix_ns: record.unix_ns,
        time: time.map(|time| format!("{time:.3}")).unwrap_or_default(),
        level: record.level.as_str().to_owned(),
        process: record.process.to_owned(),
        target: record.target.to_owned(),
        text,
    }
}

/// The last warnings as they are now, the latest last.
pub(crate) fn last(dir: &LogDir) -> io::Result<Vec<Warning>> {
    let mut kept = VecDeque::new();
    for segments in SEGMENTS_TRIED {
        let mut recent = Recent::open(dir, Until::Now, segments)?;
        recent.read(Duration::MAX);
        kept = recent.kept;
        if !kept.is_empty() {
            break;
        }
    }
    Ok(kept.into())
}

/// What the thread tells.
#[derive(Default)]
struct Told {
    warnings: Vec<Warning>,
    /// Something was left out, or cannot be read.
    remark: Option<String>,
    over: bool,
}

/// Warnings as they come. The thread ends with it.
pub(crate) struct Warnings {
    told: Arc<Mutex<Told>>,
}

impl Warnings {
    /// Begins to read.
    pub(crate) fn follow(dir: LogDir) -> io::Result<Self> {
        let told = Arc::new(Mutex::new(Told::default()));
        let teller = Arc::clone(&told);
        std::thread::Builder::new().name("warnings".to_owned()).spawn(move || {
            if let Err(error) = follow(&dir, &teller) {
                lock(&teller).remark = Some(format!("warnings cannot be read: {error}"));
            }
        })?;
        Ok(Self { told })
    }

    /// The latest last, and what is to be said of them.
    pub(crate) fn now(&self) -> (Vec<Warning>, Option<String>) {
        let told = lock(&self.told);
        (told.warnings.clone(), told.remark.clone())
    }
}

impl Drop for Warnings {
    fn drop(&mut self) {
        lock(&self.told).over = true;
    }
}

fn lock(told: &Mutex<Told>) -> std::sync::MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

fn follow(dir: &LogDir, told: &Mutex<Told>) -> io::Result<()> {
    let earlier = last(dir)?;
    lock(told).warnings.clone_from(&earlier);
    let mut recent = Recent::open(dir, Until::Forever, 1)?;
    let mut behind = 0;
    loop {
        let at_end = recent.read(READ_TIME);
        behind = if at_end { 0 } else { behind + 1 };
        let mut remark = None;
        if behind > BEHIND_MAX {
            let kept = std::mem::take(&mut recent.kept);
            recent = Recent { kept, ..Recent::open(dir, Until::Forever, 1)? };
            remark = Some("too many records to read all: warnings are missing".to_owned());
            behind = 0;
        }
        {
            let mut told = lock(told);
            if told.over {
                return Ok(());
            }
            if at_end {
                told.warnings = joined(&earlier, &recent.kept);
            }
            told.remark = remark.or(told.remark.take());
        }
        std::thread::sleep(REST_TIME);
        recent.follower.poll()?;
    }
}

/// What was there before the follower's first, and what it found: its first segment had been read before.
fn joined(earlier: &[Warning], kept: &VecDeque<Warning>) -> Vec<Warning> {
    let first = kept.front().map_or(i64::MAX, |first| first.unix_ns);
    let before = earlier.iter().filter(|warning| warning.unix_ns < first);
    let mut all: Vec<Warning> = before.chain(kept).cloned().collect();
    all.drain(..all.len().saturating_sub(KEPT));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_twice_stands_once() {
        let at = |unix_ns: i64| Warning { unix_ns, ..Warning::default() };
        let times = |earlier: &[i64], kept: &[i64]| -> Vec<i64> {
            let earlier: Vec<Warning> = earlier.iter().map(|time| at(*time)).collect();
            let all = joined(&earlier, &kept.iter().map(|time| at(*time)).collect());
            all.iter().map(|warning| warning.unix_ns).collect()
        };
        assert_eq!(times(&[1, 2, 3], &[2, 3, 4]), [1, 2, 3, 4]);
        assert_eq!(times(&[1, 2], &[]), [1, 2]);
        let many: Vec<i64> = (0..KEPT as i64 + 5).collect();
        assert_eq!(times(&[], &many).first(), Some(&5));
    }
}
