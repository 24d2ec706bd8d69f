//! The ring against a model of a bounded queue, and against garbage.

use super::*;
use std::collections::VecDeque;

struct Heap {
    head: AtomicU64,
    tail: AtomicU64,
    slots: Vec<AtomicU64>,
}

impl Heap {
    fn new(capacity: usize) -> Self {
        let slots = (0..capacity).map(|_| AtomicU64::new(0)).collect();
        Self { head: AtomicU64::new(0), tail: AtomicU64::new(0), slots }
    }

    fn ring(&self) -> Ring<'_> {
        Ring { head: &self.head, tail: &self.tail, slots: &self.slots }
    }
}

#[test]
fn behaves_like_a_bounded_fifo_over_many_laps() {
    for capacity in [1, 2, 4, 8] {
        let heap = Heap::new(capacity);
        let ring = heap.ring();
        let mut model = VecDeque::new();
        // A fixed pseudo-random walk; helping is left out now and then, as a death would.
        let mut state = 0x9e37_79b9_u32;
        for step in 0..10_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state >> 31 == 0 {
                let mut tail = ring.tail();
                let pushed = ring.push(&mut tail, step).is_some();
                assert_eq!(pushed, model.len() < capacity);
                if pushed {
                    model.push_back(step);
                }
                if state >> 20 & 3 != 0 {
                    ring.help_tail(tail);
                }
            } else {
                let mut head = ring.head();
                let taken = ring.pop(&mut head, 1, |_| true);
                assert_eq!(taken.map(Taken::id), model.pop_front());
                if let Some(taken) = taken {
                    ring.recycle(taken);
                }
                if state >> 20 & 3 != 0 {
                    ring.help_head(head);
                }
            }
            assert_eq!(ring.depth() as usize, model.len());
            assert_eq!((ring.published() - ring.taken()) as usize, model.len());
            assert_eq!(ring.has_room(0, 0), model.len() < capacity);
            assert_eq!(ring.front().map(Taken::id), model.front().copied());
        }
    }
}

#[test]
fn a_limit_counts_what_is_in_the_ring_and_what_is_pending() {
    for (capacity, limit) in [(4, 3), (4, 4), (8, 1), (8, 5)] {
        let heap = Heap::new(capacity);
        let ring = heap.ring();
        let (mut depth, mut pending) = (0, 0);
        let mut state = 0x9e37_79b9_u32;
        for step in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match state >> 29 {
                0..=3 => {
                    let has_room = ring.has_room(limit, pending);
                    let mut tail = ring.tail();
                    let pushed = ring.push_within(&mut tail, step, limit, || pending).is_some();
                    assert_eq!((pushed, has_room), (depth + pending < limit, pushed));
                    depth += u32::from(pushed);
                    if state & 0x40 != 0 {
                        ring.help_tail(tail);
                    }
                }
                4..=6 => {
                    let taken = ring.pop(&mut ring.head(), 1, |_| true);
                    assert_eq!(taken.is_some(), depth > 0);
                    if let Some(taken) = taken {
                        depth -= 1;
                        // Given back, or not.
                        pending += u32::from(state & 0x180 == 0);
                        ring.recycle(taken);
                    }
                }
                _ => pending = pending.saturating_sub(1),
            }
        }
    }
}

#[test]
fn a_taken_slot_is_full_for_producers_and_gone_for_consumers() {
    let heap = Heap::new(2);
    let ring = heap.ring();
    let mut tail = 0;
    ring.push(&mut tail, 7).unwrap();
    ring.push(&mut tail, 8).unwrap();
    let first = ring.pop(&mut 0, 3, |_| true).unwrap();
    assert_eq!(ring.push(&mut tail, 9), None, "not recycled yet");
    assert_eq!(ring.pop(&mut 0, 4, |_| true).unwrap().id(), 8, "the next message is not held up");
    ring.recycle(first);
    assert_eq!(ring.push(&mut tail, 9), Some(2));
}

#[test]
fn retract_wins_or_loses_against_a_consumer() {
    let heap = Heap::new(4);
    let ring = heap.ring();
    let mut tail = 0;
    let at = ring.push(&mut tail, 7).unwrap();
    let taken = ring.retract(at, 7, 1).unwrap();
    ring.recycle(taken);
    assert_eq!(ring.pop(&mut 0, 1, |_| true), None);
    let at = ring.push(&mut tail, 8).unwrap();
    assert_eq!(ring.pop(&mut 0, 1, |_| true).unwrap().id(), 8);
    assert_eq!(ring.retract(at, 8, 1), None);
}

#[test]
fn garbage_ends_every_loop() {
    let mut seed = 1_u64;
    for _ in 0..200 {
        let heap = Heap::new(4);
        let words = heap.slots.iter().chain([&heap.head, &heap.tail]);
        for word in words {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word.store(seed, Ordering::Relaxed);
        }
        let ring = heap.ring();
        let _ = (ring.push(&mut ring.tail(), 1), ring.pop(&mut ring.head(), 1, |_| true), ring.depth());
        let _ = (ring.front(), ring.has_room(0, 0), ring.has_room(3, 1));
    }
}

#[test]
fn a_damaged_tail_at_the_end_of_all_positions_is_no_room() {
    let heap = Heap::new(4);
    heap.tail.store(u64::MAX, Ordering::Relaxed);
    let ring = heap.ring();
    let mut tail = ring.tail();
    ring.prefetch(tail, 256);
    assert_eq!(ring.push(&mut tail, 7), None);
}

#[test]
fn a_message_that_was_taken_back_from_between_others_is_passed_over_where_they_are_moved() {
    let (old, new) = (Heap::new(4), Heap::new(8));
    let (from, to) = (old.ring(), new.ring());
    let mut tail = 0;
    for id in 0..4 {
        assert_eq!(from.push(&mut tail, id), Some(id.into()));
    }
    let removed = from.retract(1, 1, 9).unwrap();
    from.recycle(removed);
    to.begin_at(from.taken());
    assert_eq!(to.fill_from(&from), 0);
    assert_eq!((to.depth_by_slots(), to.published()), (3, 4));
    let mut head = to.head();
    let taken: Vec<_> = std::iter::from_fn(|| to.pop(&mut head, 1, |_| true)).map(Taken::id).collect();
    assert_eq!((taken, to.taken()), (vec![0, 2, 3], 4));
}
