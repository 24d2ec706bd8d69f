//! When which block is to be run.

use crate::link::TaskId;
use std::cmp::Reverse;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A time that is too far away to come.
pub(super) const NEVER: u64 = u64::MAX - 1;
/// No timer.
const NONE: u64 = u64::MAX;

/// The timers of all blocks, one each at most. Times are in ns since the start of the scheduler.
#[derive(Debug)]
pub(super) struct Timers {
    /// The latest first. A sorted list is small code, and fast for the thousands that a scheduler may have.
    set: Mutex<Vec<(u64, TaskId)>>,
    /// That of each block; changed within the lock.
    of: Vec<AtomicU64>,
    /// The earliest.
    next: AtomicU64,
}

impl Timers {
    pub(super) fn new(blocks: usize) -> Self {
        let of = (0..blocks).map(|_| AtomicU64::new(NONE)).collect();
        Self { set: Mutex::default(), of, next: AtomicU64::new(NONE) }
    }

    /// The earliest; `None`: no block waits for a time.
    pub(super) fn next(&self) -> Option<u64> {
        // SeqCst: who falls asleep has set its own timer before, and looks for the earliest after it is on the roster.
        Some(self.next.load(Ordering::SeqCst)).filter(|next| *next != NONE)
    }

    /// Sets the timer of `block`, in place of one it has; `None`: it has none any more. By whoever runs it. Whether the earliest is earlier
    /// now.
    pub(super) fn set(&self, block: TaskId, at: Option<u64>) -> bool {
        let at = at.unwrap_or(NONE);
        // Relaxed: nobody else sets it, and who has taken it as due wakes the block after that, so it comes here again.
        if self.of[block].load(Ordering::Relaxed) == at {
            return false;
        }
        let mut set = self.lock();
        let before = self.of[block].swap(at, Ordering::Relaxed);
        let place =
            |set: &[(u64, TaskId)], at| set.binary_search_by_key(&Reverse((at, block)), |one| Reverse(*one));
        if let Ok(old) = place(&set, before) {
            set.remove(old);
        }
        if at != NONE
            && let Err(new) = place(&set, at)
        {
            set.insert(new, (at, block));
        }
        self.note_next(&set)
    }

    /// Takes the timers that are due at `now`; returns their blocks.
    pub(super) fn take_due(&self, now: u64) -> Vec<TaskId> {
        let mut set = self.lock();
        let later = set.partition_point(|(at, _)| *at > now);
        let due: Vec<_> = set.drain(later..).rev().map(|(_, block)| block).collect();
        due.iter().for_each(|block| self.of[*block].store(NONE, Ordering::Relaxed));
        self.note_next(&set);
        due
    }

    /// Notes the earliest; whether it is earlier than before.
    fn note_next(&self, set: &[(u64, TaskId)]) -> bool {
        let next = set.last().map_or(NONE, |(at, _)| *at);
        // SeqCst, pairs with `next`.
        self.next.swap(next, Ordering::SeqCst) > next
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, TaskId)>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `time` in ns; [`NEVER`] if that is more than can be said.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NEVER).min(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_renews_its_timer_has_one() {
        let timers = Timers::new(2);
        for at in 1..=100_000 {
            timers.set(0, Some(1_000_000 + at));
        }
        assert!(timers.set(1, Some(5)));
        assert_eq!(timers.lock().len(), 2);
        assert_eq!(timers.take_due(4), []);
        assert_eq!(timers.take_due(5), [1]);
        assert_eq!(timers.next(), Some(1_100_000));
        assert!(!timers.set(0, None));
        assert_eq!((timers.next(), timers.lock().len()), (None, 0));
    }

    #[test]
    fn blocks_of_one_time_are_due_together_and_can_wait_again() {
        let timers = Timers::new(3);
        assert!([2, 0, 1].map(|block| timers.set(block, Some(7))).contains(&true));
        assert_eq!(timers.take_due(NEVER), [0, 1, 2]);
        assert!(timers.set(1, Some(7)));
        assert_eq!(timers.take_due(7), [1]);
        assert_eq!(timers.take_due(NEVER), []);
    }
}
