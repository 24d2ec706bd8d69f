//! The ring: many producers, many consumers, and any of them may die at any instruction.
//!
//! One CAS publishes a message (FREE -> READY) and one takes it (READY -> TAKEN); nothing before is visible to others, nothing
//! after is needed by them. Head and tail are hints that everybody helps forward, so a dead helper holds up nobody. After
//! Nikolaev's NCQ ("A Scalable, Portable, and Memory-Efficient Lock-Free FIFO Queue", DISC 2019), with the owner of a taken slot
//! written by the taking CAS itself, which is what makes a death attributable.
//!
//! No loop is unbounded: a ring that another process has corrupted returns full or empty.

#[cfg(all(test, loom))]
pub(super) mod model;
#[cfg(test)]
mod tests;

use crate::layout::{RingHeader, Slot, SlotState};
use crate::limits::RING_TRIES_MAX;
use crate::pool::prefetch_for_write;
use crate::sync::{AtomicU64, Ordering};

/// Looks at a ring in motion before its depth is estimated.
const DEPTH_TRIES: usize = 4;

/// A ring, wherever it lies.
#[derive(Clone, Copy)]
pub(crate) struct Ring<'a> {
    head: &'a AtomicU64,
    tail: &'a AtomicU64,
    slots: &'a [AtomicU64],
}

/// A message taken from the ring: its slot is TAKEN until [`Ring::recycle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) position: u64,
    slot: Slot,
}

impl Taken {
    pub(crate) fn id(self) -> u32 {
        self.slot.id()
    }
}

impl<'a> Ring<'a> {
    /// `slots.len()` is a power of two.
    pub(crate) fn new(header: &'a RingHeader, slots: &'a [AtomicU64]) -> Self {
        debug_assert!(slots.len().is_power_of_two());
        Self { head: &header.head, tail: &header.tail, slots }
    }

