//! Where a run's decisions come from: a seed, or the bytes of a fuzzer.

/// A source of decisions.
#[derive(Debug)]
pub(super) enum Dice<'a> {
    /// SplitMix64, and how many steps are left.
    Seed { state: u64, steps: u64 },
    /// One byte a decision, two for a large one; at the end the run is over.
    Bytes(&'a [u8]),
}

/// The most steps that bytes can spell.
const STEPS_MAX: usize = 600;

impl<'a> Dice<'a> {
    /// All that `seed` decides.
    pub(super) fn of_seed(seed: u64) -> Self {
        let mut dice = Self::Seed { state: seed, steps: 0 };
        let length = 20 + dice.below(180);
        if let Self::Seed { steps, .. } = &mut dice {
            *steps = length;
        }
        dice
    }

    /// What `data` spells.
    pub(super) fn of_bytes(data: &'a [u8]) -> Self {
        Self::Bytes(data.get(..STEPS_MAX * 2).unwrap_or(data))
    }

    /// Whether there is another step.
    pub(super) fn goes_on(&mut self) -> bool {
        match self {
            Self::Seed { steps, .. } => {
                *steps = steps.saturating_sub(1);
                *steps > 0
            }
            Self::Bytes(data) => !data.is_empty(),
        }
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        let drawn = match self {
            Self::Seed { state, .. } => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                mixed ^ mixed >> 31
            }
            Self::Bytes(data) => {
                let (front, rest) = data.split_at(data.len().min(if end > 256 { 2 } else { 1 }));
                *data = rest;
                front.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
            }
        };
        drawn % end.max(1)
    }

    /// True once in `n`.
    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == n - 1
    }
}
