//! Models of the leases: see [`crate::sync::model`].

use super::*;
use crate::layout::{RING_DESTROYED, Slot};
use crate::queue::ring::model::Heap;
use crate::sync::model::{Arc, check, joined, spawn};
use crate::sync::{dekker_fence, fence};

/// An at-least-once queue on the heap.
struct Queue {
    heap: Arc<Heap>,
    given_back: AtomicU32,
    retaken: AtomicU32,
    settled: AtomicU64,
    entries: Vec<LeaseEntry>,
}

/// A lease as its holder knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lease {
    entry: usize,
    id: u32,
    deliveries: u32,
}

impl Queue {
    fn new(capacity: usize) -> Arc<Self> {
        let entries = std::iter::repeat_with(LeaseEntry::default).take(capacity).collect();
        let (given_back, retaken) = (AtomicU32::new(0), AtomicU32::new(0));
        Arc::new(Self { heap: Heap::new(capacity), given_back, retaken, settled: AtomicU64::new(0), entries })
    }

    fn leases(&self) -> Leases<'_> {
        let Self { given_back, retaken, settled, entries, .. } = self;
        Leases { given_back, retaken, settled, entries }
    }

    /// As in `queue/take.rs`.
    fn receive(&self, me: u32) -> Option<Lease> {
        let (ring, leases) = (self.heap.ring(), self.leases());
        if let Some(Retaken { entry, id, deliveries }) = retake(&leases, me) {
            return Some(Lease { entry, id, deliveries });
        }
        let entry = leases.reserve(me as usize, me)?;
        let mut head = ring.head();
        let Some(taken) = ring.pop(&mut head, me, |_| true) else {
            leases.abandon(entry);
            return None;
        };
        leases.grant(entry, me, taken.id(), taken.position);
        ring.recycle(taken);
        ring.help_head(head);
        Some(Lease { entry, id: taken.id(), deliveries: 1 })
    }

    /// What a holder does with a message: nobody else touches it meanwhile.
    fn hold(&self, lease: Lease) {
        let payload = &self.heap.payloads[lease.id as usize];
        payload.write(payload.read() + 1);
    }

    /// As in `queue/settle.rs`.
    fn nack(&self, lease: Lease, me: u32) {
        let before = self.leases().give_back(lease.entry, me, lease.id);
        assert!(before.is_some(), "the lease is its holder's");
    }

    /// As in `queue/settle.rs`.
    fn ack(&self, lease: Lease, me: u32) {
        assert!(self.leases().ack(lease.entry, me, lease.id), "the lease is its holder's");
        self.leases().settle(1);
    }

    fn more_may_come(&self, me: usize) -> bool {
        self.leases().more_may_come(me)
    }

    fn count(&self, state: LeaseState) -> usize {
        let is = |entry: &usize| self.leases().word(*entry).state() == state;
        (0..self.entries.len()).filter(is).count()
    }

    /// Drops what waits, as in `PortQueue::drain`.
    fn drop_pending(&self) {
        let list = PendingList::default();
        while let Some(pending) = list.first(&self.leases()) {
            self.leases().drop_pending(pending);
        }
    }
}

/// Each participant has a list of its own.
fn retake(leases: &Leases<'_>, me: u32) -> Option<Retaken> {
    let list = PendingList::default();
    while let Some(pending) = list.first(leases) {
        if let Some(retaken) = leases.retake(pending, me) {
            return Some(retaken);
        }
    }
    None
}

#[test]
fn a_message_has_one_holder_until_it_is_acknowledged() {
    check(|| {
        let queue = Queue::new(1);
        queue.heap.put(0, true);
        let other = Arc::clone(&queue);
        let other = spawn(move || {
            let lease = other.receive(1)?;
            other.hold(lease);
            other.nack(lease, 1);
            Some(lease.deliveries)
        });
        let mine = queue.receive(2);
        if let Some(lease) = mine {
            queue.hold(lease);
            queue.ack(lease, 2);
        }
        let theirs = joined(other);
        let deliveries = theirs.into_iter().chain(mine.map(|lease| lease.deliveries));
        assert_eq!(deliveries.max(), Some(u32::from(theirs.is_some()) + u32::from(mine.is_some())));
        let left = queue.count(LeaseState::Pending);
        assert_eq!(left, usize::from(mine.is_none()), "it waits until somebody acknowledges it");
        assert_eq!(queue.leases().pending() as usize, left, "the counts are right in the end");
        assert_eq!(queue.receive(3).is_some(), mine.is_none());
    });
}

