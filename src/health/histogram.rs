//! Log-scaled buckets for times: eight to each power of two, so that a value is known to an eighth of itself. Pure.
//!
//! The idea is that of HdrHistogram, with fixed size and without its low-magnitude cut.

/// Values below this have a bucket each; above, so many share a power of two.
const STEPS: u64 = 8;
const STEP_BITS: u32 = STEPS.ilog2();
/// Buckets of a histogram of 64-bit values.
pub const BUCKETS: usize = (64 - STEP_BITS as usize + 1) * STEPS as usize;

/// The bucket of a value.
#[inline]
pub fn bucket(value: u64) -> usize {
    let Some(power) = value.checked_ilog2().filter(|power| *power >= STEP_BITS) else { return value as usize };
    let shift = power - STEP_BITS;
    (u64::from(shift + 1) * STEPS + ((value >> shift) & (STEPS - 1))) as usize
}

/// The largest value of a bucket.
pub fn upper(bucket: usize) -> u64 {
    let bucket = bucket.min(BUCKETS - 1) as u64;
    let Some(shift) = (bucket / STEPS).checked_sub(1) else { return bucket };
    let next = u128::from(STEPS + bucket % STEPS + 1) << shift;
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

/// The value that a share `quantile` of the counted ones does not exceed, by bucket and count in ascending order; 0
/// where nothing was counted.
pub fn quantile(counts: &[(u64, u64)], quantile: f64) -> u64 {
    let total: u64 = counts.iter().map(|(_, count)| *count).fold(0, u64::saturating_add);
    let wanted = (total as f64 * quantile).ceil().max(1.0) as u64;
    let mut seen: u64 = 0;
    let reached = counts.iter().find(|(_, count)| {
        seen = seen.saturating_add(*count);
        seen >= wanted
    });
    reached.map_or(0, |(upper, _)| *upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_without_gaps_and_an_eighth_wide() {
        for index in 0..BUCKETS {
            assert_eq!(bucket(upper(index)), index);
            if index + 1 < BUCKETS {
                assert_eq!(bucket(upper(index) + 1), index + 1);
            }
        }
        assert_eq!((bucket(0), bucket(u64::MAX), upper(BUCKETS - 1)), (0, BUCKETS - 1, u64::MAX));
        for value in [9, 100, 12_345, 1 << 40, u64::MAX / 3] {
            let upper = upper(bucket(value));
            assert!(upper >= value && upper - value <= value / 8, "{value}");
        }
    }

    #[test]
    fn a_quantile_is_the_bound_of_the_bucket_that_reaches_it() {
        let counts = [(10, 90), (20, 9), (40, 1)];
        assert_eq!([0.5, 0.9, 0.95, 0.99, 1.0].map(|of| quantile(&counts, of)), [10, 10, 20, 20, 40]);
        assert_eq!(quantile(&[], 0.5), 0);
    }
}
