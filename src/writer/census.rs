//! What the writer counts of the records it takes: by level, by target, and how long they waited.
//!
//! Counted in the writer's own memory, an addition or two for each record, and stored into the
//! [health page](crate::shm::health_page) after each step that took records. Targets get a place each as long as there are
//! places; those beyond share the first.

use crate::health::histogram::bucket;
use crate::shm::control_page::HealthPage;
use crate::shm::health_page::{Counts, DROP_CAUSES, LEVELS, TARGETS};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The name of the place that all targets share that found none.
pub(crate) const OTHER: &str = "(other)";

#[derive(Clone, Copy, Default, Debug)]
struct Count {
    records: u64,
    bytes: u64,
}

impl Count {
    #[inline]
    fn add(&mut self, records: u64, bytes: u64) {
        self.records += records;
        self.bytes += bytes;
    }

    fn publish(self, words: &Counts) {
        words.records.store(self.records, Ordering::Relaxed);
        words.bytes.store(self.bytes, Ordering::Relaxed);
    }
}

/// Where the records of a call site, or of a component, are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Place {
    /// Of the target.
    pub(crate) target: u16,
    /// The level's number; 0 for none.
    pub(crate) level: u8,
}

/// The counts.
#[derive(Debug)]
pub(crate) struct Census {
    page: Option<Arc<HealthPage>>,
    levels: [Count; LEVELS],
    targets: Vec<Count>,
    places: HashMap<Box<str>, u16>,
    dropped: [u64; DROP_CAUSES],
    /// The oldest tick of this step; the greatest there is while it has taken no record.
    oldest: u64,
}

impl Census {
    pub(crate) fn new() -> Self {
        Self {
            page: None,
            levels: [Count::default(); LEVELS],
            targets: vec![Count::default()],
            places: HashMap::new(),
            dropped: [0; DROP_CAUSES],
            oldest: u64::MAX,
        }
    }

    /// From now on counts are stored there.
    pub(crate) fn publish_to(&mut self, page: Arc<HealthPage>) {
        self.page = Some(page);
        self.restore();
    }

    /// The place of a target; the shared one when there is no other left.
    #[cold]
    pub(crate) fn target(&mut self, name: &str) -> u16 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.targets.len();
        if place >= TARGETS {
            return 0;
        }
        self.targets.push(Count::default());
        self.places.insert(name.into(), place as u16);
        if let Some(words) = self.page.as_ref().and_then(|page| page.census.targets.get(place)) {
            words.name(name);
        }
        place as u16
    }

    /// Counts a record.
    #[inline]
    pub(crate) fn record(&mut self, place: Place, bytes: usize, ticks: u64) {
        self.add(place, 1, bytes as u64, ticks);
    }

    /// Counts some records; `oldest` is their least tick.
    #[inline]
    pub(crate) fn add(&mut self, place: Place, records: u64, bytes: u64, oldest: u64) {
        if let Some(count) = self.levels.get_mut(usize::from(place.level)) {
            count.add(records, bytes);
        }
        if let Some(count) = self.targets.get_mut(usize::from(place.target)) {
            count.add(records, bytes);
        }
        self.oldest = self.oldest.min(oldest);
    }

    /// Counts drops that the journal states.
    #[cold]
    pub(crate) fn dropped(&mut self, cause: u32, count: u64) {
        if let Some(sum) = self.dropped.get_mut(cause as usize) {
            *sum = sum.saturating_add(count);
        }
        if let Some(page) = &self.page {
            self.dropped.iter().zip(&page.census.dropped).for_each(|(sum, word)| word.store(*sum, Ordering::Relaxed));
        }
    }

    /// A step has ended that began at `now`; with `timed`, ticks tell how long its records had waited by then.
    #[inline]
    pub(crate) fn publish(&mut self, now: u64, timed: bool) {
        if self.oldest == u64::MAX {
            return;
        }
        let waited = now.saturating_sub(self.oldest);
        self.oldest = u64::MAX;
        let Some(page) = &self.page else { return };
        let census = &page.census;
        self.levels.iter().zip(&census.levels).for_each(|(count, words)| count.publish(words));
        self.targets.iter().zip(&census.targets).for_each(|(count, words)| count.publish(&words.counts));
        if timed {
            // This thread alone stores them.
            let add = |word: &AtomicU64, value: u64| {
                word.store(word.load(Ordering::Relaxed).wrapping_add(value), Ordering::Relaxed);
            };
            if let Some(word) = census.lag.get(bucket(waited)) {
                add(word, 1);
            }
            add(&census.lag_sum, waited);
            census.lag_max.store(census.lag_max.load(Ordering::Relaxed).max(waited), Ordering::Relaxed);
        }
    }

    /// Says all of it again in a page that was made anew; the histogram begins again.
    pub(crate) fn restore(&self) {
        let Some(page) = &self.page else { return };
        let census = &page.census;
        if let Some(words) = census.targets.first() {
            words.name(OTHER);
        }
        for (name, place) in &self.places {
            if let Some(words) = census.targets.get(usize::from(*place)) {
                words.name(name);
            }
        }
        self.dropped.iter().zip(&census.dropped).for_each(|(sum, word)| word.store(*sum, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::health_page::HEALTH_BYTES;
    use crate::sys::file::memory_file;
    use crate::sys::map::Mapping;

    fn page() -> Arc<HealthPage> {
        let file = memory_file(c"health", HEALTH_BYTES).unwrap();
        Arc::new(HealthPage::new(Mapping::shared(&file, HEALTH_BYTES).unwrap()))
    }

    #[test]
    fn targets_beyond_the_places_are_counted_as_others() {
        let (page, mut census) = (page(), Census::new());
        census.publish_to(Arc::clone(&page));
        for number in 0..2 * TARGETS as u64 {
            let target = census.target(&format!("target {number}"));
            census.record(Place { target, level: 3 }, 10, number);
        }
        assert_eq!(census.target("target 0"), 1, "a target has one place");
        census.publish(2 * TARGETS as u64, true);
        let words = &page.census;
        let records = |place: usize| words.targets[place].counts.records.load(Ordering::Relaxed);
        assert_eq!((records(0), records(1)), (TARGETS as u64 + 1, 1));
        assert_eq!(words.targets[0].read_name().as_deref(), Some(OTHER));
        assert_eq!(words.targets[TARGETS - 1].read_name(), Some(format!("target {}", TARGETS - 2)));
        assert_eq!(words.levels[3].bytes.load(Ordering::Relaxed), 20 * TARGETS as u64);
        assert_eq!(words.lag_max.load(Ordering::Relaxed), 2 * TARGETS as u64);
        assert_eq!(words.lag[bucket(2 * TARGETS as u64)].load(Ordering::Relaxed), 1);
    }
}
