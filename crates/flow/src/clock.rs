//! Time, as a block sees it while it runs.

use std::cell::Cell;
use std::time::Duration;

/// Reads the clock as seldom as it can: what need not be new is what the last reading was. Moments are in ns, as [`millrace::clock_ns`] tells
/// them.
#[derive(Debug)]
pub(crate) struct Clock {
    /// The start of the scheduler.
    started: u64,
    /// The time of a run that has one of its own, for all of this run of the block.
    own: Option<Duration>,
    first: Cell<u64>,
    last: Cell<u64>,
}

impl Clock {
    pub(crate) fn new(started: u64, own: Option<Duration>) -> Self {
        Self { started, own, first: Cell::new(0), last: Cell::new(0) }
    }

    /// Now.
    pub(crate) fn read(&self) -> u64 {
        let now = millrace::clock_ns();
        if self.last.replace(now) == 0 {
            self.first.set(now);
        }
        now
    }

    /// When it was read last, or now, if it has not been.
    pub(crate) fn last(&self) -> u64 {
        match self.last.get() {
            0 => self.read(),
            last => last,
        }
    }

    /// Between the first reading and the last.
    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.last.get() - self.first.get())
    }

    /// The time of the scheduler at moment `at`.
    pub(crate) fn time(&self, at: u64) -> Duration {
        self.own.unwrap_or_else(|| Duration::from_nanos(at.saturating_sub(self.started)))
    }
}
