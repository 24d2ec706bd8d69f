//! What a topic keeps for those who come late: a ring that nobody consumes, in which each message takes the place of the one a whole
//! lap older.
//!
//! ```text
//! FREE(0) --keep: CAS--> READY(0, id) --keep: CAS--> READY(1, id') --keep: CAS--> ...
//! ```
//!
//! One CAS adds the new message and removes the old one, so no slot is ever in between, and whoever is stopped or dies holds up nobody.
//! The position it was added at is the message's place in the order of the topic.

use crate::layout::{RingHeader, Slot, SlotState};
use crate::limits::RING_TRIES_MAX;
use crate::queue::RingView;
use crate::sync::{AtomicU64, Ordering};

/// How often, in messages, the head hint is moved: only those who look at the ring from outside need it.
const HEAD_EVERY: u64 = 1024;

/// The history of a topic, wherever it lies.
#[derive(Clone, Copy)]
pub(crate) struct History<'a> {
    head: &'a AtomicU64,
    tail: &'a AtomicU64,
    slots: &'a [AtomicU64],
}

/// A message that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) position: u64,
    /// The message that had to go; its reference is the caller's now.
    pub(crate) replaced: Option<u32>,
}

/// What is at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Message(u32),
    /// Nothing yet.
    Future,
    /// A newer message has replaced it.
    Gone,
}

impl<'a> History<'a> {
    /// The history in a ring; `None` when the topic keeps none.
    pub(crate) fn of(view: &'a RingView) -> Option<Self> {
        let kept = view.header().history.load(Ordering::Relaxed);
        (kept > 0).then(|| Self::over(view.header(), view.slots()))
    }

    fn over(header: &'a RingHeader, slots: &'a [AtomicU64]) -> Self {
        Self { head: &header.head, tail: &header.tail, slots }
    }

    fn slot(&self, position: u64) -> &'a AtomicU64 {
        &self.slots[position as usize & (self.slots.len() - 1)]
    }

    fn tail(&self) -> u64 {
        // SYNC T4 (acquire), pairs with `help`: the slots before the tail are seen as filled.
        self.tail.load(Ordering::Acquire)
    }

    fn lap(&self, position: u64) -> u64 {
        position >> self.slots.len().trailing_zeros()
    }

    /// Messages that are kept.
    pub(crate) fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    /// Adds `id`, whose reference has been counted; `None`: the ring is damaged. Killed after the CAS: what it replaced counts once too
    /// often, which a recount repairs.
    pub(crate) fn keep(&self, id: u32) -> Option<Kept> {
        let mut position = self.tail();
        for _ in 0..RING_TRIES_MAX {
            let word = self.slot(position);
            let seen = Slot(word.load(Ordering::Acquire));
            let lap = self.lap(position);
            let replaced = match (seen.laps_ahead(lap), seen.state()) {
                (0, SlotState::Free) => None,
                (-1, SlotState::Ready) => Some(seen.id()),
                // Somebody was faster at this position; the tail lags.
                (0, _) => {
                    position = position.wrapping_add(1);
                    continue;
                }
                (1.., _) => {
                    position = self.tail().max(position.wrapping_add(1));
                    continue;
                }
                (..=-1, _) => return None,
            };
            // SYNC T1, T4 (release), pair with `at`: payload and header of the message come before it.
            let ready = Slot::ready(lap, id);
            if word.compare_exchange(seen.0, ready.0, Ordering::Release, Ordering::Relaxed).is_ok() {
                return Some(Kept { position, replaced });
            }
        }
        None
    }

    /// Moves the hints past `position`. Called after the publisher's fence: whoever sees the tail sees the messages before it.
    pub(crate) fn help(&self, position: u64) {
        let next = position.wrapping_add(1);
        // SYNC T4 (release, by the fence before), pairs with `tail`.
        self.tail.fetch_max(next, Ordering::Relaxed);
        if position.is_multiple_of(HEAD_EVERY) {
            self.head.fetch_max(next.saturating_sub(self.capacity()), Ordering::Relaxed);
        }
    }

    /// Position of the oldest message, or of an older one that has just gone, at most `count` before the end.
    pub(crate) fn oldest(&self, count: u64) -> u64 {
        let mut position = self.tail();
        for _ in 0..RING_TRIES_MAX {
            if self.at(position) == At::Future {
                break;
            }
            position = position.wrapping_add(1);
        }
        position.saturating_sub(count.min(self.capacity()))
    }

    /// What is at `position`.
    pub(crate) fn at(&self, position: u64) -> At {
        // SYNC T1, T4 (acquire), pair with `keep`.
        let seen = Slot(self.slot(position).load(Ordering::Acquire));
        match (seen.laps_ahead(self.lap(position)), seen.state()) {
            (0, SlotState::Ready) => At::Message(seen.id()),
            (1.., _) => At::Gone,
            _ => At::Future,
        }
    }
}

#[cfg(all(test, loom))]
impl<'a> History<'a> {
    /// A history on the heap.
    pub(super) fn on_heap(head: &'a AtomicU64, tail: &'a AtomicU64, slots: &'a [AtomicU64]) -> Self {
        Self { head, tail, slots }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_each_other_comes_out_once() {
        for capacity in [1, 2, 8] {
            let slots: Vec<_> = (0..capacity).map(|_| AtomicU64::new(0)).collect();
            let (head, tail) = (AtomicU64::new(0), AtomicU64::new(0));
            let history = History { head: &head, tail: &tail, slots: &slots };
            for id in 0..5000_u32 {
                let kept = history.keep(id).unwrap();
                assert_eq!(kept.position, u64::from(id));
                assert_eq!(kept.replaced, id.checked_sub(capacity));
                // Helping is left out now and then, as a death would.
                if id % 3 != 0 {
                    history.help(kept.position);
                }
                assert_eq!(history.at(kept.position), At::Message(id));
                assert_eq!(history.at(kept.position + 1), At::Future);
                let oldest = history.oldest(u64::MAX);
                assert_eq!(oldest, u64::from((id + 1).saturating_sub(capacity)));
                assert_eq!(history.at(oldest), At::Message(oldest as u32));
                if oldest > 0 {
                    assert_eq!(history.at(oldest - 1), At::Gone);
                }
                assert_eq!(history.oldest(1), kept.position);
            }
            assert!(5000 - head.load(Ordering::Relaxed) <= 1024 + u64::from(capacity) + 1);
        }
    }

    #[test]
    fn garbage_ends_every_loop() {
        let mut seed = 1_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            AtomicU64::new(seed)
        };
        for _ in 0..200 {
            let slots: Vec<_> = (0..4).map(|_| next()).collect();
            let (head, tail) = (next(), next());
            let history = History { head: &head, tail: &tail, slots: &slots };
            let _ = (history.keep(1), history.oldest(9), history.at(3));
            history.help(u64::MAX);
        }
    }
}
