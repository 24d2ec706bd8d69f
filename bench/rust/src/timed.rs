//! What is counted in a time, and what it costs.

use crate::numbers::Sample;
use crate::options::Options;
use crate::processes::{Process, rest};
use std::time::Instant;

/// Counted between two looks.
pub(crate) struct Timed {
    pub(crate) count: u64,
    pub(crate) seconds: f64,
    /// Of all processes.
    pub(crate) cpu_seconds: f64,
    rss_mib: f64,
}

impl Timed {
    /// Looks after the time to warm up, and again after the time to be measured.
    pub(crate) fn of(options: &Options, processes: &[Process], count: impl Fn() -> u64) -> Self {
        let look = || {
            let cpu: f64 = processes.iter().map(Process::cpu_seconds).sum();
            (Instant::now(), count(), cpu)
        };
        rest(options.warmup);
        let (started, before, cpu_before) = look();
        rest(options.timed);
        let (ended, after, cpu_after) = look();
        Self {
            count: after - before,
            seconds: (ended - started).as_secs_f64(),
            cpu_seconds: cpu_after - cpu_before,
            rss_mib: processes.iter().map(Process::rss_mib).sum(),
        }
    }

    /// So many a second.
    pub(crate) fn sample(&self) -> Sample {
        let Self { count: messages, seconds, cpu_seconds, rss_mib } = *self;
        Sample { value: messages as f64 / seconds, cpu_seconds, messages, rss_mib, latencies: Vec::new() }
    }
}
