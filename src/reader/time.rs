//! From ticks to time, by the anchors of one segment.
//!
//! Among the anchors that stand before a record, the latest whose tick is not above the record's holds; if there is
//! none, the first. Only what stands before counts, so that every rendering of a record gives the same time.

/// A tick of which the wall-clock time is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Anchor {
    /// The tick.
    pub ticks: u64,
    /// Its time, nanoseconds since the Unix epoch.
    pub unix_ns: i64,
    /// Nanoseconds per tick, with 32 fractional bits.
    pub rate: u64,
}

impl Anchor {
    /// The time of a tick; out of range it saturates.
    #[inline]
    pub fn unix_ns(&self, ticks: u64) -> i64 {
        if ticks >= self.ticks {
            let since_ns = (u128::from(ticks - self.ticks) * u128::from(self.rate)) >> 32;
            if let Some(ns) = i64::try_from(since_ns).ok().and_then(|since_ns| self.unix_ns.checked_add(since_ns)) {
                return ns;
            }
        }
        self.unix_ns_beyond(ticks)
    }

    /// The same for ticks before the anchor, and for times that no `i64` holds.
    #[cold]
    fn unix_ns_beyond(&self, ticks: u64) -> i64 {
        let scaled = u128::from(ticks.abs_diff(self.ticks)) * u128::from(self.rate);
        let since_ns = if ticks >= self.ticks { (scaled >> 32) as i128 } else { -(scaled.div_ceil(1 << 32) as i128) };
        let ns = i128::from(self.unix_ns) + since_ns;
        ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    /// An anchor from a header's nominal frequency.
    pub fn nominal(ticks: u64, unix_ns: i64, ticks_per_s: u64) -> Self {
        let rate = (1_000_000_000_u128 << 32) / u128::from(ticks_per_s.max(1));
        Self { ticks, unix_ns, rate: u64::try_from(rate).unwrap_or(u64::MAX) }
    }
}

/// The anchors of a segment, as far as it was read.
#[derive(Clone, Debug)]
pub struct Anchors {
    first: Anchor,
    /// The first is still the header's; an anchor frame replaces it.
    nominal: bool,
    /// Ticks increase: an anchor that goes back hides those that it goes back behind.
    later: Vec<Anchor>,
}

impl Anchors {
    /// Before the first anchor frame, the header's word holds.
    pub fn new(header: Anchor) -> Self {
        Self { first: header, nominal: true, later: Vec::new() }
    }

    /// Takes the next anchor of the segment.
    pub fn push(&mut self, anchor: Anchor) {
        if self.nominal {
            self.first = anchor;
            self.nominal = false;
        }
        while self.later.pop_if(|last| last.ticks >= anchor.ticks).is_some() {}
        self.later.push(anchor);
    }

    /// The time of a record with these ticks that stands behind all anchors taken so far.
    #[inline]
    pub fn unix_ns(&self, ticks: u64) -> i64 {
        match self.later.last() {
            Some(last) if last.ticks <= ticks => last.unix_ns(ticks),
            _ => self.earlier(ticks).unix_ns(ticks),
        }
    }

    #[cold]
    fn earlier(&self, ticks: u64) -> &Anchor {
        let above = self.later.partition_point(|anchor| anchor.ticks <= ticks);
        above.checked_sub(1).and_then(|index| self.later.get(index)).unwrap_or(&self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn anchor(ticks: u64, unix_ns: i64) -> Anchor {
        Anchor { ticks, unix_ns, rate: 1 << 32 }
    }

    #[test]
    fn rates_and_signs() {
        let half = Anchor { ticks: 1_000, unix_ns: 5, rate: 1 << 31 };
        assert_eq!((half.unix_ns(1_010), half.unix_ns(990), half.unix_ns(1_000)), (10, 0, 5));
        assert_eq!(Anchor::nominal(0, 0, 2_000_000_000).unix_ns(2_000_000_000), 1_000_000_000);
        assert_eq!(Anchor { ticks: 0, unix_ns: i64::MAX, rate: u64::MAX }.unix_ns(u64::MAX), i64::MAX);
        assert_eq!(Anchor::nominal(0, 0, 0).unix_ns(7), 7_000_000_000);
        assert_eq!(half.unix_ns(999), 4, "rounds down on both sides");
    }

    proptest! {
        #[test]
        fn the_stack_answers_as_the_plain_rule(
            pushed in prop::collection::vec(0_u64..20, 0..12),
            ticks in 0_u64..25,
        ) {
            let mut anchors = Anchors::new(anchor(3, 0));
            let all: Vec<Anchor> = pushed.iter().zip(1..).map(|(ticks, n)| anchor(*ticks, n * 1_000)).collect();
            all.iter().for_each(|anchor| anchors.push(*anchor));
            let rule = all.iter().rev().find(|anchor| anchor.ticks <= ticks).or(all.first());
            let rule = rule.copied().unwrap_or(anchor(3, 0));
            prop_assert_eq!(anchors.unix_ns(ticks), rule.unix_ns(ticks));
        }
    }
}
