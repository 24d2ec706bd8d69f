//! Options of schedulers, blocks and links.

use millrace::{Delivery, Overflow, PortQueue, QueueOptions};
use std::sync::Arc;
use std::time::Duration;

/// Which thread runs which block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Any thread runs any block; one without work takes some of the others'.
    #[default]
    WorkStealing,
    /// Each block has a thread, which is the only one to run it: [`BlockOptions::thread`], or else the next in turn.
    Pinned,
    /// Each block has a thread of its own: for blocks that wait inside of [`Block::work`](crate::Block::work).
    ThreadPerBlock,
    /// One thread, and a choice among the blocks that could run which depends on nothing but `seed`; time passes only when no block can
    /// run, and then at once up to what the next waits for. For tests.
    Single {
        /// Of the choice.
        seed: u64,
    },
}

/// Options of a [`Scheduler`](crate::Scheduler).
#[derive(Clone, Debug)]
pub struct SchedulerOptions {
    /// Threads, 1 to 256. Default: as many as the machine runs at once. Without meaning for [`Policy::ThreadPerBlock`] and
    /// [`Policy::Single`].
    pub threads: usize,
    /// Which thread runs which block.
    pub policy: Policy,
    /// How long a block runs before others get their turn. Default 200 µs.
    pub slice: Duration,
    /// How long a call of [`Block::work`](crate::Block::work) may take while somebody waits for the end of the run, by [`Run::wait`],
    /// [`Run::drain`] or [`Run::stop`]: then that fails, and names the block. Default: no end.
    ///
    /// [`Run::wait`]: crate::Run::wait
    /// [`Run::drain`]: crate::Run::drain
    /// [`Run::stop`]: crate::Run::stop
    pub stall_timeout: Option<Duration>,
}

impl Default for SchedulerOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        Self { threads, policy: Policy::default(), slice: Duration::from_micros(200), stall_timeout: None }
    }
}

pub(crate) const THREADS_MAX: usize = 256;

/// Blocks of a higher priority run first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// Before the others.
    High,
    /// As most.
    #[default]
    Normal,
    /// After the others.
    Low,
}

/// What becomes of a message that [`Block::work`](crate::Block::work) fails with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnError {
    /// How often it is tried again. Default 0.
    pub retries: u32,
    /// How long to wait before the first of these, and twice as long before each other.
    pub backoff: Duration,
    /// What becomes of it after that.
    pub then: Then,
}

/// The end of a message that [`Block::work`](crate::Block::work) has failed with often enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// The block fails, and the scheduler with it. The message goes back to the queue, if that delivers it again.
    #[default]
    Fail,
    /// It is let go of, and counted.
    Skip,
    /// It goes to [`BlockOptions::dead_letters`], or is let go of when those take no more.
    DeadLetter,
}

/// Options of one block.
#[derive(Clone, Debug, Default)]
pub struct BlockOptions {
    /// What becomes of a message that it fails with.
    pub on_error: OnError,
    /// Where such messages go, with [`Then::DeadLetter`].
    pub dead_letters: Option<Arc<PortQueue>>,
    /// Which blocks run first.
    pub priority: Priority,
    /// With [`Policy::Pinned`]: the thread that runs it, from 0.
    pub thread: Option<usize>,
}

/// Options of a link between two blocks of one scheduler.
#[derive(Clone, Debug, Default)]
pub struct LinkOptions {
    /// Messages it holds, 1 to 1 Mi. Default 1024.
    pub capacity: Option<u32>,
    /// What becomes of a message that finds it full. Default: the sending block waits.
    pub overflow: Option<Overflow>,
    /// What becomes of a message whose receiver dies. Default: it is reported as lost.
    pub delivery: Option<Delivery>,
}

impl LinkOptions {
    pub(crate) fn queue(&self) -> QueueOptions {
        let Self { capacity, overflow, delivery } = *self;
        QueueOptions { capacity, overflow, delivery, ..QueueOptions::default() }
    }
}
