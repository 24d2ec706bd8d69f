//! Models of leaving: see [`crate::sync::model`]. A file lock is a mutex that is only ever tried.

use crate::sync::model::{Arc, check, joined, spawn};
use crate::sync::{AtomicU32, Ordering, fence};

/// A domain of two participants, each active (1) or gone (0), and its lock.
struct Model {
    active: [AtomicU32; 2],
    removed: AtomicU32,
    lock: loom::sync::Mutex<()>,
}

impl Model {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            active: [AtomicU32::new(1), AtomicU32::new(1)],
            removed: AtomicU32::new(0),
            lock: loom::sync::Mutex::new(()),
        })
    }

    fn is_deserted(&self) -> bool {
        self.removed.load(Ordering::Acquire) == 0
            && self.active.iter().all(|active| active.load(Ordering::Acquire) == 0)
    }

    /// As `remove_if_deserted`.
    fn remove_if_deserted(&self, with_fence: bool) {
        loop {
            if with_fence {
                fence(Ordering::SeqCst);
            }
            if !self.is_deserted() {
                return;
            }
            let Ok(_lock) = self.lock.try_lock() else { return };
            if self.is_deserted() {
                self.removed.store(1, Ordering::Release);
            }
        }
    }

    fn leave(&self, slot: usize, with_fence: bool) {
        self.active[slot].store(0, Ordering::Release);
        self.remove_if_deserted(with_fence);
    }
}

fn two_leave(with_fence: bool) {
    check(move || {
        let domain = Model::new();
        let other = Arc::clone(&domain);
        let other = spawn(move || other.leave(1, with_fence));
        domain.leave(0, with_fence);
        joined(other);
        assert_eq!(domain.removed.load(Ordering::Acquire), 1, "a domain is left behind");
    });
}

#[test]
fn two_that_leave_at_once_leave_nothing() {
    two_leave(true);
}

#[test]
#[should_panic = "left behind"]
fn without_the_leavers_fence() {
    two_leave(false);
}

/// One leaves while another, who is not in the domain, has the lock: it opens it, and fails.
fn leaving_beside_a_holder(looks_again: bool) {
    check(move || {
        let domain = Model::new();
        domain.active[1].store(0, Ordering::Relaxed);
        let holder = Arc::clone(&domain);
        let holder = spawn(move || {
            if let Ok(lock) = holder.lock.try_lock() {
                // It is about something else: its own failure, say.
                let _ = holder.removed.load(Ordering::Relaxed);
                drop(lock);
                if looks_again {
                    holder.remove_if_deserted(true);
                }
            }
        });
        domain.leave(0, true);
        joined(holder);
        assert_eq!(domain.removed.load(Ordering::Acquire), 1, "a domain is left behind");
    });
}

#[test]
fn the_holder_of_the_lock_removes_what_a_leaver_could_not() {
    leaving_beside_a_holder(true);
}

#[test]
#[should_panic = "left behind"]
fn without_the_holders_second_look() {
    leaving_beside_a_holder(false);
}
