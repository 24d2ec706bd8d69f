//! Models of sleeping and waking: see [`crate::sync::model`]. Sleep itself is left out: a sleeper that found nothing has to be notified.

use super::Waits;
use crate::layout::WaiterMask;
use crate::sync::model::{Arc, check, joined, spawn};
use crate::sync::{AtomicU32, AtomicU64, Ordering, dekker_fence};

/// Somebody to wake: what there is to be had, the mask, and who has been notified.
struct Heap {
    /// Messages, say.
    there: AtomicU32,
    mask: WaiterMask,
    notified: [AtomicU32; 2],
    /// Threads of participant 0 that wait here.
    waits: Waits,
}

impl Heap {
    fn new() -> Arc<Self> {
        let mask = WaiterMask { words: Default::default(), waits: AtomicU64::new(0) };
        let notified = Default::default();
        Arc::new(Self { there: AtomicU32::new(0), mask, notified, waits: Waits::default() })
    }

    fn is_ready(&self) -> bool {
        self.there.load(Ordering::Acquire) > 0
    }

    fn ring(&self, slot: usize) {
        self.notified[slot].fetch_add(1, Ordering::AcqRel);
    }

    /// Publishes one thing and wakes one sleeper.
    fn publish(&self) {
        self.there.fetch_add(1, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        self.mask.wake(1, 0, |slot| self.ring(slot));
    }

    fn is_rung(&self, slot: usize) -> bool {
        self.notified[slot].load(Ordering::Acquire) > 0
    }
}

fn one_sleeper(set: fn(&WaiterMask), wake: fn(&Heap)) {
    check(move || {
        let heap = Heap::new();
        let waker = Arc::clone(&heap);
        let waker = spawn(move || {
            waker.there.fetch_add(1, Ordering::Release);
            wake(&waker);
        });
        set(&heap.mask);
        let sleeps = !heap.is_ready();
        joined(waker);
        assert!(!sleeps || heap.is_rung(0), "it sleeps for ever");
    });
}

#[test]
fn no_wake_is_lost() {
    one_sleeper(|mask| mask.set(0), Heap::wake);
}

#[test]
#[should_panic = "sleeps for ever"]
fn without_the_sleepers_fence() {
    let set = |mask: &WaiterMask| {
        mask.words[0].fetch_or(1, Ordering::AcqRel);
    };
    one_sleeper(set, Heap::wake);
}

#[test]
#[should_panic = "sleeps for ever"]
fn without_the_wakers_fence() {
    one_sleeper(
        |mask| mask.set(0),
        |heap| {
            if heap.mask.words[0].load(Ordering::Acquire) & 1 != 0 && heap.mask.clear(0) {
                heap.ring(0);
            }
        },
    );
}

#[test]
#[should_panic = "sleeps for ever"]
fn without_a_look_before_sleep() {
    check(|| {
        let heap = Heap::new();
        let waker = Arc::clone(&heap);
        let waker = spawn(move || waker.publish());
        heap.mask.set(0);
        joined(waker);
        assert!(heap.is_rung(0), "it sleeps for ever");
    });
}

/// Two participants sleep, one thing comes, and one of them gives up waiting.
fn giving_up(passes_on: bool) {
    check(move || {
        let heap = Heap::new();
        let waker = Arc::clone(&heap);
        let waker = spawn(move || waker.publish());
        let impatient = Arc::clone(&heap);
        let impatient = spawn(move || {
            impatient.mask.set(0);
            let takes_it = impatient.is_ready();
            let notified = !impatient.mask.clear(0);
            if takes_it {
                impatient.there.fetch_sub(1, Ordering::AcqRel);
            } else if passes_on && notified && impatient.is_ready() {
                impatient.wake();
            }
        });
        heap.mask.set(1);
        let sleeps = !heap.is_ready();
        joined(waker);
        joined(impatient);
        assert!(!sleeps || heap.is_rung(1) || !heap.is_ready(), "it sleeps for ever");
    });
}

#[test]
fn a_notification_is_passed_on() {
    giving_up(true);
}

#[test]
#[should_panic = "sleeps for ever"]
fn without_passing_the_notification_on() {
    giving_up(false);
}

/// Two threads of one participant: one ends its wait while the other begins one.
fn sharing_a_bit(end: fn(&Heap)) {
    check(move || {
        let heap = Heap::new();
        heap.waits.begin(&heap.mask, 0);
        let waker = Arc::clone(&heap);
        let waker = spawn(move || {
            waker.there.fetch_add(1, Ordering::Release);
            dekker_fence();
            // As `wake`, without its look at 127 others.
            if waker.mask.words[0].load(Ordering::Acquire) & 1 != 0 && waker.mask.clear(0) {
                waker.ring(0);
            }
        });
        let leaver = Arc::clone(&heap);
        let leaver = spawn(move || end(&leaver));
        let before = heap.notified[0].load(Ordering::Acquire);
        heap.waits.begin(&heap.mask, 0);
        let sleeps = !heap.is_ready();
        joined(waker);
        joined(leaver);
        let notified = heap.notified[0].load(Ordering::Acquire) != before;
        assert!(!sleeps || notified, "it sleeps for ever");
    });
}

#[test]
fn a_thread_does_not_lower_the_bit_of_another() {
    sharing_a_bit(|heap| {
        heap.waits.end(&heap.mask, 0, || heap.ring(0));
    });
}

#[test]
#[should_panic = "sleeps for ever"]
fn without_a_second_look_at_the_others() {
    sharing_a_bit(|heap| {
        heap.waits.end(&heap.mask, 0, || {});
        heap.mask.clear(0);
    });
}

/// `Participant::park` against `Domain::ring`. The kernel compares and enqueues in one step, under its own lock; `dekker_fence` stands
/// for the sequential consistency of the accesses, which loom does not know.
fn parking(counts_itself_first: bool) {
    check(move || {
        let sequence = Arc::new(AtomicU32::new(0));
        let sleepers = Arc::new(AtomicU32::new(0));
        let kernel = Arc::new(loom::sync::Mutex::new((false, false)));
        let ringer = {
            let (sequence, sleepers, kernel) =
                (Arc::clone(&sequence), Arc::clone(&sleepers), Arc::clone(&kernel));
            spawn(move || {
                sequence.fetch_add(1, Ordering::SeqCst);
                dekker_fence();
                if sleepers.load(Ordering::SeqCst) != 0 {
                    kernel.lock().expect("no panic").1 = true;
                }
            })
        };
        if counts_itself_first {
            sleepers.fetch_add(1, Ordering::SeqCst);
            dekker_fence();
        }
        {
            let mut kernel = kernel.lock().expect("no panic");
            // A wake that came before we were enqueued is no wake.
            *kernel = (sequence.load(Ordering::SeqCst) == 0, false);
        }
        if !counts_itself_first {
            sleepers.fetch_add(1, Ordering::SeqCst);
        }
        joined(ringer);
        let (asleep, woken) = *kernel.lock().expect("no panic");
        assert!(!asleep || woken, "it sleeps for ever");
    });
}

#[test]
fn a_parked_thread_is_woken() {
    parking(true);
}

#[test]
#[should_panic = "sleeps for ever"]
fn without_counting_before_parking() {
    parking(false);
}
