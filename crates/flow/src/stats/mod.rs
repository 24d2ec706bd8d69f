//! What is counted of blocks.

mod counts;
mod histogram;
mod latency;
mod links;

pub(crate) use counts::{Activity, Counts};
pub(crate) use latency::Latencies;
pub(crate) use links::link;
use std::time::Duration;

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
    /// Time in work. This and the next three are together the time since the scheduler was started, until the block has ended: so what it
    /// did in each second between two reports is the difference of one by that of all.
    pub busy: Duration,
    /// Time without messages.
    pub starved: Duration,
    /// Time without room or memory.
    pub backpressured: Duration,
    /// Other time.
    pub idle: Duration,
    /// How long the call of the block that is under way has taken so far; zero: none is. Of a block that does not return it grows.
    pub working: Duration,
    /// Half of the calls of work took at most so long; like all such times, up to 1/16 more than it was.
    pub work_p50: Duration,
    /// Of a hundred calls of work, 99 took at most so long.
    pub work_p99: Duration,
    /// The longest call of work, exactly.
    pub work_max: Duration,
    /// How old data was when it came here, by input and source.
    pub latencies: Vec<LatencyReport>,
    /// Counters of its own: see [`Block::counters`](crate::Block::counters).
    pub counters: Vec<(&'static str, u64)>,
}

/// A block that has not returned from its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// Its name.
    pub block: String,
    /// How long the call has taken so far.
    pub working: Duration,
}

/// A port at a queue at whose other side nobody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alone {
    /// The port, as `block.port`.
    pub port: String,
    /// Name of the queue.
    pub queue: String,
    /// It is an input, and nobody has sent there. An output: nobody has created the queue, which whoever receives from it does.
    pub receives: bool,
}

/// How old data was when it came to an input: the time since a source had sent it, or the oldest of what it was made of, until the call of
/// work that took it began.
#[derive(Clone, Debug, Default)]
pub struct LatencyReport {
    /// Number of the source, which is made of its name: the same in every process.
    pub source: u32,
    /// Name of the source: several in the rare case that they have one number; none: it is not in this scheduler.
    pub from: Vec<String>,
    /// The input, as `block.port`.
    pub to: String,
    /// Messages of which this is known.
    pub count: u64,
    /// Half of them were at most so old, to 1/16.
    pub p50: Duration,
    /// Of a hundred, 99 were at most so old.
    pub p99: Duration,
    /// The oldest, to 8 ns.
    pub max: Duration,
}

/// What is in a link, or a queue that a block is connected to, and what has been counted of it.
#[derive(Clone, Debug, Default)]
pub struct LinkReport {
    /// The outputs of this scheduler that send to it, as `block.port`; none: others do.
    pub from: Vec<String>,
    /// The input of this scheduler that takes from it; `None`: others do.
    pub to: Option<String>,
    /// Name of the queue.
    pub queue: String,
    /// Messages it can hold; 0: nobody has made it yet.
    pub capacity: u32,
    /// Messages in it.
    pub depth: u64,
    /// The most there were when a sender looked.
    pub high_water: u32,
    /// Messages that were ever accepted, or dropped for want of room.
    pub sent: u64,
    /// Messages that its overflow policy has dropped.
    pub dropped: u64,
    /// Times that a sender has waited for room.
    pub send_waits: u64,
    /// Times that a receiver has waited for messages.
    pub receive_waits: u64,
    /// Age of the next message, from when a source has sent it or what it was made of; `None`: there is none, or no block of a flow has.
    pub oldest: Option<Duration>,
}

/// What has been counted of all blocks of a scheduler, and of their links.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order in which they were added.
    pub blocks: Vec<BlockReport>,
    /// By the inputs of the blocks in that order, and queues of others also by outputs.
    pub links: Vec<LinkReport>,
}

impl Report {
    /// The block called `name`.
    pub fn block(&self, name: &str) -> Option<&BlockReport> {
        self.blocks.iter().find(|block| block.name == name)
    }

    /// How old data of source `from` was at input `to`, `block.port`.
    pub fn latency(&self, from: &str, to: &str) -> Option<&LatencyReport> {
        let all = self.blocks.iter().flat_map(|block| &block.latencies);
        all.into_iter().find(|latency| latency.to == to && latency.from.iter().any(|name| name == from))
    }

    /// The link to input `to`, `block.port`.
    pub fn link(&self, to: &str) -> Option<&LinkReport> {
        self.links.iter().find(|link| link.to.as_deref() == Some(to))
    }
}
