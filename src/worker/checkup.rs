//! The worker's look at health: every second, and told every [`health_interval`](crate::Config::health_interval), and at once
//! when something changes.
//!
//! Each worker tells of the processes that it works for: in their log, to the callback, to the command. The one that renders
//! writes the files, `health.json` and `metrics.prom`, over all processes of the directory; of those that others work
//! for it tells one thing, which they cannot tell themselves: that writer and worker stand still together.

use super::alert::Alerts;
use super::keep::SPARED;
use super::{Worker, statement::Statements};
use crate::clock::instant::Instant;
use crate::config::Config;
use crate::disk::{Disk, replace_unsynced};
use crate::health::check::{Checked, Limits, State, check};
use crate::health::event::{Callback, HealthEvent, events, shipper_events};
use crate::health::report::{self, Report};
use crate::health::shippers::CheckedShipper;
use crate::health::vitals::{Life, Now, Vitals};
use crate::health::{look, metrics, shippers};
use crate::level::Level;
use crate::recovery::Recovered;
use crate::shm::health_page::HealthWords;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often vitals are taken.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often shippers are looked at, which lists all segments.
const SHIPPERS_INTERVAL: Duration = Duration::from_secs(5);
/// The longest that a finding is held after it was last so.
const HOLD_MAX: Duration = Duration::from_secs(30);
/// The least time over which the rate is measured at which the disk fills.
const RATE_LEAST_NS: i64 = 30_000_000_000;

/// Where a finding is seen that the process itself cannot tell.
const STALLED: [&str; 2] = ["writer_stalled", "worker_stalled"];

/// What was found so far, and who is to be told.
#[derive(Debug)]
pub(super) struct Checkup {
    /// `None`: never.
    interval: Option<Duration>,
    limits: Limits,
    looked_at: Instant,
    told_at: Option<Instant>,
    known: BTreeMap<String, Checked>,
    shippers: BTreeMap<String, CheckedShipper>,
    shippers_looked_at: Option<Instant>,
    /// The most bytes of archives that retention spares for shippers.
    spared_bytes: u64,
    /// Processes that were recovered and had not closed their logger, until that was told, and told to be over.
    crashes: Vec<Vitals>,
    /// When the free space was last noted, and how much it was.
    space: Option<(i64, u64)>,
    full_in_s: Option<u64>,
    used: u64,
    callback: Option<Callback>,
    pub(super) alerts: Alerts,
}

impl Checkup {
    pub(super) fn new(config: &Config) -> Self {
        let interval = Some(config.health_interval).filter(|interval| !interval.is_zero());
        let hold = config.health_interval.min(HOLD_MAX);
        Self {
            interval,
            limits: Limits { hold, view_lag_max: config.health_view_lag_max, ..Limits::default() },
            looked_at: Instant::now(),
            told_at: None,
            known: BTreeMap::new(),
            shippers: BTreeMap::new(),
            shippers_looked_at: None,
            spared_bytes: config.archive_bytes_max.saturating_mul(SPARED),
            crashes: Vec::new(),
            space: None,
            full_in_s: None,
            used: 0,
            callback: config.on_health.clone(),
            alerts: Alerts::new(config.health_command.clone(), config.health_command_time_max),
        }
    }

    /// Whether it is time for a look; `last` looks once more, if there was one before.
    fn is_due(&self, last: bool) -> bool {
        let Some(interval) = self.interval else { return false };
        if last { self.told_at.is_some() } else { self.looked_at.elapsed() >= LOOK_INTERVAL.min(interval / 2) }
    }

    /// Learns how `vitals` compare with the last ones of that process; returns what is to be told.
    fn learn(&mut self, dir: &str, vitals: Vitals) -> Vec<HealthEvent> {
        let before = self.known.get(&vitals.process);
        let checked = check(before, vitals, &self.limits);
        let told = events(dir, before, &checked);
        self.known.insert(checked.vitals.process.clone(), checked);
        told
    }

    /// Looks at the shippers of the directory, if it is time to; returns what is to be told.
    fn look_at_shippers(&mut self, path: &Path, dir: &str, now: Now, unreadable: &mut Vec<String>) -> Vec<HealthEvent> {
        let interval = self.interval.map_or(SHIPPERS_INTERVAL, |interval| interval.min(SHIPPERS_INTERVAL));
        if self.shippers_looked_at.is_some_and(|at| at.elapsed() < interval) {
            return Vec::new();
        }
        self.shippers_looked_at = Some(Instant::now());
        // A directory that cannot be listed is told of by those who have to.
        let found = shippers::look(path, now.unix_ns, unreadable).unwrap_or_default();
        let mut told = Vec::new();
        let before = std::mem::take(&mut self.shippers);
        for mut vitals in found {
            vitals.spared_bytes = Some(self.spared_bytes);
            let before = before.get(&vitals.name);
            let checked = shippers::check(before, vitals, &self.limits);
            told.extend(shipper_events(dir, before, &checked));
            self.shippers.insert(checked.vitals.name.clone(), checked);
        }
        told
    }

