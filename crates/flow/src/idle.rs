//! Sleeping workers, and the one of them that listens.
//!
//! One sleeping worker, the *listener*, sleeps on the participant's futex, where other processes notify; the others sleep each by itself.
//! So an event from outside wakes the thread that can run it, without a thread in between. When no worker sleeps, nobody listens; then each
//! looks at the participant's sequence number between two runs.

use millrace::ShmManager;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Idle {
    /// Workers that sleep, or are about to.
    sleepers: AtomicUsize,
    roster: Mutex<Roster>,
    threads: Vec<OnceLock<Thread>>,
}

#[derive(Debug, Default)]
struct Roster {
    listener: Option<usize>,
    others: Vec<usize>,
}

impl Idle {
    pub(crate) fn new(workers: usize) -> Self {
        let threads = (0..workers).map(|_| OnceLock::new()).collect();
        Self { sleepers: AtomicUsize::new(0), roster: Mutex::default(), threads }
    }

    /// To be called by worker `me` before anything else.
    pub(crate) fn join(&self, me: usize) {
        let _ = self.threads[me].set(std::thread::current());
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts worker `me` to sleep until it is woken or `timeout` has passed, unless `look` finds something to do. The listener looks with
    /// `listen`, too, which returns whether what is told from outside has brought something. Returns whether it has listened.
    pub(crate) fn sleep(
        &self,
        me: usize,
        shm: &ShmManager,
        timeout: impl Fn() -> Duration,
        look: impl Fn() -> bool,
        listen: impl Fn() -> bool,
    ) -> bool {
        let listens = {
            let mut roster = self.roster();
            let listens = roster.listener.is_none();
            if listens {
                roster.listener = Some(me);
            } else {
                roster.others.push(me);
            }
            self.sleepers.fetch_add(1, Ordering::Relaxed);
            listens
        };
        // SeqCst, pairs with `wake_one`: who queues a task after our look sees that we sleep.
        fence(Ordering::SeqCst);
        if listens {
            // Read before the look: whatever is told after it ends the sleep.
            let sequence = shm.wake_sequence();
            if !listen() && !look() {
                shm.park(sequence, timeout());
            }
        } else if !look() {
            while self.roster().others.contains(&me) {
                std::thread::park();
            }
        }
        self.leave(me);
        listens
    }

    /// Takes `me` off the roster, if nobody has done so.
    fn leave(&self, me: usize) {
        let mut roster = self.roster();
        if roster.listener == Some(me) {
            roster.listener = None;
        } else if let Some(at) = roster.others.iter().position(|other| *other == me) {
            roster.others.swap_remove(at);
        } else {
            return;
        }
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Wakes a sleeping worker, if there is one, after a task was queued for any.
    pub(crate) fn wake_one(&self, shm: &ShmManager) {
        // SeqCst, pairs with `sleep`: the task was queued before we look who sleeps.
        fence(Ordering::SeqCst);
        if self.sleepers.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut roster = self.roster();
        // The listener last: as long as it sleeps somebody listens.
        if let Some(other) = roster.others.pop() {
            self.unpark(other);
        } else if roster.listener.is_some() {
            drop(roster);
            shm.notify();
        }
    }

    /// Wakes worker `worker`, if it sleeps, after a task was queued for it.
    pub(crate) fn wake(&self, worker: usize, shm: &ShmManager) {
        fence(Ordering::SeqCst);
        if self.sleepers.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut roster = self.roster();
        if let Some(at) = roster.others.iter().position(|other| *other == worker) {
            roster.others.swap_remove(at);
            self.unpark(worker);
        } else if roster.listener == Some(worker) {
            drop(roster);
            shm.notify();
        }
    }

    /// Ends the sleep of whoever listens.
    pub(crate) fn wake_listener(&self, shm: &ShmManager) {
        // SeqCst, pairs with `sleep`.
        fence(Ordering::SeqCst);
        if self.sleepers.load(Ordering::Relaxed) > 0 {
            shm.notify();
        }
    }

    /// Wakes every worker.
    pub(crate) fn wake_all(&self, shm: &ShmManager) {
        fence(Ordering::SeqCst);
        let others = std::mem::take(&mut self.roster().others);
        others.into_iter().for_each(|other| self.unpark(other));
        shm.notify();
    }

    /// Whether every one of `workers` sleeps.
    pub(crate) fn all_sleep(&self) -> bool {
        self.sleepers.load(Ordering::Relaxed) == self.threads.len()
    }

    fn unpark(&self, worker: usize) {
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
        if let Some(thread) = self.threads[worker].get() {
            thread.unpark();
        }
    }
}
