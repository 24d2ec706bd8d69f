//! Leases: what at-least-once delivery remembers of messages that were taken and not yet acknowledged.
//!
//! A receiver reserves an entry before it takes a message, so there is no moment at which a taken message has no place to be
//! recorded. Messages given back, by a nack or by the death of the receiver, wait as PENDING in their entry and go out before
//! anything in the ring, lowest position first.

#[cfg(all(test, loom))]
mod model;

use crate::layout::{LeaseEntry, LeaseState, LeaseWord, RingHeader};
use crate::sync::{AtomicU32, Ordering};

/// The lease table of a ring.
#[derive(Clone, Copy)]
pub(crate) struct Leases<'a> {
    pending: &'a AtomicU32,
    entries: &'a [LeaseEntry],
}

/// A message taken over from PENDING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retaken {
    pub(crate) entry: usize,
    pub(crate) id: u32,
    /// Deliveries so far, this one included.
    pub(crate) deliveries: u32,
}

/// A message that waits to be delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    entry: usize,
    word: LeaseWord,
}

impl Pending {
    pub(crate) fn id(self) -> u32 {
        self.word.id()
    }
}

impl<'a> Leases<'a> {
    pub(crate) fn new(header: &'a RingHeader, entries: &'a [LeaseEntry]) -> Self {
        Self { pending: &header.pending, entries }
    }

    fn word(&self, entry: usize) -> LeaseWord {
        LeaseWord(self.entries[entry].word.load(Ordering::Acquire))
    }