    /// Notes that a process was recovered that had not closed its logger.
    pub(super) fn note_crash(&mut self, one: &Recovered) {
        if self.interval.is_some() {
            self.crashes.push(Vitals {
                process: one.process.clone(),
                pid: one.process.split('-').nth(1).and_then(|pid| pid.parse().ok()).unwrap_or(0),
                life: Life::Dead,
                remarks: format!("recovered, with {} records that were in its rings only", one.records),
                ..Vitals::default()
            });
        }
    }

    /// What is to be told of those; returns their names, too.
    fn crashes(&mut self, dir: &str, now: Now) -> (Vec<String>, Vec<HealthEvent>) {
        let (mut names, mut told) = (Vec::new(), Vec::new());
        for mut vitals in std::mem::take(&mut self.crashes) {
            vitals.taken_unix_ns = now.unix_ns;
            told.extend(self.learn(dir, vitals.clone()));
            // The finding stands for a while, and ends by itself.
            vitals.life = Life::Closed;
            if self.known.get(&vitals.process).is_some_and(|checked| !checked.findings.is_empty()) {
                names.push(vitals.process.clone());
                self.crashes.push(vitals);
            }
        }
        (names, told)
    }

    /// Notes how much is free, and how fast that gets less.
    fn note_space(&mut self, now: Now, free: u64) {
        let Some((then, before)) = self.space else {
            self.space = Some((now.unix_ns, free));
            return;
        };
        let passed = now.unix_ns.saturating_sub(then);
        if passed < RATE_LEAST_NS.max(self.interval.map_or(0, |interval| interval.as_nanos() as i64)) {
            return;
        }
        self.full_in_s = before.checked_sub(free).filter(|less| *less > 0).map(|less| {
            let seconds = u128::from(free) * passed.unsigned_abs() as u128 / u128::from(less) / 1_000_000_000;
            u64::try_from(seconds).unwrap_or(u64::MAX)
        });
        self.space = Some((now.unix_ns, free));
    }

    /// Tells of an event; the error is that the callback panicked.
    fn tell(&mut self, event: HealthEvent, statements: &mut Statements, own: Option<&str>) -> io::Result<()> {
        let level = match event.state {
            State::Ok => Level::Info,
            State::Warning => Level::Warn,
            State::Critical => Level::Critical,
        };
        let of = if own == Some(event.process.as_str()) { String::new() } else { format!(" ({})", event.process) };
        statements.say_at(level, format!("{event}{of}"));
        let called = self.callback.as_ref().map_or(Ok(()), |Callback(call)| {
            catch_unwind(AssertUnwindSafe(|| call(&event))).map_err(|panic| panicked(&*panic))
        });
        self.alerts.tell(event);
        called
    }
}

impl<D: Disk<File: 'static> + 'static> Worker<D> {
    /// Looks at health if it is time to, tells what changed, and goes on with the command.
    pub(super) fn check_up(&mut self, last: bool) {
        let ran = self.checkup.alerts.step();
        self.troubles.see("telling of health", ran);
        if !self.checkup.is_due(last) {
            return;
        }
        self.checkup.looked_at = Instant::now();
        let interval = self.checkup.interval.unwrap_or(Duration::MAX);
        let due = last || self.checkup.told_at.is_none_or(|at| at.elapsed() >= interval);
        let measured = self.measure_disk(due);
        self.troubles.see("measuring the file system", measured);
        let now = Now::read();
        let dir = self.dir.display().to_string();
        let own = self.tended.first().map(|first| first.process.name().to_owned());
        let (mut names, mut told) = self.checkup.crashes(&dir, now);
        for tended in &self.tended {
            names.push(tended.process.name().to_owned());
            told.extend(self.checkup.learn(&dir, tended.process.vitals(now)));
        }
        let mut unreadable = Vec::new();
        if self.views.is_elected() {
            for (name, live) in look::live_folders(&self.dir).unwrap_or_default() {
                if names.contains(&name) {
                    continue;
                }
                match look::process(&name, &live) {
                    Ok(Some(vitals)) => told.extend(stalled(self.checkup.learn(&dir, vitals))),
                    Ok(None) => continue,
                    Err(error) => unreadable.push(format!("{name}: {error}")),
                }
                names.push(name);
            }
            told.extend(self.checkup.look_at_shippers(&self.dir, &dir, now, &mut unreadable));
        }
        self.checkup.known.retain(|name, _| names.contains(name));
        let changed = !told.is_empty();
        for event in told {
            let called = self.checkup.tell(event, &mut self.statements, own.as_deref());
            if let Err(error) = called {
                // Counted alone: a finding would be told to the same function.
                self.troubles.meet(&format!("calling the program's on_health: {error}"));
            }
        }
        if due || changed {
            self.checkup.told_at = Some(Instant::now());
            if self.views.is_elected() {
                let processes = self.checkup.known.values().cloned().collect();
                let shippers = self.checkup.shippers.values().cloned().collect();
                let report = Report::new(&dir, now.unix_ns, processes, unreadable).with_shippers(shippers);
                // A disk that takes nothing is told of by those who have to write; the files are written again.
                let _ = self.write_health(&report);
            }
        }
    }