    fn slot(&self, position: u64) -> &'a AtomicU64 {
        &self.slots[position as usize & (self.slots.len() - 1)]
    }

    fn lap(&self, position: u64) -> u64 {
        position >> self.slots.len().trailing_zeros()
    }

    /// Asks for the lines of up to `count` slots from `position` on, which are about to be changed. Those of one alone come when they
    /// are touched as soon as they would by asking.
    #[inline]
    pub(crate) fn prefetch(&self, position: u64, count: usize) {
        const SLOTS_PER_LINE: usize = 8;
        for ahead in (SLOTS_PER_LINE..count).step_by(SLOTS_PER_LINE) {
            prefetch_for_write(std::ptr::from_ref(self.slot(position.wrapping_add(ahead as u64))).cast());
        }
    }

    /// Where to start pushing: pass it to [`Ring::push`], then to [`Ring::help_tail`].
    pub(crate) fn tail(&self) -> u64 {
        self.tail.load(Ordering::Relaxed)
    }

    /// Where to start popping.
    pub(crate) fn head(&self) -> u64 {
        // SYNC Q5 (acquire), pairs with `help_head` (release): whoever passes over slots because of the hint has seen what their
        // takers did before, their leases above all; else an empty ring would not tell that the queue has ended.
        self.head.load(Ordering::Acquire)
    }

    /// Looks at one slot after the other from `*position` on, for which a slot must be on the lap of its position: `visit` says what to
    /// do there. Leaves the position it came to. `hint` is where others have come, for whoever was overtaken by a whole lap. `None`:
    /// `visit` has ended it, or the next slot is a lap behind.
    #[inline(always)]
    fn walk<T>(
        &self,
        position: &mut u64,
        hint: impl Fn() -> u64,
        mut visit: impl FnMut(&AtomicU64, Slot, u64) -> Step<T>,
    ) -> Option<T> {
        for _ in 0..RING_TRIES_MAX {
            let word = self.slot(*position);
            // SYNC Q2, Q4 (acquire), pair with Q1 and Q3 (release): the taker of the lap before is done with the slot, and message and
            // payload are visible.
            let seen = Slot(word.load(Ordering::Acquire));
            match seen.laps_ahead(self.lap(*position)) {
                0 => match visit(word, seen, *position) {
                    Step::Found(found) => return Some(found),
                    Step::Next => *position = position.wrapping_add(1),
                    Step::Again => {}
                    Step::End => return None,
                },
                ..=-1 => return None,
                1.. => *position = hint().max(position.wrapping_add(1)),
            }
        }
        None
    }

    /// Publishes `id` at the first free position from `*position` on and leaves the next one there; `None`: full, and the position is
    /// the one that is not free.
    #[inline]
    pub(crate) fn push(&self, position: &mut u64, id: u32) -> Option<u64> {
        self.push_if(position, id, |_| true)
    }

    /// As [`Ring::push`], if the queue then has no more than `limit` messages, of which `pending` says how many wait elsewhere.
    ///
    /// At position p it has room once the message at p - limit has been taken. That is exact with any number of senders: positions are
    /// filled one after the other, so when p is filled each position before has been filled under the same rule, and all messages up to
    /// p - limit have been taken. Taken stays taken: nothing comes back into the ring; what is given back waits in its lease, as pending,
    /// and takes room from there.
    pub(crate) fn push_within(
        &self,
        position: &mut u64,
        id: u32,
        limit: u32,
        pending: impl Fn() -> u32,
    ) -> Option<u64> {
        self.push_if(position, id, |at| self.is_within(at, limit, pending()))
    }

    #[inline(always)]
    fn push_if(&self, position: &mut u64, id: u32, mut has_room: impl FnMut(u64) -> bool) -> Option<u64> {
        let at = self.walk(
            position,
            || self.tail(),
            |word, seen, at| match seen.state() {
                SlotState::Free if !has_room(at) => Step::End,
                SlotState::Free => {
                    // SYNC Q3 (release), pairs with Q4: the payload and its header come before the message. This CAS
                    // publishes; killed before it, the message was never sent; after it, it is in the queue for good.
                    let ready = Slot::ready(self.lap(at), id);
                    match word.compare_exchange(seen.0, ready.0, Ordering::Release, Ordering::Relaxed) {
                        Ok(_) => Step::Found(at),
                        Err(_) => Step::Again,
                    }
                }
                // Somebody was faster at this position; the tail lags. Recycled slots count as passed, too: helping only
                // past READY ones would wait for ever behind a slot that was taken and recycled meanwhile.
                _ => Step::Next,
            },
        )?;
        *position = at.wrapping_add(1);
        Some(at)
    }

    /// Whether a message at `position` is one of `limit`, less the `pending` ones: see [`Ring::push_within`].
    fn is_within(&self, position: u64, limit: u32, pending: u32) -> bool {
        let room = u64::from(limit.saturating_sub(pending));
        let Some(oldest) = position.checked_sub(room) else { return true };
        let seen = Slot(self.slot(oldest).load(Ordering::Acquire));
        let is_taken = || matches!(seen.state(), SlotState::Taken | SlotState::Removed);
        room > 0 && (seen.laps_ahead(self.lap(oldest)) > 0 || is_taken())
    }

    /// Takes the first message from `*position` on for participant `owner` and leaves the next position there; `None`: empty, or
    /// `admit` refused its buffer id, which leaves the message where it is.
    #[inline]
    pub(crate) fn pop(
        &self,
        position: &mut u64,
        owner: u32,
        mut admit: impl FnMut(u32) -> bool,
    ) -> Option<Taken> {
        let taken = self.walk(
            position,
            || self.head(),
            |word, seen, at| match seen.state() {
                SlotState::Ready if !admit(seen.id()) => Step::End,
                SlotState::Ready => {
                    // Killed before this CAS: not taken. After it: the slot names us, recovery rolls it forward. AcqRel: the
                    // winner reads the payload, and a recoverer who sees TAKEN sees what we did before.
                    let taken = seen.taken(owner);
                    match word.compare_exchange(seen.0, taken.0, Ordering::AcqRel, Ordering::Relaxed) {
                        Ok(_) => Step::Found(Taken { position: at, slot: seen }),
                        Err(_) => Step::Again,
                    }
                }
                SlotState::Free => Step::End,
                SlotState::Taken | SlotState::Removed => Step::Next,
            },
        )?;
        *position = taken.position.wrapping_add(1);
        Some(taken)
    }

    /// Frees the slot of a message that was taken or removed, for the next lap.
    pub(crate) fn recycle(&self, taken: Taken) {
        // SYNC Q1 (release), pairs with Q2 (acquire). A plain store: only the owner of a TAKEN or REMOVED slot changes it.
        self.slot(taken.position).store(taken.slot.recycled().0, Ordering::Release);
    }

    /// Takes out message `id`, which its sender published at `position`, if nobody has taken it.
    pub(crate) fn retract(&self, position: u64, id: u32, owner: u32) -> Option<Taken> {
        self.remove(Taken { position, slot: Slot::ready(self.lap(position), id) }, owner)
    }

    /// Takes out the message that [`Ring::front`] found, if it is still there.
    pub(crate) fn remove(&self, front: Taken, owner: u32) -> Option<Taken> {
        let word = self.slot(front.position);
        let removed = front.slot.removed(owner);
        let done = word.compare_exchange(front.slot.0, removed.0, Ordering::AcqRel, Ordering::Relaxed);
        done.is_ok().then_some(front)
    }

    /// The message that a pop would take, left where it is.
    #[inline]
    pub(crate) fn front(&self) -> Option<Taken> {
        self.walk(
            &mut self.head(),
            || self.head(),
            |_, seen, at| match seen.state() {
                SlotState::Ready => Step::Found(Taken { position: at, slot: seen }),
                SlotState::Free => Step::End,
                SlotState::Taken | SlotState::Removed => Step::Next,
            },
        )
    }

    /// Whether `front` is still the message to take.
    pub(crate) fn is_still_there(&self, front: Taken) -> bool {
        self.slot(front.position).load(Ordering::Acquire) == front.slot.0
    }

    /// The position of the message in slot `index`. Laps are kept modulo 2^26; the head tells which one is meant.
    pub(crate) fn position_of(&self, index: usize, slot: Slot) -> u64 {
        let lap = self.lap(self.head());
        let lap = lap.wrapping_add_signed(slot.laps_ahead(lap));
        (lap << self.slots.len().trailing_zeros()) | index as u64
    }

    /// Whether a push would find room, within a limit (0: none) as for [`Ring::push_within`].
    pub(crate) fn has_room(&self, limit: u32, pending: u32) -> bool {
        let free = |_: &AtomicU64, seen: Slot, at| match seen.state() {
            SlotState::Free if limit == 0 || self.is_within(at, limit, pending) => Step::Found(()),
            SlotState::Free => Step::End,
            _ => Step::Next,
        };
        self.walk(&mut self.tail(), || self.tail(), free).is_some()
    }

    /// Makes this ring, which nobody else sees, one of which all messages before `position` have been taken.
    pub(crate) fn begin_at(&self, position: u64) {
        self.set_free(position, self.slots.len() as u64);
        self.head.store(position, Ordering::Relaxed);
        self.tail.store(position, Ordering::Relaxed);
    }

    /// Fills in this ring, which nobody else sees and which began where `from` was some time ago, with the messages of `from`, each at its
    /// position, while nobody moves any; there is room for them. Returns the position of the first. It takes as long as there are messages,
    /// and have been since.
    pub(crate) fn fill_from(&self, from: &Ring<'_>) -> u64 {
        let (taken, published) = (from.taken(), from.published());
        let (begun, slots) = (self.head.load(Ordering::Relaxed), self.slots.len() as u64);
        match taken.wrapping_sub(begun) {
            more if more <= slots => self.set_free(begun.wrapping_add(slots), more),
            _ => self.begin_at(taken),
        }
        for at in 0..published.saturating_sub(taken).min(slots) {
            let position = taken + at;
            let (here, there) = (self.lap(position), Slot(from.slot(position).load(Ordering::Relaxed)));
            let is_message = there.state() == SlotState::Ready && there.laps_ahead(from.lap(position)) == 0;
            let slot = match is_message {
                true => Slot::ready(here, there.id()),
                // Taken back by its sender, when the queue was closed, or damaged: passed over as one that was taken.
                false => Slot::free(here.wrapping_add(1)),
            };
            // Relaxed: it is the name table that makes the ring findable.
            self.slot(position).store(slot.0, Ordering::Relaxed);
        }
        self.head.store(taken, Ordering::Relaxed);
        self.tail.store(published, Ordering::Relaxed);
        taken
    }

    fn set_free(&self, first: u64, count: u64) {
        for position in (0..count).map(|at| first.wrapping_add(at)) {
            // Relaxed, as in `fill_from`.
            self.slot(position).store(Slot::free(self.lap(position)).0, Ordering::Relaxed);
        }
    }

    /// Moves the tail hint up to `position`.
    pub(crate) fn help_tail(&self, position: u64) {
        // Relaxed: a hint; what matters is ordered by the slots.
        self.tail.fetch_max(position, Ordering::Relaxed);
    }

    /// Moves the head hint up to `position`.
    pub(crate) fn help_head(&self, position: u64) {
        // SYNC Q5 (release).
        self.head.fetch_max(position, Ordering::Release);
    }

    /// Messages ever taken out, as the slots show it.
    pub(crate) fn taken(&self) -> u64 {
        self.passed(self.head(), |state| matches!(state, SlotState::Taken | SlotState::Removed))
    }

    /// Messages ever published, as the slots show it.
    pub(crate) fn published(&self) -> u64 {
        self.passed(self.tail(), |state| state != SlotState::Free)
    }

    /// Messages in the ring, at one moment of the call, unless senders have taken some back from between others. Where too much moves
    /// to see a moment whole, no more than there were.
    pub(crate) fn depth(&self) -> u64 {
        for _ in 0..DEPTH_TRIES {
            let taken = self.taken();
            let published = self.published();
            // What is taken stays taken: the same before and after, it was that number when the published ones were counted.
            if self.taken() == taken {
                return self.between(taken, published);
            }
        }
        let published = self.published();
        self.between(self.taken(), published)
    }

    /// Hints may be damaged: no more than the ring has room for.
    fn between(&self, taken: u64, published: u64) -> u64 {
        published.saturating_sub(taken).min(self.slots.len() as u64)
    }

    /// The same with a look at each, for a ring from which messages may have been taken back.
    pub(crate) fn depth_by_slots(&self) -> u64 {
        let is_ready = |word: &&AtomicU64| Slot(word.load(Ordering::Acquire)).state() == SlotState::Ready;
        self.slots.iter().filter(is_ready).count() as u64
    }

    fn passed(&self, mut position: u64, is_over: impl Fn(SlotState) -> bool) -> u64 {
        let visit = |_: &AtomicU64, seen: Slot, _| if is_over(seen.state()) { Step::Next } else { Step::End };
        let _: Option<()> = self.walk(&mut position, || 0, visit);
        position
    }
}

/// What to do at a slot.
enum Step<T> {
    /// This is it.
    Found(T),
    /// Look at the next one.
    Next,
    /// Look at this one once more: it has changed.
    Again,
    /// There is nothing to be found.
    End,
}
