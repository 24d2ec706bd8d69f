//! Models of the ring: see [`crate::sync::model`].

use super::*;
use crate::layout::{RING_CLOSED, RING_OPEN};
use crate::pool::model::Heap as Buffers;
use crate::pool::{Freed, Pool};
use crate::sync::model::{Arc, Plain, check, joined, spawn};
use crate::sync::{AtomicU32, dekker_fence, fence};

/// A queue on the heap: its ring, its state, and the payloads of the buffers that travel through it.
pub(in crate::queue) struct Heap {
    pub(in crate::queue) state: AtomicU32,
    head: AtomicU64,
    tail: AtomicU64,
    slots: Vec<AtomicU64>,
    pub(in crate::queue) payloads: [Plain; 3],
}

impl Heap {
    pub(in crate::queue) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU32::new(RING_OPEN),
            head: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            slots: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            payloads: Default::default(),
        })
    }

    pub(in crate::queue) fn ring(&self) -> Ring<'_> {
        Ring { head: &self.head, tail: &self.tail, slots: &self.slots }
    }

    pub(in crate::queue) fn slots(&self) -> &[AtomicU64] {
        &self.slots
    }

    pub(in crate::queue) fn head(&self) -> &AtomicU64 {
        &self.head
    }

    /// Fills buffer `id` and publishes it. Who does not help is taken for dead right after.
    pub(in crate::queue) fn put(&self, id: u32, helps: bool) -> Option<u64> {
        let mut tail = self.ring().tail();
        self.payloads[id as usize].write(id + 1);
        let at = self.ring().push(&mut tail, id);
        if helps {
            self.ring().help_tail(tail);
        }
        at
    }

    /// Takes a message, reads it and writes over it, as its one owner may.
    fn get(&self, helps: bool) -> Option<u32> {
        let mut head = self.ring().head();
        let taken = self.ring().pop(&mut head, 1, |_| true)?;
        self.consume(taken.id());
        self.ring().recycle(taken);
        if helps {
            self.ring().help_head(head);
        }
        Some(taken.id())
    }

    pub(in crate::queue) fn consume(&self, id: u32) {
        let payload = &self.payloads[id as usize];
        assert_eq!(payload.read(), id + 1, "the message is the one that was sent");
        payload.write(0);
    }

    fn drain(&self) -> Vec<u32> {
        std::iter::from_fn(|| self.get(true)).collect()
    }
}

#[test]
fn each_message_arrives_once() {
    for capacity in [2, 4] {
        check(move || {
            let heap = Heap::new(capacity);
            let others: Vec<_> = (0..2)
                .map(|id| {
                    let heap = Arc::clone(&heap);
                    // One of the two does not live to help.
                    spawn(move || heap.put(id, id == 0).expect("there is room"))
                })
                .collect();
            let mut got: Vec<_> = (0..2).filter_map(|_| heap.get(false)).collect();
            for thread in others {
                joined(thread);
            }
            got.extend(heap.drain());
            got.sort_unstable();
            assert_eq!(got, [0, 1]);
        });
    }
}

#[test]
fn two_takers_never_share_and_one_sender_stays_in_order() {
    check(|| {
        let heap = Heap::new(2);
        let sender = Arc::clone(&heap);
        let sender = spawn(move || [0, 1].map(|id| sender.put(id, true)));
        let taker = Arc::clone(&heap);
        let taker = spawn(move || taker.get(false));
        let first = heap.get(true);
        let theirs = joined(taker);
        joined(sender);
        let rest = heap.drain();
        let mut got: Vec<_> = first.into_iter().chain(theirs).chain(rest.iter().copied()).collect();
        got.sort_unstable();
        assert_eq!(got, [0, 1]);
        assert!(rest.is_sorted() && (first.is_some() || theirs.is_some() || rest == [0, 1]));
    });
}