/// How two receivers get at a message that waits.
fn waiting(retake: fn(&Leases<'_>, u32) -> Option<usize>) {
    check(move || {
        let queue = Queue::new(1);
        queue.heap.put(0, true);
        let lease = queue.receive(3).expect("one was sent");
        queue.nack(lease, 3);
        let other = Arc::clone(&queue);
        let other = spawn(move || retake(&other.leases(), 1).map(|_| other.hold(lease)));
        let mine = retake(&queue.leases(), 2).map(|_| queue.hold(lease));
        assert!(joined(other).is_some() != mine.is_some(), "one of the two has it");
    });
}

#[test]
fn what_waits_goes_to_one_receiver() {
    waiting(|leases, me| retake(leases, me).map(|retaken| retaken.entry));
}

#[test]
#[should_panic = "Causality violation"]
fn without_a_cas_at_delivering_again() {
    waiting(|leases, me| {
        let word = leases.word(0);
        (word.state() == LeaseState::Pending).then(|| {
            leases.entries[0].word.store(LeaseWord::leased(me, word.id()).0, Ordering::Release);
            0
        })
    });
}

/// Somebody looks for what waits while two messages are given back.
#[test]
fn who_looks_meanwhile_finds_the_rest_in_the_end() {
    check(|| {
        let queue = Queue::new(2);
        for id in 0..2 {
            queue.heap.put(id, true);
        }
        let [one, two] = [1, 2].map(|me| queue.receive(me).expect("two were sent"));
        let other = Arc::clone(&queue);
        let other = spawn(move || {
            other.nack(one, 1);
            other.nack(two, 2);
        });
        let list = PendingList::default();
        list.first(&queue.leases());
        joined(other);
        let mut found = 0;
        while let Some(pending) = list.first(&queue.leases()) {
            found += usize::from(queue.leases().retake(pending, 3).is_some());
        }
        assert_eq!(found, 2, "a message waits and is not on the list");
    });
}

/// A receiver takes the message and gives it back, while another one of the closed queue looks whether it has ended.
fn ending(receive: fn(&Queue) -> Option<Lease>, more_may_come: fn(&Queue) -> bool) {
    check(move || {
        let queue = Queue::new(2);
        queue.heap.put(0, true);
        let other = Arc::clone(&queue);
        let other = spawn(move || receive(&other).map(|lease| other.nack(lease, 1)));
        let mine = queue.receive(2);
        let ended = mine.is_none() && queue.heap.ring().front().is_none() && !more_may_come(&queue);
        joined(other);
        assert!(!ended, "a message comes back that nobody comes for");
    });
}

#[test]
fn a_queue_has_not_ended_while_others_hold_a_message() {
    ending(|queue| queue.receive(1), |queue| queue.more_may_come(2));
}

#[test]
#[should_panic = "nobody comes for"]
fn without_counting_what_waits() {
    let held = |queue: &Queue| queue.count(LeaseState::Leased) + queue.count(LeaseState::Reserved) > 0;
    ending(|queue| queue.receive(1), held);
}

/// What a receiver may leave out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Nothing,
    Reservation,
    ReleaseAtRecycling,
    ReleaseOfTheHint,
}

