//! The loop over one log directory: gather, deliver, save the cursor.

use super::answer::{Answer, Backoff};
use super::batch::Batch;
use super::convert::uid;
use super::refused::Refused;
use super::status::{self, BEAT_INTERVAL, Status, now_unix_ns};
use super::talk;
use super::transport::{Origin, Transport};
use crate::args::Ship;
use crate::select::Select;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tachograph::reader::cursor::{Cursor, Lock};
use tachograph::reader::dir::{JOURNAL_DIR, LogDir};
use tachograph::reader::follow::{Follower, Until};

/// How long is slept where there is no news.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How often a wait looks whether it is to end.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// All is with the receiver, or it was asked to stop.
    Done,
    /// Something went wrong, and it was said.
    Trouble,
}

/// What became of one request.
enum Sent {
    Taken,
    TooLarge(String),
    Refused(String),
    Stopped,
}

pub(super) struct Shipper<'a> {
    dir: &'a Path,
    ship: &'a Ship,
    name: &'a str,
    transport: Box<dyn Transport + 'a>,
    quiet: bool,
    lock: Lock,
    status: Status,
    backoff: Backoff,
    refused: Refused,
    origin: Origin,
    select: Select,
    /// Records were passed over since the cursor was saved.
    passed_over: bool,
    /// Missing segments of this run that are in the status already.
    missing: u64,
    /// When the status was last written because nothing was to be sent.
    beat_at: Option<Instant>,
}