#[test]
fn a_full_ring_goes_round() {
    for capacity in [1, 2] {
        check(move || {
            let heap = Heap::new(capacity);
            for id in 0..capacity as u32 {
                heap.put(id, true);
            }
            let taker = Arc::clone(&heap);
            let taker = spawn(move || [taker.get(false), taker.get(true)]);
            let last = heap.put(2, true).is_some();
            let got = joined(taker);
            let mut got: Vec<_> = got.into_iter().flatten().chain(heap.drain()).collect();
            assert!(got.is_sorted(), "one sender, taken one by one: {got:?}");
            got.retain(|id| *id == 2);
            assert_eq!(got.len(), usize::from(last));
        });
    }
}

/// The next producer finds room although nobody has helped the tail past a slot that has been used up.
fn after_a_death(push: fn(&Ring<'_>, &mut u64, u32) -> Option<u64>) {
    check(move || {
        let heap = Heap::new(2);
        heap.put(0, false);
        let taker = Arc::clone(&heap);
        let taker = spawn(move || taker.get(true));
        assert!(push(&heap.ring(), &mut heap.ring().tail(), 1).is_some(), "there is room for a second");
        assert_eq!(joined(taker), Some(0));
    });
}

#[test]
fn the_tail_is_helped_past_recycled_slots() {
    after_a_death(|ring, tail, id| ring.push(tail, id));
}

#[test]
#[should_panic = "there is room"]
fn without_helping_past_recycled_slots() {
    after_a_death(|ring, tail, id| {
        let word = ring.slot(*tail);
        let seen = Slot(word.load(Ordering::Acquire));
        let lap = ring.lap(*tail);
        match (seen.laps_ahead(lap), seen.state()) {
            (0, SlotState::Ready | SlotState::Taken) => ring.push(&mut (*tail + 1), id),
            (0, SlotState::Free) => ring.push(tail, id),
            _ => None,
        }
    });
}

/// A sender and a taker with these steps.
fn hand_over(push: fn(&Ring<'_>, u32), take: fn(&Ring<'_>) -> Option<u32>) {
    check(move || {
        let heap = Heap::new(1);
        let sender = Arc::clone(&heap);
        let sender = spawn(move || {
            sender.payloads[0].write(1);
            push(&sender.ring(), 0);
        });
        let taker = Arc::clone(&heap);
        let taker = spawn(move || take(&taker.ring()).map(|id| taker.consume(id)));
        if let Some(id) = take(&heap.ring()) {
            heap.consume(id);
        }
        joined(sender);
        joined(taker);
    });
}

fn really_push(ring: &Ring<'_>, id: u32) {
    ring.push(&mut ring.tail(), id);
}

fn really_pop(ring: &Ring<'_>) -> Option<u32> {
    ring.pop(&mut ring.head(), 1, |_| true).map(Taken::id)
}

#[test]
fn the_payload_comes_with_the_message() {
    hand_over(really_push, really_pop);
}

#[test]
#[should_panic = "Causality violation"]
fn without_release_at_publication() {
    hand_over(|ring, id| ring.slot(0).store(Slot::ready(0, id).0, Ordering::Relaxed), really_pop);
}

#[test]
#[should_panic = "Causality violation"]
fn without_acquire_at_taking() {
    let take = |ring: &Ring<'_>| {
        let seen = Slot(ring.slot(0).load(Ordering::Relaxed));
        let word = ring.slot(0);
        let done = word.compare_exchange(seen.0, seen.taken(1).0, Ordering::Relaxed, Ordering::Relaxed);
        (seen.state() == SlotState::Ready && done.is_ok()).then(|| seen.id())
    };
    hand_over(really_push, take);
}

#[test]
#[should_panic = "Causality violation"]
fn without_a_cas_at_taking() {
    let take = |ring: &Ring<'_>| {
        let seen = Slot(ring.slot(0).load(Ordering::Acquire));
        (seen.state() == SlotState::Ready).then(|| {
            ring.slot(0).store(seen.taken(1).0, Ordering::Release);
            seen.id()
        })
    };
    hand_over(really_push, take);
}

