//! What the writer leaves out and counts instead of writing it.

use super::check::{within, within_time};
use crate::error::Error;
use crate::level::LevelFilter;
use crate::sampling::rules::{Rules, Sameness, Share};
use crate::sampling::sampler::WAYS;
use std::time::Duration;

/// The most targets that may be exempt, and the most that may have a share.
const TARGETS_MAX: usize = 64;
/// Bytes of the name of a target or field.
const NAME_BYTES_MAX: usize = 128;
const ENTRIES_MAX: usize = 16_384;
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);

/// What makes two messages the same.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Identity {
    /// The same call site with the same arguments, byte for byte. The default.
    #[default]
    Arguments,
    /// The same call site, whatever the arguments.
    Site,
    /// The same call site with the same value of the key-value field of this name. Messages without such a field are the
    /// same when all their arguments are.
    Field(String),
}

/// Sampling: what the writer counts instead of writing it. For [`Config::sampling`](super::Config::sampling).
///
/// ```
/// use std::time::Duration;
/// use tachograph::{Config, Sampling};
///
/// let config = Config::new("logs").sampling(
///     Sampling::new().per_interval(10).interval(Duration::from_secs(60)).exempt_target("audit").every("ticks", 100),
/// );
/// ```
///
/// **Repeats.** At most [`per_interval`](Self::per_interval) identical messages are written in each interval. An interval begins
/// with the first message after the one before ended, so a span of that length that begins elsewhere can see twice as many.
/// The rest is counted, and the log says so: "suppressed 1,532 repeats since …" and the message, when the interval is over,
/// also if nothing follows; when room is needed for other messages; at a flush; and at the end. Summaries have the
/// level and target of what they stand for, and are never left out themselves.
///
/// **Shares.** Of a target's records, [`every`](Self::every) so manieth or a [`probability`](Self::probability) is written, and not looked at for
/// repeats. A summary tells the number of the others in the same way.
///
/// **Exempt** are levels from [`exempt_level`](Self::exempt_level) on, `error!` by default, and [targets](Self::exempt_target). Records that
/// carry their own definition (see [`table_bytes`](super::Config::table_bytes)) are exempt too.
///
/// It costs the call nothing: the writer decides, on bytes. Counts and summaries survive `kill -9`. With
/// [`Mode::Synchronous`](super::Mode::Synchronous) a summary that is due comes with the next call, flush, or the end.
#[derive(Clone, PartialEq, Debug)]
pub struct Sampling {
    pub(super) per_interval: u32,
    pub(super) interval: Duration,
    pub(super) burst: Option<u32>,
    pub(super) identity: Identity,
    pub(super) exempt_level: LevelFilter,
    pub(super) exempt_targets: Vec<String>,
    pub(super) every: Vec<(String, u64)>,
    pub(super) probability: Vec<(String, f64)>,
    pub(super) entries: usize,
    pub(super) seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            per_interval: 10,
            interval: Duration::from_secs(60),
            burst: None,
            identity: Identity::default(),
            exempt_level: LevelFilter::Error,
            exempt_targets: Vec::new(),
            every: Vec::new(),
            probability: Vec::new(),
            entries: 1024,
            seed: 0,
        }
    }
}

impl Sampling {
    /// The defaults: 10 identical messages per minute, errors exempt.
    pub fn new() -> Self {
        Self::default()
    }

    /// Identical messages that are written in an interval; 0 writes all of them. Default: 10; up to 1,000,000.
    #[must_use]
    pub fn per_interval(mut self, messages: u32) -> Self {
        self.per_interval = messages;
        self
    }

    /// The interval. Default: 1 min; from 100 ms to 24 h.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Identical messages that may be written at once: what earlier intervals did not use is kept up to this. A message
    /// that was not seen before may be written so often at first. Default: as [`per_interval`](Self::per_interval), which is the least; up to
    /// 1,000,000.
    #[must_use]
    pub fn burst(mut self, messages: u32) -> Self {
        self.burst = Some(messages);
        self
    }

    /// What makes two messages the same. Default: [`Identity::Arguments`].
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// The least urgent level of which every record is written; `Off` exempts none. Default: `Error`.
    #[must_use]
    pub fn exempt_level(mut self, level: impl Into<LevelFilter>) -> Self {
        self.exempt_level = level.into();
        self
    }

    /// Writes every record of a target and of those below it (`feed` and `feed::parser`). Of all targets listed here and
    /// with a share, the longest that fits decides. Default: none; up to 64, each up to 128 bytes.
    #[must_use]
    pub fn exempt_target(mut self, target: impl Into<String>) -> Self {
        self.exempt_targets.push(target.into());
        self
    }

    /// Writes the first of each `number` records of a target and of those below it. Default: none; up to 64 targets with a
    /// share, each up to 128 bytes.
    #[must_use]
    pub fn every(mut self, target: impl Into<String>, number: u64) -> Self {
        self.every.push((target.into(), number));
        self
    }

    /// Writes each record of a target and of those below it with this probability, from 0 to 1. The lot is a hash of the
    /// [seed](Self::seed), the thread's ring and the number of the call on it, so it is the same in a run with the same calls.
    #[must_use]
    pub fn probability(mut self, target: impl Into<String>, probability: f64) -> Self {
        self.probability.push((target.into(), probability));
        self
    }