    fn change(&self, entry: usize, from: LeaseWord, to: LeaseWord) -> bool {
        // SYNC L1 (acq-rel): position and deliveries belong to the word that was stored after them.
        self.entries[entry].word.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Reserves a free entry for `owner`, looking from `from` on. Killed while it has it: recovery sets it free.
    pub(crate) fn reserve(&self, from: usize, owner: u32) -> Option<usize> {
        let count = self.entries.len();
        (0..count).map(|step| (from + step) % count).find(|entry| {
            self.word(*entry) == LeaseWord::FREE
                && self.change(*entry, LeaseWord::FREE, LeaseWord::reserved(owner))
        })
    }

    /// Whether an entry is free.
    pub(crate) fn has_room(&self) -> bool {
        (0..self.entries.len()).any(|entry| self.word(entry) == LeaseWord::FREE)
    }

    /// Gives a reservation back unused.
    pub(crate) fn abandon(&self, entry: usize) {
        self.entries[entry].word.store(LeaseWord::FREE.0, Ordering::Release);
    }

    /// Turns a reservation into the lease of the message that was at `position`.
    pub(crate) fn grant(&self, entry: usize, owner: u32, id: u32, position: u64) {
        self.entries[entry].position.store(position, Ordering::Relaxed);
        self.entries[entry].deliveries.store(1, Ordering::Relaxed);
        // SYNC L1 (release). Killed before: the slot still names us; after: the lease does.
        self.entries[entry].word.store(LeaseWord::leased(owner, id).0, Ordering::Release);
    }

    /// Whether a message waits to be delivered again.
    #[inline]
    pub(crate) fn any_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire) != 0
    }

    /// The entry of the pending message that is delivered next.
    fn first_pending(&self) -> Option<usize> {
        let pending = |entry: &usize| self.word(*entry).state() == LeaseState::Pending;
        let position = |entry: &usize| self.entries[*entry].position.load(Ordering::Relaxed);
        (0..self.entries.len()).filter(pending).min_by_key(position)
    }

    /// The pending message that is delivered next, left where it is.
    pub(crate) fn front(&self) -> Option<Pending> {
        let entry = if self.any_pending() { self.first_pending()? } else { return None };
        let word = self.word(entry);
        (word.state() == LeaseState::Pending).then_some(Pending { entry, word })
    }

    /// Whether `front` is still pending.
    pub(crate) fn is_still_there(&self, front: Pending) -> bool {
        self.word(front.entry) == front.word
    }

    /// Leases the pending message of the lowest position to `owner`; one that `admit` refuses stays.
    pub(crate) fn retake(&self, owner: u32, mut admit: impl FnMut(u32) -> bool) -> Option<Retaken> {
        while self.any_pending() {
            let entry = self.first_pending()?;
            let seen = self.word(entry);
            if seen.state() != LeaseState::Pending {
                continue;
            }
            if !admit(seen.id()) {
                return None;
            }
            if self.change(entry, seen, LeaseWord::leased(owner, seen.id())) {
                self.pending.fetch_sub(1, Ordering::Relaxed);
                let deliveries =
                    self.entries[entry].deliveries.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
                return Some(Retaken { entry, id: seen.id(), deliveries });
            }
        }
        None
    }

    /// Ends a lease for good: from here on a death does not bring the message back. `false`: it was not `owner`'s.
    pub(crate) fn ack(&self, entry: usize, owner: u32, id: u32) -> bool {
        entry < self.entries.len() && self.change(entry, LeaseWord::leased(owner, id), LeaseWord::FREE)
    }

    /// Ends a lease; the message will be delivered again, and the entry holds its reference.
    pub(crate) fn give_back(&self, entry: usize, owner: u32, id: u32) -> bool {
        let done = entry < self.entries.len()
            && self.change(entry, LeaseWord::leased(owner, id), LeaseWord::pending(id));
        if done {
            // After the change: a hint that is too low for a moment only delays the look of others, who are rung afterwards.
            self.pending.fetch_add(1, Ordering::AcqRel);
        }
        done
    }

    /// Whether a message may yet come: somebody else has it, or it waits already. A message keeps its entry from before it is
    /// taken from the ring until it is acknowledged, so one look after an empty ring is exact.
    pub(crate) fn more_may_come(&self, me: usize) -> bool {
        (0..self.entries.len()).any(|entry| {
            let word = self.word(entry);
            match word.state() {
                LeaseState::Pending => true,
                LeaseState::Leased | LeaseState::Reserved => word.owner() != me,
                LeaseState::Free | LeaseState::Invalid => false,
            }
        })
    }

    /// Leases of participant `me`: entry and buffer id.
    pub(crate) fn held_by(&self, me: usize) -> Vec<(u32, u32)> {
        let words = (0..self.entries.len()).map(|entry| (entry, self.word(entry)));
        words
            .filter(|(_, word)| word.state() == LeaseState::Leased && word.owner() == me)
            .map(|(entry, word)| (entry as u32, word.id()))
            .collect()
    }

    /// Entries in a given state.
    pub(crate) fn count(&self, state: LeaseState) -> usize {
        (0..self.entries.len()).filter(|entry| self.word(*entry).state() == state).count()
    }

    /// Takes any pending message out of a destroyed queue.
    pub(crate) fn drop_pending(&self) -> Option<u32> {
        (0..self.entries.len()).find_map(|entry| {
            let word = self.word(entry);
            let taken = word.state() == LeaseState::Pending && self.change(entry, word, LeaseWord::FREE);
            taken.then(|| {
                self.pending.fetch_sub(1, Ordering::Relaxed);
                word.id()
            })
        })
    }

    /// Recovery only, nobody is inside: the entries as they are.
    pub(crate) fn entries(&self) -> &'a [LeaseEntry] {
        self.entries
    }

    /// Recovery only: sets the hint right.
    pub(crate) fn recount(&self) {
        self.pending.store(self.count(LeaseState::Pending) as u32, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: usize) -> Vec<LeaseEntry> {
        // SAFETY: all-zero atomics are valid.
        (0..count).map(|_| unsafe { std::mem::zeroed() }).collect()
    }

    #[test]
    fn given_back_messages_come_out_in_order_and_count_their_deliveries() {
        let (pending, entries) = (AtomicU32::new(0), entries(4));
        let leases = Leases { pending: &pending, entries: &entries };
        let granted: Vec<_> = (0..4)
            .map(|i| {
                let entry = leases.reserve(3, 7).unwrap();
                leases.grant(entry, 7, 100 + i, u64::from(i));
                entry
            })
            .collect();
        assert_eq!(leases.reserve(0, 7), None, "the table is full");
        assert!(leases.give_back(granted[2], 7, 102) && leases.give_back(granted[1], 7, 101));
        assert!(!leases.give_back(granted[0], 8, 100), "not theirs");
        let ids: Vec<_> =
            std::iter::from_fn(|| leases.retake(9, |_| true)).map(|r| (r.id, r.deliveries)).collect();
        assert_eq!(ids, [(101, 2), (102, 2)]);
        assert!(!leases.ack(granted[1], 7, 101) && leases.ack(granted[1], 9, 101));
        assert!(leases.more_may_come(9) && leases.reserve(0, 1).is_some());
    }

    #[test]
    fn garbage_ends_every_loop() {
        let (pending, entries) = (AtomicU32::new(u32::MAX), entries(4));
        entries[1].word.store(u64::MAX, Ordering::Relaxed);
        let leases = Leases { pending: &pending, entries: &entries };
        assert_eq!(leases.retake(1, |_| true), None);
        assert_eq!(leases.drop_pending(), None);
    }
}