/// A sender that takes back what it has just sent, against a receiver.
fn take_back(retract: fn(&Ring<'_>, u64, u32) -> Option<Taken>) {
    check(move || {
        let heap = Heap::new(1);
        let taker = Arc::clone(&heap);
        let taker = spawn(move || taker.get(true).is_some());
        let at = heap.put(0, true).expect("there is room");
        let back = retract(&heap.ring(), at, 0);
        if let Some(taken) = back {
            heap.consume(0);
            heap.ring().recycle(taken);
        }
        assert!(joined(taker) != back.is_some(), "one of the two has it");
        assert!(heap.put(1, true).is_some(), "the slot is free for the next lap");
    });
}

#[test]
fn a_message_is_taken_or_taken_back() {
    take_back(|ring, at, id| ring.retract(at, id, 2));
}

#[test]
#[should_panic = "Causality violation"]
fn without_a_cas_at_taking_back() {
    take_back(|ring, at, id| {
        let ready = Slot::ready(ring.lap(at), id);
        (ring.slot(at).load(Ordering::Acquire) == ready.0).then(|| {
            ring.slot(at).store(ready.taken(2).0, Ordering::Release);
            Taken { position: at, slot: ready }
        })
    });
}

/// The end of `send`: was the message accepted? As in `queue/send.rs`.
fn send(heap: &Heap, barrier: fn(), looks_again: bool) -> bool {
    if heap.state.load(Ordering::Acquire) != RING_OPEN {
        return false;
    }
    let at = heap.put(0, true).expect("there is room");
    barrier();
    if !looks_again || heap.state.load(Ordering::Acquire) == RING_OPEN {
        return true;
    }
    heap.ring().retract(at, 0, 2).map(|taken| heap.ring().recycle(taken)).is_none()
}

/// `receive`: a message, or whether the queue has ended. As in `queue/receive.rs`.
fn receive(heap: &Heap, barrier: fn()) -> (Option<u32>, bool) {
    let closed = heap.state.load(Ordering::Acquire) == RING_CLOSED;
    if closed {
        barrier();
    }
    let got = heap.get(true);
    (got, closed && got.is_none() && heap.ring().front().is_none())
}

fn closing(sender_barrier: fn(), receiver_barrier: fn(), looks_again: bool) {
    check(move || {
        let heap = Heap::new(1);
        let sender = Arc::clone(&heap);
        let sender = spawn(move || send(&sender, sender_barrier, looks_again));
        let closer = Arc::clone(&heap);
        let closer = spawn(move || {
            let _ = closer.state.compare_exchange(RING_OPEN, RING_CLOSED, Ordering::SeqCst, Ordering::SeqCst);
        });
        let (got, ended) = receive(&heap, receiver_barrier);
        let accepted = joined(sender);
        joined(closer);
        if ended {
            assert!(!accepted, "a message was accepted that nobody comes for");
            assert_eq!(heap.drain(), [], "a message is left that nobody comes for");
        } else {
            assert_eq!(got.into_iter().chain(heap.drain()).count(), usize::from(accepted));
        }
    });
}

#[test]
fn who_sees_the_end_has_missed_nothing() {
    closing(dekker_fence, || fence(Ordering::SeqCst), true);
}

#[test]
#[should_panic = "nobody comes for"]
fn without_the_senders_fence() {
    closing(|| {}, || fence(Ordering::SeqCst), true);
}

#[test]
#[should_panic = "nobody comes for"]
fn without_the_receivers_fence() {
    closing(dekker_fence, || {}, true);
}

#[test]
#[should_panic = "nobody comes for"]
fn without_a_second_look_of_the_sender() {
    closing(dekker_fence, || fence(Ordering::SeqCst), false);
}

/// A peek, which takes a reference to a message that stays, against a receiver who frees its buffer and uses it for something else.
/// As in `queue/receive.rs`.
fn peeking(looks_again: bool, allocate: fn(&Buffers) -> Option<usize>) {
    check(move || {
        let (heap, buffers) = (Heap::new(1), Buffers::new(1));
        let index = buffers.allocate(0).expect("it is empty");
        heap.ring().push(&mut 0, index as u32).expect("it is empty");
        buffers.pool.ledger_remove(0, index, false);
        let peek = {
            let (heap, buffers) = (Arc::clone(&heap), Arc::clone(&buffers));
            spawn(move || {
                let Some(front) = heap.ring().front() else { return };
                let index = front.id() as usize;
                if buffers.pool.try_ref(index) {
                    buffers.pool.ledger_add(1, index, false);
                    if !looks_again || heap.ring().is_still_there(front) {
                        assert_eq!(buffers.payloads[index].read(), 1, "it is the message");
                    }
                    buffers.release(1, index);
                }
            })
        };
        let taken = heap.ring().pop(&mut 0, 2, |_| true).expect("one was sent");
        buffers.pool.ledger_add(2, index, false);
        heap.ring().recycle(taken);
        buffers.release(2, index);
        let anew = allocate(&buffers);
        joined(peek);
        if let Some(index) = anew {
            buffers.release(2, index);
        }
        assert_eq!(buffers.pool.used(), 0, "all is back");
    });
}

#[test]
fn a_peek_sees_the_message_it_found() {
    peeking(true, |buffers| buffers.allocate(2));
}

#[test]
#[should_panic = "Causality violation"]
fn without_a_second_look_after_a_peek() {
    peeking(false, |buffers| buffers.allocate(2));
}

#[test]
#[should_panic = "Causality violation"]
fn without_release_at_the_first_reference() {
    peeking(true, |buffers| {
        let (1, _) = buffers.pool.claim(0, &mut [0]) else { return None };
        buffers.pool.header(0)?.refs.store(1, Ordering::Relaxed);
        buffers.pool.ledger_add(2, 0, false);
        buffers.payloads[0].write(3);
        Some(0)
    });
}

/// A copy put into a buffer, refused by the queue and given back, then another one put: against a peek at the message that was in the
/// buffer before, which may count the copies. No ledger, as in `Fresh` in `queue/send.rs` and `take_copies` in `queue/receive.rs`.
fn copying(free_prepared: fn(&Pool, usize), unref: fn(&Pool, usize)) {
    check(move || {
        let (heap, buffers) = (Heap::new(1), Buffers::new(1));
        let put = |buffers: &Buffers, word: u32| {
            let (1, _) = buffers.pool.claim(0, &mut [0]) else { return false };
            buffers.pool.prepare(0, 4, 1);
            buffers.payloads[0].write(word);
            true
        };
        assert!(put(&buffers, 1), "it is empty");
        heap.ring().push(&mut 0, 0).expect("it is empty");
        let peek = {
            let (heap, buffers) = (Arc::clone(&heap), Arc::clone(&buffers));
            spawn(move || {
                let Some(front) = heap.ring().front() else { return };
                if buffers.pool.try_ref(0) {
                    if heap.ring().is_still_there(front) {
                        // The first one is at 0, the third at 1.
                        let expected = if front.position == 0 { 1 } else { 3 };
                        assert_eq!(buffers.payloads[0].read(), expected, "it is the message");
                    }
                    unref(&buffers.pool, 0);
                }
            })
        };
        let get = |expected: u32| {
            let mut head = heap.ring().head();
            let taken = heap.ring().pop(&mut head, 2, |_| true).expect("one was put");
            heap.ring().help_head(head);
            assert_eq!(buffers.payloads[0].read(), expected, "it is the message");
            heap.ring().recycle(taken);
            unref(&buffers.pool, 0);
        };
        get(1);
        if put(&buffers, 2) {
            free_prepared(&buffers.pool, 0);
        }
        let sent = put(&buffers, 3);
        if sent {
            heap.ring().push(&mut 1, 0).expect("it is empty");
        }
        joined(peek);
        assert_eq!(buffers.pool.used(), u32::from(sent), "what is in the queue is allocated");
        if sent {
            get(3);
        }
        assert_eq!(buffers.pool.used(), 0, "all is back");
        assert_eq!(buffers.pool.header(0).map(|header| header.refs.load(Ordering::Relaxed)), Some(0));
    });
}

fn really_unref(pool: &Pool, index: usize) {
    let mut freed = Freed::default();
    freed.unref(pool, index, 1);
    freed.flush();
}

#[test]
fn copies_have_no_ledger_and_survive_a_late_peek() {
    copying(really_unref, really_unref);
}

#[test]
#[should_panic = "what is in the queue is allocated"]
fn without_counting_a_refused_copy() {
    copying(|pool, index| pool.free(0, 1 << index), really_unref);
}

#[test]
#[should_panic = "Causality violation"]
fn without_order_at_letting_go_of_a_copy() {
    let unref = |pool: &Pool, index: usize| {
        let last = pool.header(index).is_some_and(|h| h.refs.fetch_sub(1, Ordering::Relaxed) == 1);
        if last {
            pool.free(0, 1 << index);
        }
    };
    copying(really_unref, unref);
}

/// Two senders within a limit, and a receiver: there are never more messages than the limit.
fn limited(push: fn(&Ring<'_>, &mut u64, u32) -> Option<u64>) {
    check(move || {
        let heap = Heap::new(2);
        heap.put(0, true);
        let others: Vec<_> = (1..3)
            .map(|id| {
                let heap = Arc::clone(&heap);
                spawn(move || push(&heap.ring(), &mut heap.ring().tail(), id).is_some())
            })
            .collect();
        let taken = heap.ring().pop(&mut heap.ring().head(), 1, |_| true).expect("one was sent");
        heap.ring().recycle(taken);
        let sent = others.into_iter().map(joined).filter(|sent| *sent).count();
        assert!(sent <= 1, "more messages than the limit");
        assert_eq!(heap.ring().depth() as usize, sent);
    });
}

#[test]
fn senders_keep_a_limit() {
    limited(|ring, tail, id| ring.push_within(tail, id, 1, || 0));
}

#[test]
#[should_panic = "more messages than the limit"]
fn without_a_look_at_the_message_that_is_in_the_way() {
    // As many as there seem to be, which others change meanwhile.
    limited(|ring, tail, id| if ring.depth() < 1 { ring.push(tail, id) } else { None });
}

/// A limit of one, which one message leaves while the next one comes: who looks on never counts two.
fn counted(depth: fn(&Ring<'_>) -> u64) {
    check(move || {
        let heap = Heap::new(2);
        heap.put(0, true);
        let mover = Arc::clone(&heap);
        let mover = spawn(move || {
            let taken = mover.ring().pop(&mut mover.ring().head(), 1, |_| true).expect("one was sent");
            mover.ring().recycle(taken);
            mover.ring().push_within(&mut mover.ring().tail(), 1, 1, || 0).expect("there is room");
        });
        assert!(depth(&heap.ring()) <= 1, "more than there ever were");
        joined(mover);
    });
}

#[test]
fn the_depth_is_that_of_one_moment() {
    counted(|ring| ring.depth());
}

#[test]
#[should_panic = "more than there ever were"]
fn without_a_second_look_at_what_is_taken() {
    counted(|ring| {
        let taken = ring.taken();
        ring.published() - taken
    });
}

/// A sender that keeps the latest message only, against a receiver: as in `queue/send.rs`.
fn latest(drop_older: fn(&Heap, u64)) {
    check(move || {
        let heap = Heap::new(2);
        heap.put(0, true);
        let taker = Arc::clone(&heap);
        let taker = spawn(move || taker.get(true));
        let at = heap.put(1, true).expect("there is room");
        drop_older(&heap, at);
        let taken = joined(taker);
        let left = heap.drain();
        assert!(taken == Some(1) || left == [1], "the newest is lost");
    });
}

#[test]
fn the_newest_message_is_never_dropped_for_an_older_one() {
    latest(|heap, at| {
        if let Some(front) = heap.ring().front().filter(|front| front.position < at)
            && let Some(removed) = heap.ring().remove(front, 0)
        {
            heap.ring().recycle(removed);
        }
    });
}

#[test]
#[should_panic = "the newest is lost"]
fn without_dropping_what_was_looked_at() {
    latest(|heap, at| {
        if heap.ring().front().is_some_and(|front| front.position < at)
            && let Some(taken) = heap.ring().pop(&mut heap.ring().head(), 0, |_| true)
        {
            heap.ring().recycle(taken);
        }
    });
}
