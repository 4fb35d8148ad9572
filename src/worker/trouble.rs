//! What is wrong with the disk at present: by activity, from its first failure until it succeeds.

use crate::clock::instant::Instant;
use crate::clock::ticks::unix_ns;
use crate::disk;
use crate::health::vitals::Met;
use crate::shm::health_page::ERRORS;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// A trouble that was met so long ago and not again is over: nothing waits longer between two attempts.
const OVER_AFTER: Duration = Duration::from_secs(15);

/// The activities that fail at present.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    present: BTreeMap<&'static str, (String, Instant)>,
    /// Failures since the last look.
    failures: u64,
    /// Distinct errors so far.
    met: Vec<Met>,
    /// Something was met since the last call of `take_met`.
    news: bool,
}

impl Troubles {
    /// Notes how an activity went, and passes its result on.
    pub(super) fn see<T>(&mut self, doing: &'static str, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.present.remove(doing);
                Some(value)
            }
            Err(error) => {
                self.failures += 1;
                let said = disk::say(doing, &error);
                self.meet(&said);
                self.present.insert(doing, (said, Instant::now()));
                None
            }
        }
    }

    /// Counts an error among those of the same words. When there are too many, the one not met for the longest goes.
    pub(super) fn meet(&mut self, said: &str) {
        let now = unix_ns();
        self.news = true;
        if let Some(met) = self.met.iter_mut().find(|met| met.text == said) {
            met.count += 1;
            met.last_unix_ns = now;
            return;
        }
        let met = Met { text: said.to_owned(), count: 1, first_unix_ns: now, last_unix_ns: now };
        if self.met.len() < ERRORS {
            self.met.push(met);
        } else if let Some(oldest) = self.met.iter_mut().min_by_key(|met| met.last_unix_ns) {
            *oldest = met;
        }
    }

    /// The distinct errors, if there is news of them since the last call.
    pub(super) fn take_met(&mut self) -> Option<&[Met]> {
        std::mem::take(&mut self.news).then_some(&*self.met)
    }

    /// All of them.
    pub(super) fn met(&self) -> &[Met] {
        &self.met
    }

    /// How many failures there were since the last call.
    pub(super) fn take_failures(&mut self) -> u64 {
        std::mem::take(&mut self.failures)
    }

    /// What is wrong, if anything is.
    pub(super) fn said(&mut self) -> Option<String> {
        self.present.retain(|_, (_, at)| at.elapsed() < OVER_AFTER);
        self.present.values().next().map(|(said, _)| said.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_kept_apart_by_their_words_and_the_oldest_is_forgotten() {
        let mut troubles = Troubles::default();
        for number in 0..2 * ERRORS {
            troubles.meet("again and again");
            troubles.meet(&format!("error {number}"));
        }
        let met = troubles.take_met().unwrap();
        assert_eq!(met.len(), ERRORS);
        assert!(met.iter().any(|met| met.text == "again and again" && met.count == 2 * ERRORS as u64));
        assert!(met.iter().any(|met| met.text == format!("error {}", 2 * ERRORS - 1)));
        assert!(troubles.take_met().is_none());
    }

    #[test]
    fn a_trouble_lasts_until_its_activity_succeeds() {
        let mut troubles = Troubles::default();
        let full = || io::Error::from_raw_os_error(libc::ENOSPC);
        assert_eq!(troubles.see("archiving", Ok(1)), Some(1));
        assert_eq!(troubles.see::<()>("archiving", Err(full())), None);
        troubles.see("compressing", Ok(()));
        assert!(troubles.said().is_some_and(|said| said.starts_with("archiving: No space left")));
        assert_eq!((troubles.take_failures(), troubles.take_failures()), (1, 0));
        assert!(troubles.said().is_some());
        troubles.see("archiving", Ok(()));
        assert_eq!(troubles.said(), None);
    }
}
