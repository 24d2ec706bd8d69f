//! Which messages wait to be delivered again, in order.

use super::Leases;
use crate::layout::{LeaseState, LeaseWord};
use crate::sync::Ordering;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A message that waits to be delivered again. Less is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pending {
    pub(super) position: u64,
    pub(super) entry: usize,
    pub(super) word: LeaseWord,
}

impl Pending {
    pub(crate) fn id(self) -> u32 {
        self.word.id()
    }
}

/// What a participant has seen pending, so that the table is looked through once for all that were given back, not once for each.
/// Complete as long as nothing else has been given back; of what is on it others may have taken some, which shows when it is taken.
#[derive(Debug, Default)]
pub(crate) struct PendingList(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    /// How often something had been given back when it was made.
    seen: u32,
    all: BinaryHeap<Reverse<Pending>>,
}

impl PendingList {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The message that is delivered next.
    pub(crate) fn first(&self, leases: &Leases<'_>) -> Option<Pending> {
        if !leases.any_pending() {
            return None;
        }
        let mut list = self.lock();
        let (now, count) = leases.given_back_and_pending();
        if list.seen != now {
            // The count first: what is given back from here on raises it again. No more are looked for than there are, as most lie in
            // the first entries; where one of them is not counted yet, another is found when it has been.
            list.seen = now;
            let pending = (0..leases.entries.len()).filter_map(|entry| leases.pending_at(entry));
            list.all = pending.take(count as usize).map(Reverse).collect();
        }
        while let Some(Reverse(first)) = list.all.peek() {
            if leases.is_still_there(*first) {
                return Some(*first);
            }
            list.all.pop();
        }
        None
    }

    /// Adds what this participant has given back itself, when anything had been given back `before` times.
    pub(crate) fn add(&self, leases: &Leases<'_>, entry: usize, before: u32) {
        let mut list = self.lock();
        if list.seen != before {
            return;
        }
        list.seen = before.wrapping_add(1);
        let Some(pending) = leases.pending_at(entry) else { return };
        list.all.push(Reverse(pending));
    }
}

impl Leases<'_> {
    fn pending_at(&self, entry: usize) -> Option<Pending> {
        let word = self.word(entry);
        // After the word: SYNC L1.
        let position = self.entries[entry].position.load(Ordering::Relaxed);
        (word.state() == LeaseState::Pending).then_some(Pending { position, entry, word })
    }
}
