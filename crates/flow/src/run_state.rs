//! Whether a block is to be run: at most one run of it is queued or under way, however many wakes there are.
//!
//! ```text
//!            wake              a worker takes it         nothing to do
//!   IDLE ─────────────▶ QUEUED ─────────────────▶ RUNNING ────────────▶ IDLE
//!                         ▲                          │ wake
//!                         │     budget used up       ▼
//!                         └───────────────────── NOTIFIED
//! ```
//!
//! Who wakes has changed a queue before. The block's runner looks at its queues after it has made the state RUNNING, and makes it IDLE only
//! if it is RUNNING still. With a fence between the two on both sides, either the waker finds IDLE or NOTIFIED is seen, or the runner has yet
//! to look.
//!
//! A block that sleeps for somebody outside of its scheduler is *watched*: a worker that hears of something from outside wakes the watched
//! tasks that it was for. One that hears before the task is watched does not; so the task looks again after it has fallen asleep, whether
//! anything has been told since it looked at its queues.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
const NOTIFIED: u8 = 3;
const ENDED: u8 = 4;

/// The state of a task, and whether it is watched.
#[derive(Debug)]
pub(crate) struct RunState {
    state: AtomicU8,
    /// It sleeps until somebody outside of this scheduler does something.
    watched: AtomicBool,
}

impl RunState {
    /// That of a task that is to be run.
    pub(crate) fn queued() -> Self {
        Self { state: AtomicU8::new(QUEUED), watched: AtomicBool::new(false) }
    }

    /// Asks for a run; `true`: the caller has to queue it.
    pub(crate) fn wake(&self) -> bool {
        // SeqCst, pairs with `begin`: the queue was changed before the state is looked at.
        fence(Ordering::SeqCst);
        loop {
            let (from, to) = match self.state.load(Ordering::Relaxed) {
                IDLE => (IDLE, QUEUED),
                RUNNING => (RUNNING, NOTIFIED),
                _ => return false,
            };
            if self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return to == QUEUED;
            }
        }
    }

    /// A worker that has taken it begins its run.
    pub(crate) fn begin(&self) {
        self.state.store(RUNNING, Ordering::Relaxed);
        // SeqCst, pairs with `wake`: the queues are looked at after the state has changed.
        fence(Ordering::SeqCst);
    }

    /// The run is over, and more is to be done later: the caller queues it.
    pub(crate) fn requeue(&self) {
        self.state.store(QUEUED, Ordering::Release);
    }

    /// The run is over; `false`: somebody has asked for another meanwhile, which begins now.
    pub(crate) fn sleep(&self) -> bool {
        let slept = self.state.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if !slept {
            self.begin();
        }
        slept
    }

    pub(crate) fn end(&self) {
        self.state.store(ENDED, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state.load(Ordering::Acquire) == ENDED
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state.load(Ordering::Acquire) == IDLE
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state.load(Ordering::Relaxed), RUNNING | NOTIFIED)
    }

    /// Says whether it sleeps for somebody outside. By its runner, before it sleeps.
    pub(crate) fn watch(&self, watched: bool) {
        // Release: whoever sees it watched sees what is armed.
        self.watched.store(watched, Ordering::Release);
    }

    /// Whether somebody outside may end its sleep.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Acquire)
    }

    /// It has fallen asleep, watched: `true` if it has to be woken at once, since `told`, which looks at what is told from outside,
    /// finds what another worker may have heard before it was watched.
    pub(crate) fn has_missed(&self, told: impl FnOnce() -> bool) -> bool {
        // SeqCst, pairs with `heard`.
        fence(Ordering::SeqCst);
        self.is_watched() && told()
    }
}

/// A worker has heard that something was told from outside, and looks next which watched tasks it was for.
pub(crate) fn heard() {
    // SeqCst, pairs with `has_missed`: who is not watched yet looks after it is.
    fence(Ordering::SeqCst);
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicU32;
    use loom::thread;

    /// A message in a queue between two blocks of a scheduler.
    #[test]
    fn model_a_wake_inside_is_not_lost() {
        loom::model(|| {
            let task = Arc::new((RunState::queued(), AtomicU32::new(0)));
            let sender = {
                let task = Arc::clone(&task);
                thread::spawn(move || {
                    task.1.store(1, Ordering::Relaxed);
                    task.0.wake()
                })
            };
            let (state, message) = &*task;
            state.begin();
            let mut taken = message.load(Ordering::Relaxed) == 1;
            while !state.sleep() {
                taken |= message.load(Ordering::Relaxed) == 1;
            }
            let queued = sender.join().unwrap();
            assert!(taken || queued, "nobody runs it again, and the message is there");
        });
    }

    /// What is outside: a message, the bit of who waits for it, and the sequence number that says that something was told.
    struct Outside {
        state: RunState,
        message: AtomicU32,
        bit: AtomicU32,
        sequence: AtomicU32,
        seen: AtomicU32,
    }

    impl Outside {
        /// Another process sends, and notifies if somebody waits: see `millrace`, `wait`.
        fn send(&self) {
            self.message.store(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if self.bit.swap(0, Ordering::AcqRel) == 1 {
                self.sequence.fetch_add(1, Ordering::SeqCst);
            }
        }

        /// A worker between two runs; whether it has to queue the task.
        fn listen(&self) -> bool {
            let sequence = self.sequence.load(Ordering::SeqCst);
            if self.seen.load(Ordering::Relaxed) == sequence {
                return false;
            }
            self.seen.store(sequence, Ordering::SeqCst);
            heard();
            self.state.is_watched() && self.bit.load(Ordering::Acquire) == 0 && self.state.wake()
        }

        /// Runs the task once; whether it has found the message, and whether it is queued again.
        fn run(&self) -> (bool, bool) {
            self.state.begin();
            loop {
                let sequence = self.sequence.load(Ordering::SeqCst);
                if self.message.load(Ordering::Acquire) == 1 {
                    return (true, false);
                }
                self.bit.store(1, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                if self.message.load(Ordering::Acquire) == 1 {
                    return (true, false);
                }
                self.state.watch(true);
                if self.state.sleep() {
                    let told = || {
                        self.sequence.load(Ordering::SeqCst) != sequence
                            && self.bit.load(Ordering::Acquire) == 0
                    };
                    return (false, self.state.has_missed(told) && self.state.wake());
                }
            }
        }
    }

    #[test]
    fn model_a_wake_from_outside_is_not_lost_on_a_worker_that_hears_too_early() {
        loom::model(|| {
            let outside = Arc::new(Outside {
                state: RunState::queued(),
                message: AtomicU32::new(0),
                bit: AtomicU32::new(0),
                sequence: AtomicU32::new(0),
                seen: AtomicU32::new(0),
            });
            let sender = {
                let outside = Arc::clone(&outside);
                thread::spawn(move || outside.send())
            };
            let listener = {
                let outside = Arc::clone(&outside);
                thread::spawn(move || outside.listen())
            };
            let (taken, requeued) = outside.run();
            sender.join().unwrap();
            let heard = listener.join().unwrap();
            // What has not been heard is, by whoever listens next.
            assert!(
                taken || requeued || heard || outside.listen(),
                "everybody sleeps, and the message is there"
            );
        });
    }
}
