//! Quantiles and the lines of JSON that are printed.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What a measurement came to.
#[derive(Default)]
pub(crate) struct Sample {
    pub(crate) value: f64,
    /// CPU seconds of all processes.
    pub(crate) cpu_seconds: f64,
    pub(crate) messages: u64,
    pub(crate) rss_mib: f64,
    /// In ns.
    pub(crate) latencies: Vec<f64>,
}

impl Sample {
    /// Prints the sample the way the suite reads it; latencies in µs.
    pub(crate) fn print(mut self) {
        let mut out = format!("{{\"value\":{}", self.value);
        if self.messages > 0 {
            let per_million = self.cpu_seconds / self.messages as f64 * 1e6;
            let _ = write!(out, ",\"cpuPerMillion\":{per_million},\"rssMib\":{}", self.rss_mib);
        }
        if !self.latencies.is_empty() {
            self.latencies.sort_by(f64::total_cmp);
            let _ = write!(out, ",\"latency\":{}", latency(&self.latencies));
        }
        println!("{out}}}");
    }
}

/// The value at `quantile` of values in ascending order.
pub(crate) fn quantile(ascending: &[f64], quantile: f64) -> f64 {
    ascending[((quantile * ascending.len() as f64) as usize).min(ascending.len() - 1)]
}

/// Eight buckets for each doubling, as in bench/lib/numbers.ts.
fn latency(ns: &[f64]) -> String {
    let mut buckets = BTreeMap::<i32, u64>::new();
    for value in ns {
        *buckets.entry(((value / 1e3).max(0.01).log2() * 8.0).floor() as i32).or_default() += 1;
    }
    let buckets: Vec<_> =
        buckets.iter().map(|(at, count)| format!("[{:.4},{count}]", (f64::from(*at) / 8.0).exp2())).collect();
    let at = |q| quantile(ns, q) / 1e3;
    format!(
        "{{\"count\":{},\"min\":{},\"p50\":{},\"p90\":{},\"p99\":{},\"p999\":{},\"max\":{},\"buckets\":[{}]}}",
        ns.len(),
        at(0.0),
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0),
        buckets.join(",")
    )
}
