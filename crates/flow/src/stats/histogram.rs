//! A histogram of times.
//!
//! Buckets are linear within a power of two, 16 in each, so a value is known to 1/16 (6.25 %), from 0 up to all that a `u64` holds, and below
//! 32 exactly. The layout is that of HdrHistogram (Gil Tene, <https://hdrhistogram.org>); it grows with the largest value: 512 buckets, 4 KiB, reach
//! beyond ten seconds of ns.

/// Bits of a value that tell its bucket, below the first one.
const BITS: u32 = 4;
const BUCKETS: u64 = 1 << BITS;

/// How many values there were of each size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn record(&mut self, value: u64) {
        let bucket = bucket_of(value);
        match self.buckets.get_mut(bucket) {
            Some(count) => *count += 1,
            None => self.record_first(bucket),
        }
        self.count += 1;
        self.max = self.max.max(value);
    }

    #[cold]
    fn record_first(&mut self, bucket: usize) {
        self.buckets.resize(bucket + 1, 0);
        self.buckets[bucket] = 1;
    }

    /// Values that were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The largest of them, exactly; 0: there is none.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// What the part `quantile` (0 to 1) of the values was at most: the end of a bucket, and never beyond the maximum. 0: there is none.
    pub(crate) fn quantile(&self, quantile: f64) -> u64 {
        let wanted = ((self.count as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        bucket.map_or(0, |bucket| end_of(bucket).min(self.max))
    }
}

/// The bucket of a value.
fn bucket_of(value: u64) -> usize {
    // How far it is shifted to be below 32: 0 for those that are.
    let shift = (u64::BITS - BITS - 1).saturating_sub(value.leading_zeros());
    (u64::from(shift) * BUCKETS + (value >> shift)) as usize
}

/// The largest value of a bucket.
fn end_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / BUCKETS).saturating_sub(1);
    let first = (bucket - shift * BUCKETS) << shift;
    first + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut next = 0;
        for bucket in 0..bucket_of(u64::MAX) {
            assert_eq!(bucket_of(next), bucket, "{next}");
            let end = end_of(bucket);
            assert_eq!(bucket_of(end), bucket, "{end}");
            assert!(end - next <= next / 16, "{next} to {end}");
            next = end + 1;
        }
        assert_eq!((bucket_of(next), end_of(bucket_of(next))), (bucket_of(u64::MAX), u64::MAX));
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values_to_a_sixteenth() {
        let mut values: Vec<u64> =
            (0..10_000).map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (n % 64)).collect();
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.record(*value));
        values.sort_unstable();
        for quantile in [0.0001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let exact = values[(10_000.0_f64 * quantile).ceil() as usize - 1];
            let found = histogram.quantile(quantile);
            assert!(found >= exact && found - exact <= exact / 16, "{quantile}: {found}, {exact}");
        }
        assert_eq!((histogram.count(), histogram.max()), (10_000, values[9_999]));
    }

    #[test]
    fn without_values_all_is_zero_and_one_value_is_all() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(0.5), histogram.max(), histogram.count()), (0, 0, 0));
        histogram.record(1_000_003);
        assert_eq!(
            (histogram.quantile(0.5), histogram.quantile(0.99), histogram.max()),
            (1_000_003, 1_000_003, 1_000_003)
        );
    }
}
