//! Run: blocks that have been started.

mod shared;
mod timers;
mod worker;

use crate::options::SchedulerOptions;
use crate::stats::{Alone, Report, Stall};
use crate::task::Task;
use millrace::{Error, ErrorKind, Result, ShmManager};
use shared::{Shared, Waited};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use worker::work;

/// How long the end of a run may take that nobody waits for.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

/// Blocks that run. Dropping it stops them.
#[derive(Debug)]
pub struct Run {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    stall_timeout: Option<Duration>,
}

impl Run {
    pub(crate) fn start(
        shm: Arc<ShmManager>,
        tasks: Vec<Task>,
        threads: usize,
        options: &SchedulerOptions,
    ) -> Result<Self> {
        let (shared, deques) = Shared::new(shm, tasks, threads, options.slice, options.policy);
        let stall_timeout = options.stall_timeout;
        let mut run = Self { shared: Arc::new(shared), threads: Vec::new(), stall_timeout };
        for (me, deque) in deques.into_iter().enumerate() {
            let shared = Arc::clone(&run.shared);
            let thread = std::thread::Builder::new().name(format!("millrace-flow-{me}"));
            match thread.spawn(move || work(&shared, me, &deque)) {
                Ok(thread) => run.threads.push(thread),
                Err(error) => {
                    run.shared.stop();
                    run.shared.end_queued(me..threads);
                    return Err(Error::io(format!("cannot start thread {me} of a scheduler"), error));
                }
            }
        }
        Ok(run)
    }

    /// Waits until every block has ended.
    ///
    /// # Errors
    /// The first failure of a block, which it names; `Stalled` when the blocks wait for each other, with what each waits for, or when one does
    /// not return from its work for [`SchedulerOptions::stall_timeout`]: the others end as by [`Run::stop`], and its thread stays.
    pub fn wait(mut self) -> Result<Report> {
        match self.shared.wait_ended(None, self.stall_timeout) {
            Waited::Ended | Waited::TimedOut => self.finish(),
            Waited::Stalled(stall) => Err(self.leave(&stall)),
        }
    }

    /// Calls `done` once every block has ended, from a thread of the scheduler, or at once if they have.
    pub fn on_end(&self, done: impl FnOnce() + Send + 'static) {
        self.shared.on_end(Box::new(done));
    }

    /// Whether every block has ended.
    pub fn has_ended(&self) -> bool {
        self.shared.has_ended()
    }

    /// Sources end, everything that is under way arrives, then the blocks end.
    ///
    /// # Errors
    /// As [`Run::wait`]; `Timeout`, when that takes longer than `timeout`: then everything ends as by [`Run::stop`], with a count of what
    /// was lost.
    pub fn drain(mut self, timeout: Duration) -> Result<Report> {
        self.shared.drain();
        match self.shared.wait_ended(Some(timeout), self.stall_timeout) {
            Waited::Ended => return self.finish(),
            Waited::Stalled(stall) => return Err(self.leave(&stall)),
            Waited::TimedOut => {}
        }
        let waiting = self.shared.explain();
        let report = self.stop(timeout)?;
        let lost: u64 = report.blocks.iter().map(|block| block.lost).sum();
        let message = format!(
            "the blocks did not end within {timeout:?} and were stopped, {lost} messages were lost: {waiting}"
        );
        Err(Error::new(ErrorKind::Timeout, message))
    }

    /// Begins to drain, and does not wait.
    pub fn begin_drain(&self) {
        self.shared.drain();
    }

    /// Begins to stop, and does not wait.
    pub fn begin_stop(&self) {
        self.shared.stop();
    }

    /// Ends every block after the work it is in. What is under way goes back to the queues that deliver again, and is lost otherwise.
    ///
    /// # Errors
    /// As [`Run::wait`]; `Timeout`, when a block does not return from its work, which it names: its thread stays.
    pub fn stop(mut self, timeout: Duration) -> Result<Report> {
        self.shared.stop();
        match self.shared.wait_ended(Some(timeout), self.stall_timeout) {
            Waited::Ended => self.finish(),
            Waited::Stalled(stall) => Err(self.leave(&stall)),
            Waited::TimedOut => {
                self.threads.clear();
                let running = self.shared.running();
                let message = format!("blocks did not return from their work within {timeout:?}: {running}");
                Err(Error::new(ErrorKind::Timeout, message))
            }
        }
    }

    /// Leaves the threads to themselves: they cannot be ended from outside, and hold on to what they use.
    fn leave(&mut self, Stall { block, working }: &Stall) -> Error {
        self.shared.stop();
        self.threads.clear();
        let message = format!("block {block:?} has not returned from its work for {working:.1?}");
        Error::new(ErrorKind::Stalled, message)
    }

    /// Blocks whose call of work has taken longer than that so far.
    pub fn stalls(&self, longer_than: Duration) -> Vec<Stall> {
        self.shared.stalls(longer_than).collect()
    }

    /// Runs no block any more, until [`Run::resume`], or until it is to drain or stop.
    pub fn pause(&self) {
        self.shared.pause(true);
    }

    /// Runs them again.
    pub fn resume(&self) {
        self.shared.pause(false);
    }

    /// What has been counted so far. Of a block that is in its work for longer than 20 ms: what had been counted when it was last asked.
    pub fn report(&self) -> Report {
        self.shared.report()
    }

    /// Ports of blocks that wait, and have taken nothing yet, at queues at whose other side nobody is: perhaps for a name that is not the
    /// same there.
    pub fn alone(&self) -> Vec<Alone> {
        self.shared.alone()
    }

    /// What each block that has not ended waits for, or that it works.
    pub fn explain(&self) -> String {
        self.shared.explain()
    }

    fn finish(&mut self) -> Result<Report> {
        for thread in self.threads.drain(..) {
            // A worker does not panic: blocks do, and that is caught.
            let _ = thread.join();
        }
        match self.shared.take_failure() {
            Some(error) => Err(error),
            None => Ok(self.shared.report()),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.threads.is_empty() {
            // Joined, or abandoned.
            return;
        }
        self.shared.stop();
        if matches!(self.shared.wait_ended(Some(DROP_TIMEOUT), self.stall_timeout), Waited::Ended) {
            self.threads.drain(..).for_each(|thread| drop(thread.join()));
        }
    }
}