/// `receive`, step by step.
fn receive_without(missing: Missing, queue: &Queue) -> Option<Lease> {
    let (ring, leases) = (queue.heap.ring(), queue.leases());
    let reserve = || leases.reserve(1, 1);
    let early = if missing == Missing::Reservation { None } else { Some(reserve()?) };
    let mut head = ring.head();
    let Some(taken) = ring.pop(&mut head, 1, |_| true) else {
        if let Some(entry) = early {
            leases.abandon(entry);
        }
        return None;
    };
    let order = if missing == Missing::ReleaseAtRecycling { Ordering::Relaxed } else { Ordering::Release };
    let recycle = || queue.heap.slots()[0].store(Slot::ready(0, taken.id()).recycled().0, order);
    if early.is_none() {
        recycle();
    }
    let entry = early.or_else(reserve)?;
    leases.grant(entry, 1, taken.id(), taken.position);
    if early.is_some() {
        recycle();
    }
    let order = if missing == Missing::ReleaseOfTheHint { Ordering::Relaxed } else { Ordering::Release };
    queue.heap.head().fetch_max(head, order);
    Some(Lease { entry, id: taken.id(), deliveries: 1 })
}

#[test]
fn these_are_the_steps_of_a_receiver() {
    ending(|queue| receive_without(Missing::Nothing, queue), |queue| queue.more_may_come(2));
}

#[test]
#[should_panic = "nobody comes for"]
fn without_a_reservation_before_taking() {
    ending(|queue| receive_without(Missing::Reservation, queue), |queue| queue.more_may_come(2));
}

#[test]
#[should_panic = "nobody comes for"]
fn without_release_at_recycling() {
    ending(|queue| receive_without(Missing::ReleaseAtRecycling, queue), |queue| queue.more_may_come(2));
}

#[test]
#[should_panic = "nobody comes for"]
fn without_release_of_the_head_hint() {
    ending(|queue| receive_without(Missing::ReleaseOfTheHint, queue), |queue| queue.more_may_come(2));
}

/// A holder gives back while another process destroys the queue: as in `queue/settle.rs` and `queue/lifecycle.rs`.
fn destroying(looks_again: bool, destroyers_barrier: fn()) {
    check(move || {
        let queue = Queue::new(1);
        queue.heap.put(0, true);
        let lease = queue.receive(1).expect("one was sent");
        let destroyer = Arc::clone(&queue);
        let destroyer = spawn(move || {
            destroyer.heap.state.swap(RING_DESTROYED, Ordering::SeqCst);
            destroyers_barrier();
            destroyer.drop_pending();
        });
        if queue.heap.state.load(Ordering::Acquire) != RING_DESTROYED {
            queue.nack(lease, 1);
            dekker_fence();
            if looks_again && queue.heap.state.load(Ordering::Acquire) == RING_DESTROYED {
                queue.drop_pending();
            }
        }
        joined(destroyer);
        assert_eq!(queue.count(LeaseState::Pending), 0, "a message waits in a queue that is no more");
    });
}

#[test]
fn nothing_waits_in_a_destroyed_queue() {
    // The pin that a destroyer takes in between is a barrier, too: see `registry/model.rs`.
    destroying(true, || fence(Ordering::SeqCst));
}

#[test]
#[should_panic = "a queue that is no more"]
fn without_a_second_look_of_the_giver() {
    destroying(false, || fence(Ordering::SeqCst));
}

#[test]
#[should_panic = "a queue that is no more"]
fn without_the_destroyers_barrier() {
    destroying(true, || {});
}

/// A worker that sends another message before it acknowledges the one it has, and somebody who looks whether the queue is idle.
fn idling(is_idle: fn(&Queue) -> bool) {
    check(move || {
        let queue = Queue::new(2);
        queue.heap.put(0, true);
        let worker = Arc::clone(&queue);
        let worker = spawn(move || {
            let lease = worker.receive(1).expect("one was sent");
            worker.heap.put(1, true).expect("there is room");
            worker.ack(lease, 1);
        });
        assert!(!is_idle(&queue), "there always is something to do");
        joined(worker);
        let last = queue.receive(2).expect("the worker has sent it");
        assert!(!is_idle(&queue), "it is not acknowledged");
        queue.ack(last, 2);
        assert!(is_idle(&queue), "there is nothing left to do");
    });
}

#[test]
fn a_queue_is_not_idle_while_there_is_something_to_do() {
    idling(|queue| {
        let settled = queue.leases().settled();
        queue.heap.ring().published() == settled
    });
}

#[test]
#[should_panic = "there always is something to do"]
fn without_looking_at_what_is_over_first() {
    idling(|queue| queue.heap.ring().published() == queue.leases().settled());
}
