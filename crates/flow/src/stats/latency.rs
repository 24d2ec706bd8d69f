//! How old data is when it comes to an input.

use super::LatencyReport;
use super::histogram::Histogram;
use crate::stamp;
use std::time::Duration;

/// Sources that are told apart at one input. Numbers come from shared memory: nobody makes us keep more.
const SOURCES_MAX: usize = 64;

/// The ages of what has come to an input, by source.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<(u32, Histogram)>);

impl Latencies {
    /// A message with stamp `stamp` was there at `now`.
    pub(crate) fn record(&mut self, stamp: u64, now: u64) {
        let (source, age) = (stamp::source_of(stamp), stamp::age(stamp, now));
        if let Some((_, ages)) = self.0.iter_mut().find(|(known, _)| *known == source) {
            ages.record(age);
        } else if stamp != 0 && self.0.len() < SOURCES_MAX {
            let mut ages = Histogram::default();
            ages.record(age);
            self.0.push((source, ages));
        }
    }

    /// Those of the input `to`.
    pub(crate) fn report(&self, to: &str) -> impl Iterator<Item = LatencyReport> {
        self.0.iter().map(move |(source, ages)| LatencyReport {
            source: *source,
            from: Vec::new(),
            to: to.to_owned(),
            count: ages.count(),
            p50: Duration::from_nanos(ages.quantile(0.5)),
            p99: Duration::from_nanos(ages.quantile(0.99)),
            max: Duration::from_nanos(ages.max()),
        })
    }
}
