//! Leases: what at-least-once delivery remembers of messages that were taken and not yet acknowledged.
//!
//! A receiver reserves an entry before it takes a message, so there is no moment at which a taken message has no place to be
//! recorded. Messages given back, by a nack or by the death of the receiver, wait as PENDING in their entry and go out before
//! anything in the ring, lowest position first.
//!
//! Every position of the ring is in exactly one place: in the ring, leased, pending, or *settled*. The last three are counted where they
//! change, so how many there are of each is known without a look at the table.

#[cfg(all(test, loom))]
mod model;

mod pending;

pub(crate) use pending::{Pending, PendingList};

use crate::layout::{LeaseEntry, LeaseState, LeaseWord, RingHeader};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// The lease table of a ring, and the counts of what becomes of its messages.
#[derive(Clone, Copy)]
pub(crate) struct Leases<'a> {
    given_back: &'a AtomicU32,
    retaken: &'a AtomicU32,
    settled: &'a AtomicU64,
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

impl<'a> Leases<'a> {
    pub(crate) fn new(header: &'a RingHeader, entries: &'a [LeaseEntry]) -> Self {
        let RingHeader { given_back, retaken, settled, .. } = header;
        Self { given_back, retaken, settled: &settled.count, entries }
    }

    /// Whether the queue leases its messages at all.
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        !self.entries.is_empty()
    }

    fn word(&self, entry: usize) -> LeaseWord {
        LeaseWord(self.entries[entry].word.load(Ordering::Acquire))
    }

    fn change(&self, entry: usize, from: LeaseWord, to: LeaseWord) -> bool {
        // SYNC L1 (acq-rel): position and deliveries belong to the word that was stored after them.
        self.entries[entry].word.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Reserves a free entry for `owner`, looking from `from` on. Killed while it has it: see [`Leases::recover`].
    ///
    /// Whoever settles a message points `from` at its entry, so the first look finds a free one as a rule; and nobody looks while as many
    /// messages are out as there are entries: see [`Leases::has_room`].
    pub(crate) fn reserve(&self, from: usize, owner: u32) -> Option<usize> {
        let count = self.entries.len();
        (0..count).map(|step| (from + step) % count).find(|entry| {
            self.word(*entry) == LeaseWord::FREE
                && self.change(*entry, LeaseWord::FREE, LeaseWord::reserved(owner))
        })
    }

    /// Whether there may be an entry for another message, of `taken` that have ever been taken from the ring. It may be wrong where messages
    /// have been taken back by their senders; see [`Leases::any_free`].
    #[inline]
    pub(crate) fn has_room(&self, taken: u64) -> bool {
        taken.saturating_sub(self.settled()) < self.entries.len() as u64
    }

    /// Whether an entry is free, by a look at each.
    pub(crate) fn any_free(&self) -> bool {
        (0..self.entries.len()).any(|entry| self.word(entry) == LeaseWord::FREE)
    }

    /// Messages that are not over: in the ring, leased or pending. 0 only if there was none at one moment, that of the look at what is
    /// over; see `PortQueue::is_idle`.
    #[inline]
    pub(crate) fn unsettled(&self, published: impl FnOnce() -> u64) -> u64 {
        let settled = self.settled();
        published().saturating_sub(settled)
    }

    /// Messages that are over. Each of them was published before it was counted.
    #[inline]
    pub(crate) fn settled(&self) -> u64 {
        // SYNC IDLE (acquire), pairs with `settle`: who sees a message settled sees it published.
        self.settled.load(Ordering::Acquire)
    }

    /// Counts messages that are over, after they are. Killed before: recovery counts.
    #[inline]
    pub(crate) fn settle(&self, count: u64) {
        // SYNC IDLE (release).
        self.settled.fetch_add(count, Ordering::AcqRel);
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
        self.pending() != 0
    }

    /// Messages that wait to be delivered again: exact at rest, see [`RingHeader::retaken`].
    #[inline]
    pub(crate) fn pending(&self) -> u32 {
        if self.is_any() { self.given_back_and_pending().1 } else { 0 }
    }

    /// How often anything has been given back, and how many of those messages wait at that moment.
    fn given_back_and_pending(&self) -> (u32, u32) {
        // Retaken first: what is retaken was given back before, so the difference is not too low for want of a look.
        let retaken = self.retaken.load(Ordering::Acquire);
        let given_back = self.given_back.load(Ordering::Acquire);
        let pending = given_back.wrapping_sub(retaken);
        // Below zero where one has been retaken whose giver has not come to count it.
        let pending = if (pending as i32) < 0 { 0 } else { pending.min(self.entries.len() as u32) };
        (given_back, pending)
    }

    /// Leases `pending` to `owner`; `None`: somebody else was faster. Deliveries so far, this one included.
    pub(crate) fn retake(&self, pending: Pending, owner: u32) -> Option<Retaken> {
        let Pending { entry, word, .. } = pending;
        if !self.change(entry, word, LeaseWord::leased(owner, word.id())) {
            return None;
        }
        self.retaken.fetch_add(1, Ordering::AcqRel);
        let deliveries = self.entries[entry].deliveries.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        Some(Retaken { entry, id: word.id(), deliveries })
    }

    /// Takes `pending` out for good; `false`: somebody else was faster.
    pub(crate) fn drop_pending(&self, pending: Pending) -> bool {
        let done = self.change(pending.entry, pending.word, LeaseWord::FREE);
        if done {
            self.retaken.fetch_add(1, Ordering::AcqRel);
            self.settle(1);
        }
        done
    }

    /// Whether `front` is still pending.
    pub(crate) fn is_still_there(&self, front: Pending) -> bool {
        self.word(front.entry) == front.word
    }

    /// Ends a lease for good: from here on a death does not bring the message back. `false`: it was not `owner`'s.
    pub(crate) fn ack(&self, entry: usize, owner: u32, id: u32) -> bool {
        entry < self.entries.len() && self.change(entry, LeaseWord::leased(owner, id), LeaseWord::FREE)
    }

    /// Ends a lease; the message will be delivered again, and the entry holds its reference. How often anything had been given back
    /// before; `None`: it was not `owner`'s.
    pub(crate) fn give_back(&self, entry: usize, owner: u32, id: u32) -> Option<u32> {
        let done = entry < self.entries.len()
            && self.change(entry, LeaseWord::leased(owner, id), LeaseWord::pending(id));
        // After the change: a count that is too low for a moment only delays the look of others, who are woken afterwards.
        done.then(|| self.given_back.fetch_add(1, Ordering::AcqRel))
    }

    /// Whether a message may yet come to participant `me`: one waits already, or others have some, which may come back. Whoever has some
    /// itself does not wait for that, as two of them would wait for each other.
    ///
    /// A message keeps its entry from before it is taken from the ring until it is acknowledged, so one look after an empty ring is exact.
    pub(crate) fn more_may_come(&self, me: usize) -> bool {
        let (mut ours, mut theirs) = (false, false);
        for word in (0..self.entries.len()).map(|entry| self.word(entry)) {
            match word.state() {
                LeaseState::Pending => return true,
                LeaseState::Leased if word.owner() == me => ours = true,
                LeaseState::Leased | LeaseState::Reserved => theirs |= word.owner() != me,
                LeaseState::Free | LeaseState::Invalid => {}
            }
        }
        theirs && !ours
    }

    /// Leases of participant `me`: entry and buffer id.
    pub(crate) fn held_by(&self, me: usize) -> Vec<(u32, u32)> {
        let words = (0..self.entries.len()).map(|entry| (entry, self.word(entry)));
        words
            .filter(|(_, word)| word.state() == LeaseState::Leased && word.owner() == me)
            .map(|(entry, word)| (entry as u32, word.id()))
            .collect()
    }

    /// Entries up to the last one that is not free, at rest, beside a ring of which `ready` of `published` messages are left. Does not look
    /// further than it needs to: leases are taken from the first entries.
    pub(crate) fn used(&self, published: u64, ready: u64) -> usize {
        let mut left = self.unsettled(|| published).saturating_sub(ready);
        let mut used = 0;
        for entry in 0..self.entries.len() {
            if left == 0 {
                break;
            }
            if self.word(entry) != LeaseWord::FREE {
                (used, left) = (entry + 1, left - 1);
            }
        }
        used
    }

    /// Fills in this table, which nobody else sees, with the first `used` leases of `from`, each in its entry, while nobody changes any; there
    /// is room for them.
    pub(crate) fn fill_from(&self, from: &Leases<'_>, used: usize) {
        for (to, from) in self.entries.iter().zip(from.entries).take(used) {
            to.word.store(from.word.load(Ordering::Relaxed), Ordering::Relaxed);
            to.position.store(from.position.load(Ordering::Relaxed), Ordering::Relaxed);
            to.deliveries.store(from.deliveries.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Recovery only, nobody is inside: the entries as they are.
    pub(crate) fn entries(&self) -> &'a [LeaseEntry] {
        self.entries
    }

    /// Recovery only: turns the reservation of a dead `owner` into the message that it had taken, which was not delivered yet. `false`:
    /// there is no such reservation, which is damage.
    pub(crate) fn recover(&self, owner: usize, id: u32, position: u64) -> bool {
        let reserved = LeaseWord::reserved(owner as u32);
        let Some(entry) = self.entries.iter().find(|e| e.word.load(Ordering::Relaxed) == reserved.0) else {
            return false;
        };
        entry.position.store(position, Ordering::Relaxed);
        entry.deliveries.store(0, Ordering::Relaxed);
        // Release: last, so that whatever is left of this is a reservation or the message.
        entry.word.store(LeaseWord::pending(id).0, Ordering::Release);
        true
    }

    /// Recovery only: makes the counts right, for a ring that has `ready` of `published` messages.
    pub(crate) fn recount(&self, published: u64, ready: u64) {
        let count = |state| {
            let word = |entry: &LeaseEntry| LeaseWord(entry.word.load(Ordering::Relaxed));
            self.entries.iter().filter(|entry| word(entry).state() == state).count() as u64
        };
        let (pending, leased) = (count(LeaseState::Pending), count(LeaseState::Leased));
        // Raised, so that whoever has a list of what is pending makes it anew.
        let given_back = self.given_back.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.retaken.store(given_back.wrapping_sub(pending as u32), Ordering::Release);
        self.settled.store(published.saturating_sub(ready + pending + leased), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: usize) -> Vec<LeaseEntry> {
        std::iter::repeat_with(LeaseEntry::default).take(count).collect()
    }

    /// A lease table on the heap.
    struct Heap {
        given_back: AtomicU32,
        retaken: AtomicU32,
        settled: AtomicU64,
        entries: Vec<LeaseEntry>,
    }

    impl Heap {
        fn new(count: usize) -> Self {
            let (given_back, retaken) = (AtomicU32::new(0), AtomicU32::new(0));
            Self { given_back, retaken, settled: AtomicU64::new(0), entries: entries(count) }
        }

        fn leases(&self) -> Leases<'_> {
            let Self { given_back, retaken, settled, entries } = self;
            Leases { given_back, retaken, settled, entries }
        }
    }

    #[test]
    fn given_back_messages_come_out_in_order_and_count_their_deliveries() {
        let heap = Heap::new(4);
        let (leases, list, others) = (heap.leases(), PendingList::default(), PendingList::default());
        let granted: Vec<_> = (0..4)
            .map(|i| {
                let entry = leases.reserve(3, 7).unwrap();
                leases.grant(entry, 7, 100 + i, u64::from(i));
                entry
            })
            .collect();
        assert_eq!(leases.reserve(0, 7), None, "the table is full");
        assert!(!leases.has_room(4) && leases.has_room(3) && !leases.any_free());
        for (at, before) in [(2, 0), (1, 1)] {
            assert_eq!(leases.give_back(granted[at], 7, 100 + at as u32), Some(before));
            list.add(&leases, granted[at], before);
        }
        assert_eq!(leases.give_back(granted[0], 8, 100), None, "not theirs");
        assert_eq!((leases.pending(), leases.unsettled(|| 5)), (2, 5));
        let retake = |list: &PendingList| {
            let pending = list.first(&leases)?;
            let retaken = leases.retake(pending, 9).unwrap();
            assert_eq!(leases.retake(pending, 9), None, "once");
            Some((retaken.id, retaken.deliveries))
        };
        // Who has given back and who looks through the table see the same.
        assert_eq!(others.first(&leases).map(Pending::id), Some(101));
        assert_eq!(retake(&list), Some((101, 2)));
        assert_eq!((retake(&others), retake(&list)), (Some((102, 2)), None));
        assert!(!leases.ack(granted[1], 7, 101) && leases.ack(granted[1], 9, 101));
        leases.settle(1);
        assert_eq!((leases.pending(), leases.unsettled(|| 5)), (0, 4));
        assert!(
            leases.more_may_come(8) && !leases.more_may_come(9),
            "who has one itself does not wait for others"
        );
        assert!(leases.reserve(0, 1).is_some());
    }

    #[test]
    fn a_reservation_of_the_dead_becomes_the_message_it_was_for() {
        let heap = Heap::new(2);
        let (leases, list) = (heap.leases(), PendingList::default());
        assert!(!leases.recover(5, 77, 3));
        leases.reserve(0, 4).unwrap();
        leases.reserve(0, 5).unwrap();
        assert!(leases.recover(5, 77, 3) && !leases.recover(5, 77, 3));
        leases.recount(10, 1);
        let pending = list.first(&leases).unwrap();
        assert_eq!((pending.id(), leases.pending(), leases.settled()), (77, 1, 8));
        assert_eq!(leases.retake(pending, 1).unwrap().deliveries, 1, "it has not been delivered yet");
    }

    #[test]
    fn garbage_ends_every_loop() {
        let heap = Heap::new(4);
        heap.given_back.store(i32::MAX as u32, Ordering::Relaxed);
        heap.entries[1].word.store(u64::MAX, Ordering::Relaxed);
        heap.settled.store(u64::MAX, Ordering::Relaxed);
        let leases = heap.leases();
        assert_eq!((PendingList::default().first(&leases), leases.pending()), (None, 4));
        assert_eq!((leases.unsettled(|| 7), leases.has_room(7)), (0, true));
    }
}
