//! What is counted of a block.

use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// Where a block is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlockState {
    /// Added, not started.
    #[default]
    Created,
    /// Running, or waiting for something to do.
    Running,
    /// It has ended in order.
    Stopped,
    /// It has failed.
    Failed,
}

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

/// What has been counted of one block.
#[derive(Clone, Debug, Default)]
pub struct BlockReport {
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub state: BlockState,
    /// What it failed of.
    pub error: Option<String>,
    /// Calls of [`Block::work`](crate::Block::work).
    pub work_calls: u64,
    /// Messages it has taken, and dealt with.
    pub items_in: u64,
    /// Messages it has sent.
    pub items_out: u64,
    /// Messages that were dropped on their way to it.
    pub gaps: u64,
    /// Messages that work failed with and that were tried again.
    pub retried: u64,
    /// Messages that work failed with and that were let go of.
    pub skipped: u64,
    /// Messages that work failed with and that were moved to the dead letters.
    pub dead_lettered: u64,
    /// Messages that it had taken and not dealt with when it ended, and that nobody gets any more.
    pub lost: u64,
    /// Messages that it sent and that nobody took.
    pub undelivered: u64,
    /// Time in work.
    pub busy: Duration,
    /// Time without messages.
    pub starved: Duration,
    /// Time without room or memory.
    pub backpressured: Duration,
    /// Other time.
    pub idle: Duration,
    /// Half of the calls of work took at most so long.
    pub work_p50: Duration,
    /// Of a hundred calls of work, 99 took at most so long.
    pub work_p99: Duration,
    /// Counters of its own: see [`Block::counters`](crate::Block::counters).
    pub counters: Vec<(&'static str, u64)>,
}

/// What has been counted of all blocks of a scheduler.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order in which they were added.
    pub blocks: Vec<BlockReport>,
}

impl Report {
    /// The block called `name`.
    pub fn block(&self, name: &str) -> Option<&BlockReport> {
        self.blocks.iter().find(|block| block.name == name)
    }
}

/// The counts of a block, kept by whoever runs it.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) items_in: u64,
    pub(crate) items_out: u64,
    pub(crate) retried: u64,
    pub(crate) skipped: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) lost: u64,
    work: Histogram<u32>,
    times: [Duration; 4],
    activity: Activity,
    since: Instant,
}

impl Counts {
    pub(crate) fn new(now: Instant) -> Self {
        let work = Histogram::new_with_bounds(1, 3_600_000_000_000, 1)
            .unwrap_or_else(|_| unreachable!("constant bounds"));
        Self {
            items_in: 0,
            items_out: 0,
            retried: 0,
            skipped: 0,
            dead_lettered: 0,
            lost: 0,
            work,
            times: [Duration::ZERO; 4],
            activity: Activity::Idle,
            since: now,
        }
    }

    /// From `now` on it does something else.
    pub(crate) fn switch(&mut self, activity: Activity, now: Instant) {
        self.times[self.activity as usize] += now.saturating_duration_since(self.since);
        self.activity = activity;
        self.since = now;
    }

    /// It has worked, until `now`.
    pub(crate) fn worked(&mut self, now: Instant) {
        let took = now.saturating_duration_since(self.since);
        self.work.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        self.switch(Activity::Idle, now);
    }

    /// How long the calls of work take, in the middle; a long time if there was none.
    pub(crate) fn last_work(&self) -> Duration {
        if self.work.is_empty() {
            Duration::MAX
        } else {
            Duration::from_nanos(self.work.value_at_quantile(0.5))
        }
    }

    /// Fills in what is counted here.
    pub(crate) fn fill(&self, report: &mut BlockReport, now: Instant) {
        let mut times = self.times;
        times[self.activity as usize] += now.saturating_duration_since(self.since);
        [report.busy, report.starved, report.backpressured, report.idle] = times;
        report.work_calls = self.work.len();
        report.work_p50 = Duration::from_nanos(self.work.value_at_quantile(0.5));
        report.work_p99 = Duration::from_nanos(self.work.value_at_quantile(0.99));
        report.items_in = self.items_in;
        report.items_out = self.items_out;
        report.retried = self.retried;
        report.skipped = self.skipped;
        report.dead_lettered = self.dead_lettered;
        report.lost = self.lost;
    }
}