    fn write_health(&self, report: &Report) -> io::Result<()> {
        replace_unsynced(&*self.disk, report::FILE, &report.to_json())?;
        replace_unsynced(&*self.disk, metrics::FILE, metrics::text(report).as_bytes())
    }

    /// Says in the health pages how the disk is; with `whole`, how much the files take is counted.
    fn measure_disk(&mut self, whole: bool) -> io::Result<()> {
        let (free, total) = self.disk.room()?;
        if whole {
            self.checkup.used = self.disk.used()?;
        }
        let now = Now::read();
        self.checkup.note_space(now, free);
        let (cap, cap_free) = (self.ledger.cap().unwrap_or(u64::MAX), self.ledger.free());
        let (used, full_in_s) = (self.checkup.used, self.checkup.full_in_s.unwrap_or(u64::MAX));
        for words in self.tended.iter().filter_map(|tended| tended.process.health()).map(|page| &page.upkeep) {
            let values = [
                (&words.used, used),
                (&words.free, free),
                (&words.total, total),
                (&words.cap, cap),
                (&words.cap_free, cap_free),
                (&words.cap_kept, self.headroom),
                (&words.full_in_s, full_in_s),
            ];
            values.iter().for_each(|(word, value)| word.store(*value, Ordering::Relaxed));
            words.measured_unix_ns.store(now.unix_ns, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Says in the health pages what the worker knows by itself.
    pub(super) fn publish_upkeep(&mut self, in_trouble: bool) {
        let (views, failing) = self.views.states();
        let renders = self.views.is_elected();
        let news = self.troubles.take_met().is_some();
        for tended in &mut self.tended {
            let Some(page) = tended.process.health() else { continue };
            let words = &page.upkeep;
            words.in_trouble.store(u64::from(in_trouble), Ordering::Relaxed);
            words.renders.store(u64::from(renders), Ordering::Relaxed);
            words.views.store(views, Ordering::Relaxed);
            words.views_failing.store(failing, Ordering::Relaxed);
            words.compressions.store(self.compressions, Ordering::Relaxed);
            words.synced_unix_ns.store(self.synced_unix_ns, Ordering::Relaxed);
            words.crashed.store(self.crashed.0, Ordering::Relaxed);
            words.recovered.store(self.crashed.1, Ordering::Relaxed);
            if news {
                publish_errors(page, self.troubles.met());
            }
        }
    }
}

fn publish_errors(page: &HealthWords, met: &[crate::health::vitals::Met]) {
    for (words, met) in page.errors.iter().zip(met) {
        if words.count.load(Ordering::Relaxed) == met.count
            && words.first_unix_ns.load(Ordering::Relaxed) == met.first_unix_ns
        {
            continue;
        }
        words.text.say(&met.text);
        words.first_unix_ns.store(met.first_unix_ns, Ordering::Relaxed);
        words.last_unix_ns.store(met.last_unix_ns, Ordering::Relaxed);
        words.count.store(met.count, Ordering::Relaxed);
    }
}

/// What the callback said as it panicked; the host's hook had it, too.
fn panicked(panic: &(dyn std::any::Any + Send)) -> io::Error {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    io::Error::other(format!("the function panicked: {}", text.unwrap_or("with something that is no text")))
}

/// Of a process that another worker tells of: that nothing of it moves, once.
fn stalled(told: Vec<HealthEvent>) -> Vec<HealthEvent> {
    let [writer, worker] = STALLED;
    let both = told.iter().any(|event| event.id == worker);
    told.into_iter().filter(|event| both && event.id == writer).collect()
}
