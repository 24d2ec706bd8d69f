//! Which messages wait to be delivered again, in order.

use super::Leases;
use crate::layout::{LeaseState, LeaseWord};
use crate::sync::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A message that waits to be delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The highest position first.
    all: Vec<Pending>,
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
        let now = leases.given_back.load(Ordering::Acquire);
        if list.seen != now {
            // The count first: what is given back from here on raises it again.
            list.seen = now;
            list.all.clear();
            list.all.extend((0..leases.entries.len()).filter_map(|entry| leases.pending_at(entry)));
            list.all.sort_unstable_by_key(|pending| std::cmp::Reverse((pending.position, pending.entry)));
        }
        while let Some(last) = list.all.last() {
            if leases.is_still_there(*last) {
                return Some(*last);
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
        let at = list.all.partition_point(|other| other.position > pending.position);
        list.all.insert(at, pending);
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
