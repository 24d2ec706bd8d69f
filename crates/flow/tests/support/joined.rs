//! What the tests of joins share: streams of messages with times, and what a join makes of them.

use super::blocks::{Seen, assert_whole, collector, counter, domain, emitter};
use super::random::Random;
use super::steps::small;
use millrace::Result;
use millrace_flow::blocks::{Join, JoinOptions, Leftovers};
use millrace_flow::{Report, Scheduler, SchedulerOptions};
use std::sync::Arc;

/// A message of input `source` with a time; `u64::MAX`: without one.
pub(crate) fn at(source: u32, time: u64) -> Seen {
    Seen { sequence: time, source, tag: 0, time, bytes: (time as f32).to_ne_bytes().to_vec() }
}

/// What came out of a join.
pub(crate) struct Joined {
    /// Of each output, rest and window included.
    pub(crate) outputs: Vec<Vec<Seen>>,
    pub(crate) report: Report,
}

impl Joined {
    pub(crate) fn counter(&self, name: &str) -> u64 {
        counter(&self.report, "join", name)
    }

    /// The sets, by their times, of a join with `inputs` inputs.
    pub(crate) fn sets(&self, inputs: usize) -> Vec<Vec<u64>> {
        let count = self.outputs[0].len();
        assert!(self.outputs[..inputs].iter().all(|output| output.len() == count), "in step");
        (0..count).map(|set| (0..inputs).map(|output| self.outputs[output][set].time).collect()).collect()
    }

    /// Times at one output, sorted by source.
    pub(crate) fn times(&self, output: usize) -> Vec<(u32, u64)> {
        let mut times: Vec<_> =
            self.outputs[output].iter().map(|message| (message.source, message.time)).collect();
        times.sort_unstable();
        times
    }
}

pub(crate) fn join(options: SchedulerOptions, inputs: Vec<Vec<Seen>>, join: Join) -> Result<Joined> {
    use millrace_flow::Block;
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
    let names: Vec<_> = join.ports().outputs.iter().map(|port| port.name.to_string()).collect();
    let join = scheduler.add("join", join).unwrap();
    for (input, messages) in inputs.into_iter().enumerate() {
        let source = scheduler.add(&format!("source{input}"), emitter(messages)).unwrap();
        scheduler.link((source, "out"), (join, &format!("in{input}")), &small(8)).unwrap();
    }
    let mut all = Vec::new();
    for name in &names {
        let (sink, collected) = collector();
        let sink = scheduler.add(&format!("sink-{name}"), sink).unwrap();
        scheduler.link((join, name), (sink, "in"), &small(8)).unwrap();
        all.push(collected);
    }
    let report = scheduler.run();
    assert_whole(&shm);
    let outputs = all.iter().map(|collected| std::mem::take(&mut *collected.lock().unwrap())).collect();
    report.map(|report| Joined { outputs, report })
}

pub(crate) fn with_rest() -> JoinOptions {
    JoinOptions { leftovers: Leftovers::Rest, ..JoinOptions::default() }
}

/// Messages of input `source` at these times.
pub(crate) fn stream(source: u32, times: impl IntoIterator<Item = u64>) -> Vec<Seen> {
    times.into_iter().map(|time| at(source, time)).collect()
}

/// Up to `most` different times below `limit`, in order.
pub(crate) fn some_times(random: &mut Random, most: u64, limit: u64) -> Vec<u64> {
    let mut times: Vec<u64> = (0..random.below(most)).map(|_| random.below(limit)).collect();
    times.sort_unstable();
    times.dedup();
    times
}
