//! The counts of a block, kept by whoever runs it.

use super::BlockReport;
use super::histogram::Histogram;
use std::time::Duration;

/// What a block does with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// It works.
    Busy,
    /// It waits for messages.
    Starved,
    /// It waits for room, or for memory.
    Backpressured,
    /// It waits for a time, or for its turn.
    Idle,
}

/// What is counted of a block. Times are in ns, moments as [`millrace::clock_ns`] tells them.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) items_in: u64,
    pub(crate) items_out: u64,
    pub(crate) retried: u64,
    pub(crate) skipped: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) lost: u64,
    work: Histogram,
    times: [u64; 4],
    activity: Activity,
    since: u64,
}

impl Counts {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            items_in: 0,
            items_out: 0,
            retried: 0,
            skipped: 0,
            dead_lettered: 0,
            lost: 0,
            work: Histogram::default(),
            times: [0; 4],
            activity: Activity::Idle,
            since: now,
        }
    }

    /// What it does now.
    pub(crate) fn activity(&self) -> Activity {
        self.activity
    }

    /// From `now` on it does something else.
    pub(crate) fn switch(&mut self, activity: Activity, now: u64) {
        self.times[self.activity as usize] += now.saturating_sub(self.since);
        self.activity = activity;
        self.since = now;
    }

    /// It has worked, until `now`.
    pub(crate) fn worked(&mut self, now: u64) {
        self.work.record(now.saturating_sub(self.since));
        self.switch(Activity::Idle, now);
    }

    /// How long the calls of work take, in the middle; a long time if there was none.
    pub(crate) fn usual_work(&self) -> Duration {
        if self.work.count() == 0 { Duration::MAX } else { Duration::from_nanos(self.work.quantile(0.5)) }
    }

    /// Fills in what is counted here; `has_ended`: it does nothing any more.
    pub(crate) fn fill(&self, report: &mut BlockReport, has_ended: bool) {
        let mut times = self.times;
        if !has_ended {
            times[self.activity as usize] += millrace::clock_ns().saturating_sub(self.since);
        }
        [report.busy, report.starved, report.backpressured, report.idle] = times.map(Duration::from_nanos);
        report.work_calls = self.work.count();
        report.work_p50 = Duration::from_nanos(self.work.quantile(0.5));
        report.work_p99 = Duration::from_nanos(self.work.quantile(0.99));
        report.work_max = Duration::from_nanos(self.work.max());
        report.items_in = self.items_in;
        report.items_out = self.items_out;
        report.retried = self.retried;
        report.skipped = self.skipped;
        report.dead_lettered = self.dead_lettered;
        report.lost = self.lost;
    }
}