    /// Identities that are watched at a time, a multiple of 8. A new one takes the place of the one, of 8 that its hash
    /// allows, that was not seen for the longest, of those of which nothing is left out if there are any; else that one's
    /// summary is written first. What lost its place starts anew when it comes again. Each takes
    /// [`record_bytes_max`](super::Config::record_bytes_max) of shared memory and 128 bytes. Default: 1,024; from 8 to 16,384.
    #[must_use]
    pub fn entries(mut self, entries: usize) -> Self {
        self.entries = entries;
        self
    }

    /// The seed of all hashes. Default: 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        within("sampling.per_interval", self.per_interval, 0..=1_000_000)?;
        within_time("sampling.interval", self.interval, INTERVAL_MIN..=INTERVAL_MAX)?;
        if let Some(burst) = self.burst {
            within("sampling.burst", burst, self.per_interval..=1_000_000)?;
        }
        within("sampling.entries", self.entries, WAYS..=ENTRIES_MAX)?;
        if !self.entries.is_multiple_of(WAYS) {
            return Err(Error::config("sampling.entries", format!("{} is no multiple of {WAYS}", self.entries)));
        }
        if let Identity::Field(name) = &self.identity {
            within("sampling.field: bytes of the name", name.len(), 1..=NAME_BYTES_MAX)?;
        }
        within("sampling.exempt_targets: number", self.exempt_targets.len(), 0..=TARGETS_MAX)?;
        within("sampling.targets: number", self.every.len() + self.probability.len(), 0..=TARGETS_MAX)?;
        let shares =
            self.every.iter().map(|(target, _)| target).chain(self.probability.iter().map(|(target, _)| target));
        let mut names: Vec<&String> = self.exempt_targets.iter().chain(shares).collect();
        for name in &names {
            within("sampling: bytes of a target's name", name.len(), 1..=NAME_BYTES_MAX)?;
        }
        names.sort_unstable();
        if let Some(twice) = names.iter().zip(names.iter().skip(1)).find(|(one, next)| one == next) {
            return Err(Error::config("sampling.targets", format!("{:?} has two rules; give it one", twice.0)));
        }
        for (target, number) in &self.every {
            within(&format!("sampling.targets: every for {target:?}"), *number, 1..=u64::MAX)?;
        }
        for (target, probability) in &self.probability {
            within(&format!("sampling.targets: probability for {target:?}"), *probability, 0.0..=1.0)?;
        }
        if self.per_interval == 0 && self.every.is_empty() && self.probability.is_empty() {
            let message = "per_interval is 0 and no target has a share, so nothing is sampled; leave sampling out";
            return Err(Error::config("sampling", message));
        }
        Ok(())
    }

    /// The rules in ticks.
    pub(crate) fn rules(&self, ticks_in: impl Fn(Duration) -> u64) -> Rules {
        let every = self.every.iter().map(|(target, number)| (target.clone(), Share::Every(*number)));
        let lots = self.probability.iter().map(|(target, share)| {
            // Saturates at both ends: 1 takes every hash, 0 none but 0.
            (target.clone(), Share::Probability((share * u64::MAX as f64) as u64))
        });
        Rules {
            per_interval: self.per_interval.into(),
            interval: ticks_in(self.interval).max(1),
            burst: self.burst.unwrap_or(self.per_interval).into(),
            sameness: match &self.identity {
                Identity::Arguments => Sameness::Arguments,
                Identity::Site => Sameness::Site,
                Identity::Field(name) => Sameness::Field(name.clone()),
            },
            spared_level: self.exempt_level as u8,
            spared: self.exempt_targets.clone(),
            shares: every.chain(lots).collect(),
            seed: self.seed,
        }
    }

    /// Identities that are watched at a time.
    pub(crate) fn watched(&self) -> usize {
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let new = Sampling::new;
        assert!(new().check().is_ok());
        for (sampling, field) in [
            (new().interval(Duration::from_millis(1)), "sampling.interval"),
            (new().per_interval(20).burst(10), "sampling.burst"),
            (new().entries(12), "sampling.entries"),
            (new().identity(Identity::Field(String::new())), "sampling.field"),
            (new().every("a", 0), "every for \"a\""),
            (new().probability("a", 1.5), "probability for \"a\""),
            (new().probability("a", f64::NAN), "probability for \"a\""),
            (new().every("a", 2).exempt_target("a"), "two rules"),
            (new().exempt_target(""), "target's name"),
            (new().per_interval(0), "nothing is sampled"),
        ] {
            let error = sampling.check().unwrap_err();
            assert!(error.is_config() && error.to_string().contains(field), "{error}");
        }
    }

    #[test]
    fn the_largest_configuration_fits_its_place() {
        let mut sampling = Sampling::new().identity(Identity::Field("f".repeat(NAME_BYTES_MAX)));
        for number in 0..TARGETS_MAX {
            let name = |kind: char| format!("{number:02}{}", kind.to_string().repeat(NAME_BYTES_MAX - 2));
            sampling = sampling.exempt_target(name('e')).every(name('s'), 2);
        }
        sampling.check().unwrap();
        assert!(sampling.rules(|_| 1).encode().len() <= crate::sampling::memory::RULES_BYTES_MAX);
    }
}