impl<'a> Shipper<'a> {
    /// Takes the cursor.
    ///
    /// # Errors
    /// When the directory is not there, or another shipper has the cursor.
    pub(super) fn new(
        dir: &'a Path,
        ship: &'a Ship,
        quiet: bool,
        (name, receiver): (&'a str, &str),
        transport: Box<dyn Transport + 'a>,
    ) -> io::Result<Self> {
        // A program may make it later; a shipper that is to follow is started again by whoever started it.
        crate::talk::open(dir)?;
        let lock = Lock::take(dir, name)?;
        // Counters that cannot be read are not worth the records.
        let status = status::load(dir, name).ok().flatten().unwrap_or_default();
        let pid = std::process::id();
        let default = || dir.join(format!("ship-{name}.refused.jsonl"));
        let refused = Refused::new(ship.refused.clone().unwrap_or_else(default), ship.refused_bytes_max);
        let named = dir.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Ok(Self {
            dir,
            ship,
            name,
            transport,
            quiet,
            lock,
            status: Status { pid, receiver: receiver.to_owned(), follows: ship.follow, trouble: None, ..status },
            backoff: Backoff::new(u64::from(pid) ^ now_unix_ns().unsigned_abs()),
            refused,
            origin: Origin {
                service: ship.service_name.clone().or(named).unwrap_or_else(|| "unknown_service".to_owned()),
                host: host.trim().to_owned(),
                more: ship.resource.clone(),
            },
            select: Select::new(&ship.filter)?,
            passed_over: false,
            missing: 0,
            beat_at: None,
        })
    }

    /// Ships until there is nothing more, or for ever.
    pub(super) fn run(mut self, stop: &AtomicBool) -> io::Result<End> {
        let until = if self.ship.follow { Until::Forever } else { Until::Now };
        let cursor = self.lock.load()?;
        // From now on retention spares what was not shipped, also while the receiver was never reached.
        self.lock.save(&cursor)?;
        let mut follower = Follower::resume(LogDir::open(self.dir)?, until, cursor)?;
        loop {
            let begun = Instant::now();
            let (batch, last_unix_ns) = self.gather(&mut follower, stop)?;
            self.look_for_holes(&follower);
            if batch.is_empty() {
                self.pass(&mut follower)?;
                if !self.ship.follow || stop.load(Ordering::Relaxed) {
                    break;
                }
                continue;
            }
            let cursor = follower.cursor();
            if !self.deliver(&batch, stop)? {
                break;
            }
            self.acknowledged(&batch, &cursor, last_unix_ns)?;
            self.keep_rate(&batch, begun, stop);
        }
        if !stop.load(Ordering::Relaxed) {
            self.status.caught_up_unix_ns = now_unix_ns();
        }
        status::save(&mut self.status, self.dir, self.name)?;
        self.say(&format!("{} records acknowledged by {}", self.status.shipped, self.status.receiver));
        Ok(End::Done)
    }

    /// Records for one request, and the time of the last: as many as may be, or as came in the time.
    fn gather(&mut self, follower: &mut Follower, stop: &AtomicBool) -> io::Result<(Batch, i64)> {
        let (mut batch, mut last_unix_ns, mut first_at) = (Batch::default(), 0, None);
        loop {
            while follower.advance() {
                let Some(record) = follower.current() else { continue };
                if !self.select.wants(&record) {
                    self.passed_over = true;
                    if stop.load(Ordering::Relaxed) {
                        return Ok((batch, last_unix_ns));
                    }
                    continue;
                }
                let bytes = self.transport.encode(&record);
                batch.push(record.process, record.target, record.level, uid(&record), bytes);
                last_unix_ns = record.unix_ns;
                first_at.get_or_insert_with(Instant::now);
                let full =
                    batch.len() >= self.ship.batch_records as usize || batch.bytes() as u64 >= self.ship.batch_bytes;
                if full {
                    return Ok((batch, last_unix_ns));
                }
            }
            let waited = first_at.is_some_and(|at| at.elapsed() >= self.ship.batch_time);
            if waited || !self.ship.follow || stop.load(Ordering::Relaxed) {
                return Ok((batch, last_unix_ns));
            }
            if batch.is_empty() {
                self.beat(follower)?;
            }
            std::thread::sleep(POLL_INTERVAL);
            follower.poll()?;
        }
    }

    /// Says every now and then that nothing is to be sent.
    fn beat(&mut self, follower: &mut Follower) -> io::Result<()> {
        if self.beat_at.is_some_and(|at| at.elapsed() < BEAT_INTERVAL) {
            return Ok(());
        }
        self.pass(follower)?;
        self.beat_at = Some(Instant::now());
        self.status.caught_up_unix_ns = now_unix_ns();
        status::save(&mut self.status, self.dir, self.name)
    }

    /// Saves how far it is where that is further because of records that are not to be sent. Nothing is under way then.
    fn pass(&mut self, follower: &mut Follower) -> io::Result<()> {
        if std::mem::take(&mut self.passed_over) {
            self.lock.save(&follower.cursor())?;
        }
        Ok(())
    }

    /// Has the receiver take all of it, or refuse it for ever; `false` when asked to stop before.
    fn deliver(&mut self, batch: &Batch, stop: &AtomicBool) -> io::Result<bool> {
        let mut parts = vec![batch.clone()];
        while let Some(part) = parts.pop() {
            match self.send(&part, stop)? {
                Sent::Taken => {}
                Sent::Stopped => return Ok(false),
                Sent::Refused(why) => self.refuse(&part, &why)?,
                Sent::TooLarge(why) => match part.halves() {
                    Some([first, second]) => parts.extend([second, first]),
                    None => self.refuse(&part, &why)?,
                },
            }
        }
        Ok(true)
    }

    /// Sends until there is an answer that is final.
    fn send(&mut self, part: &Batch, stop: &AtomicBool) -> io::Result<Sent> {
        loop {
            match self.transport.send(part, &self.origin)? {
                Answer::Stored { duplicates, refused, why } => {
                    self.went_well();
                    self.status.shipped += (part.len() as u64).saturating_sub(refused.len() as u64);
                    self.status.duplicates += duplicates;
                    if !refused.is_empty() {
                        self.refuse(&part.picked(&refused), &why)?;
                    }
                    return Ok(Sent::Taken);
                }
                Answer::Taken { rejected, why } => {
                    self.went_well();
                    self.status.shipped += (part.len() as u64).saturating_sub(rejected);
                    self.status.rejected += rejected;
                    if rejected > 0 {
                        self.say(&format!("{rejected} of {} rejected: {why}", part.span()));
                    }
                    return Ok(Sent::Taken);
                }
                Answer::TooLarge { why } => return Ok(Sent::TooLarge(why)),
                Answer::Refused { why } => return Ok(Sent::Refused(why)),
                Answer::Misconfigured { why } => {
                    let why =
                        format!("{}: {why}; nothing was passed over: mend it and start again", self.status.receiver);
                    self.status.trouble = Some(why.clone());
                    status::save(&mut self.status, self.dir, self.name)?;
                    return Err(io::Error::other(why));
                }
                Answer::Later { asked, why } => {
                    let wait = self.backoff.next(asked);
                    self.status.retries += 1;
                    let trouble = format!("{}: {why}", self.status.receiver);
                    if self.status.trouble.as_ref() != Some(&trouble) {
                        self.say(&format!("{trouble}; trying again"));
                        self.status.trouble = Some(trouble);
                    }
                    status::save(&mut self.status, self.dir, self.name)?;
                    if sleep(wait, stop) {
                        return Ok(Sent::Stopped);
                    }
                }
            }
        }
    }

    fn went_well(&mut self) {
        self.backoff.reset();
        self.status.trouble = None;
    }

    fn refuse(&mut self, part: &Batch, why: &str) -> io::Result<()> {
        let kept = self.refused.keep(&self.transport.refused(part, &self.origin))?;
        let count = part.len() as u64;
        self.status.refused += count;
        if !kept {
            self.status.refused_lost += count;
        }
        let where_to =
            if kept { "they are in the file of refused records" } else { "that file is full, they are lost" };
        self.say(&format!("{count} records refused, {}: {why}; {where_to}", part.span()));
        Ok(())
    }

    /// The batch is with the receiver: it is not sent again.
    fn acknowledged(&mut self, batch: &Batch, cursor: &Cursor, last_unix_ns: i64) -> io::Result<()> {
        debug_assert!(!batch.is_empty(), "an empty batch is not sent");
        self.lock.save(cursor)?;
        self.passed_over = false;
        self.status.shipped_until_unix_ns = last_unix_ns;
        self.status.acknowledged_unix_ns = now_unix_ns();
        status::save(&mut self.status, self.dir, self.name)
    }

    /// Counts segments that retention took before they were read.
    fn look_for_holes(&mut self, follower: &Follower) {
        let missing = follower.about().map(|about| about.tally.missing_segments).sum();
        let new = u64::saturating_sub(missing, self.missing);
        // The tally of a journal goes with it.
        self.missing = missing;
        if new > 0 {
            self.status.missing_segments += new;
            let dir = self.dir.join(JOURNAL_DIR);
            self.say(&format!("{new} segments in {} were gone before they were shipped", dir.display()));
        }
    }

    fn keep_rate(&self, batch: &Batch, begun: Instant, stop: &AtomicBool) {
        if self.ship.rate > 0 {
            let takes = Duration::from_secs_f64(batch.len() as f64 / f64::from(self.ship.rate));
            sleep(takes.saturating_sub(begun.elapsed()), stop);
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            talk(&format!("{}: {text}", self.dir.display()));
        }
    }
}

/// Sleeps; `true` when it ended because it is to stop.
fn sleep(time: Duration, stop: &AtomicBool) -> bool {
    let until = Instant::now() + time;
    loop {
        if stop.load(Ordering::Relaxed) {
            return true;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(left.min(STOP_INTERVAL));
    }
}
