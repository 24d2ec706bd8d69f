//! The ring of a PortQueue: the payload of one pool buffer.
//!
//! ```text
//! slot  63                       38 37 36 35     29 28                          0
//!       | cycle (lap of the ring), 26 | state | owner  | id of buffer or cell        |
//!
//! FREE(c) --push: CAS--> READY(c, id) --pop: CAS--> TAKEN(c, owner, id) --store--> FREE(c + 1)
//!                        READY(c, id) --drop, take back: CAS--> REMOVED(c, owner, id) --store--> FREE(c + 1)
//! ```
//!
//! The ring of an at-least-once queue is followed by as many lease entries:
//!
//! ```text
//! lease 63                   39 38   36 35     29 28                          0
//!       | 0                      | state | owner  | id of buffer or cell        |   + position, deliveries
//!
//! FREE --receive: CAS--> RESERVED(owner) --store--> LEASED(owner, id) --ack: CAS--> FREE
//!                        RESERVED --recovery, if the owner had TAKEN a message--> PENDING(id)
//!                                                   LEASED --nack: CAS, or recovery--> PENDING(id) --receive: CAS--> LEASED
//! ```

use super::{Text, WaiterMask, shared};
use crate::limits::MAX_PARTICIPANTS;
use crate::sync::{AtomicU32, AtomicU64};
use core::mem::size_of;
use crossbeam::utils::CachePadded;

pub(crate) const SLOT_OWNER_SHIFT: u32 = super::buffer::ID_BITS;
pub(crate) const SLOT_STATE_SHIFT: u32 = SLOT_OWNER_SHIFT + OWNER_BITS;
pub(crate) const SLOT_CYCLE_SHIFT: u32 = SLOT_STATE_SHIFT + 2;
const ID_MASK: u64 = (1 << SLOT_OWNER_SHIFT) - 1;
const OWNER_BITS: u32 = MAX_PARTICIPANTS.trailing_zeros();
const OWNER_MASK: u64 = (1 << OWNER_BITS) - 1;
/// Laps are compared modulo 2^26.
const CYCLE_MASK: u64 = (1 << (64 - SLOT_CYCLE_SHIFT)) - 1;

/// Takes messages.
pub(crate) const RING_OPEN: u32 = 0;
/// No more messages; what is in it can still be taken.
pub(crate) const RING_CLOSED: u32 = 1;
/// Removed: every operation ends.
pub(crate) const RING_DESTROYED: u32 = 2;
/// Another ring has taken its place, which `successor` names: nothing in this one counts any more.
pub(crate) const RING_REPLACED: u32 = 3;

/// State of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotState {
    Free,
    Ready,
    /// A receiver is taking the message.
    Taken,
    /// Somebody is taking the message out, to drop it or to take back what it had sent itself: it is not delivered any more.
    Removed,
}

/// A slot word, taken apart by methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u64);

impl Slot {
    pub(crate) const fn free(cycle: u64) -> Self {
        Self((cycle & CYCLE_MASK) << SLOT_CYCLE_SHIFT)
    }

    pub(crate) const fn ready(cycle: u64, id: u32) -> Self {
        Self(Self::free(cycle).0 | 1 << SLOT_STATE_SHIFT | id as u64 & ID_MASK)
    }

    pub(crate) const fn taken(self, owner: u32) -> Self {
        self.owned(2, owner)
    }

    pub(crate) const fn removed(self, owner: u32) -> Self {
        self.owned(3, owner)
    }

    const fn owned(self, state: u64, owner: u32) -> Self {
        let cycle = self.0 >> SLOT_CYCLE_SHIFT;
        let owner = (owner as u64 & OWNER_MASK) << SLOT_OWNER_SHIFT;
        Self(Self::free(cycle).0 | state << SLOT_STATE_SHIFT | owner | self.0 & ID_MASK)
    }

    pub(crate) const fn state(self) -> SlotState {
        match self.0 >> SLOT_STATE_SHIFT & 3 {
            0 => SlotState::Free,
            1 => SlotState::Ready,
            2 => SlotState::Taken,
            _ => SlotState::Removed,
        }
    }

    pub(crate) const fn id(self) -> u32 {
        (self.0 & ID_MASK) as u32
    }

    pub(crate) const fn owner(self) -> usize {
        (self.0 >> SLOT_OWNER_SHIFT & OWNER_MASK) as usize
    }

    /// The slot as it is left for the next lap.
    pub(crate) const fn recycled(self) -> Self {
        Self::free((self.0 >> SLOT_CYCLE_SHIFT).wrapping_add(1))
    }

    /// How many laps this slot is ahead of `cycle` (negative: behind), modulo 2^26.
    pub(crate) const fn laps_ahead(self, cycle: u64) -> i64 {
        let distance = (self.0 >> SLOT_CYCLE_SHIFT).wrapping_sub(cycle) & CYCLE_MASK;
        (distance << SLOT_CYCLE_SHIFT) as i64 >> SLOT_CYCLE_SHIFT
    }
}

/// State of one lease entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseState {
    Free,
    /// A receiver is about to take a message. A crash leaves it to recovery, which makes it PENDING if the message has been taken, and
    /// sets it free if not.
    Reserved,
    /// A receiver has the message. Its death makes it PENDING.
    Leased,
    /// The message waits to be delivered again: the entry holds the reference.
    Pending,
    /// A bit pattern nobody writes.
    Invalid,
}

/// The word of a lease entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LeaseWord(pub(crate) u64);

impl LeaseWord {
    pub(crate) const FREE: Self = Self(0);

    const fn new(state: u64, owner: u32, id: u32) -> Self {
        Self(
            state << SLOT_STATE_SHIFT
                | ((owner as u64 & OWNER_MASK) << SLOT_OWNER_SHIFT)
                | (id as u64 & ID_MASK),
        )
    }

    pub(crate) const fn reserved(owner: u32) -> Self {
        Self::new(1, owner, 0)
    }

    pub(crate) const fn leased(owner: u32, id: u32) -> Self {
        Self::new(2, owner, id)
    }

    pub(crate) const fn pending(id: u32) -> Self {
        Self::new(3, 0, id)
    }

    pub(crate) const fn state(self) -> LeaseState {
        match self.0 >> SLOT_STATE_SHIFT {
            0 => LeaseState::Free,
            1 => LeaseState::Reserved,
            2 => LeaseState::Leased,
            3 => LeaseState::Pending,
            _ => LeaseState::Invalid,
        }
    }

    pub(crate) const fn id(self) -> u32 {
        (self.0 & ID_MASK) as u32
    }

    pub(crate) const fn owner(self) -> usize {
        (self.0 >> SLOT_OWNER_SHIFT & OWNER_MASK) as usize
    }
}

/// One delivery that has not been acknowledged. `position` and `deliveries` are written by whoever has the entry RESERVED or
/// LEASED, before the word says so to others.
#[repr(C)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct LeaseEntry {
    pub(crate) word: AtomicU64,
    /// Where the message was in the queue: redelivery is in this order.
    pub(crate) position: AtomicU64,
    /// Times it has been delivered.
    pub(crate) deliveries: AtomicU32,
    _reserved: AtomicU32,
}
shared!(LeaseEntry { word, position, deliveries, _reserved });

/// Nobody has sent yet to a queue that closes with its producers.
pub(crate) const CLOSES_LATER: u32 = 1;
/// Somebody has: from now on it closes when nobody does any more.
pub(crate) const CLOSES_BEGUN: u32 = 2;

/// Some of the participants: a bit each.
#[repr(C)]
pub(crate) struct ParticipantSet {
    pub(crate) words: [AtomicU64; MAX_PARTICIPANTS / 64],
}
shared!(ParticipantSet { words });

/// Head of a ring. Options are written before the queue can be found and never again.
#[repr(C)]
pub(crate) struct RingHeader {
    pub(crate) capacity: AtomicU32,
    pub(crate) overflow: AtomicU32,
    pub(crate) delivery: AtomicU32,
    pub(crate) max_deliveries: AtomicU32,
    pub(crate) producers: AtomicU32,
    pub(crate) consumers: AtomicU32,
    pub(crate) type_id: AtomicU32,
    /// Messages that a send may leave in the queue, 0 = as many as it has slots.
    pub(crate) limit: AtomicU32,
    /// OPEN -> CLOSED -> DESTROYED, only forward, or OPEN -> REPLACED. Written by anyone who is inside an operation, REPLACED while nobody is;
    /// read by every operation; a crash leaves it whole.
    pub(crate) state: AtomicU32,
    /// Whether the queue closes when its last producer has gone: 0, or CLOSES_*. Raised to CLOSES_BEGUN by the first producer, before its
    /// bit in `sending`.
    pub(crate) closes: AtomicU32,
    pub(crate) codec: Text<4>,

    /// Position of the next message to take: a hint that everybody helps forward.
    pub(crate) head: CachePadded<AtomicU64>,
    /// Position of the next slot to fill: likewise.
    pub(crate) tail: CachePadded<AtomicU64>,
    /// Who waits for a message.
    pub(crate) data_waiters: CachePadded<WaiterMask>,
    /// Who waits for room.
    pub(crate) space_waiters: CachePadded<WaiterMask>,
    /// What of an at-least-once queue is over.
    pub(crate) settled: CachePadded<Settled>,

    /// Messages that were in the queue and were dropped by its overflow policy.
    pub(crate) dropped: CachePadded<AtomicU64>,
    /// Of these, not yet told to a receiver.
    pub(crate) gap: AtomicU32,
    /// Deepest the queue has been when a producer looked.
    pub(crate) high_water: AtomicU32,
    /// `slot + 1` of the one producer of a queue with `producers: 1`; 0 = not taken. Recovery clears it for the dead.
    pub(crate) producer: AtomicU32,
    /// The same for `consumers: 1`.
    pub(crate) consumer: AtomicU32,
    /// Leases that have ended without an acknowledgement, modulo 2^32. Written by whoever gives back, after the entry is PENDING, and by
    /// recovery, which makes it right.
    pub(crate) given_back: AtomicU32,
    /// Of these, those that have been leased again, or dropped; written after the entry has been changed. So both are behind at times,
    /// and their difference, the number of PENDING entries, is exact only at rest.
    pub(crate) retaken: AtomicU32,
    /// Of a topic: messages it keeps for those who come late, 0 or its capacity. Written by the creator.
    pub(crate) history: AtomicU32,
    /// Messages delivered again after a nack or a death.
    pub(crate) redelivered: AtomicU64,
    /// Messages moved to the dead-letter queue.
    pub(crate) dead_lettered: AtomicU64,
    /// Of a subscription: from which message of the topic on publishers deliver to it; see `topic/join_state.rs`. Written by the
    /// subscriber, and by publishers while it joins. A crash of the subscriber before it has begun ends the subscription.
    pub(crate) start: AtomicU64,
    /// Of a topic: raised by each subscriber once it is listed. A crash in between ends the subscription.
    pub(crate) subscriptions: AtomicU64,
    /// Messages that never were in the queue: dropped by its policy for want of room, or passed over by a publisher.
    pub(crate) missed: AtomicU64,
    /// Who has sent and has it open. Written by themselves; recovery takes out the dead.
    pub(crate) sending: ParticipantSet,
    /// Who has received and has it open, likewise.
    pub(crate) receiving: ParticipantSet,
    /// Options that somebody has asked for, a bit each. Written under the lock of the name table.
    pub(crate) named: AtomicU32,
    /// Of a queue whose capacity follows its load: the fewest slots, and the most; else both 0.
    pub(crate) least: AtomicU32,
    pub(crate) most: AtomicU32,
    /// Of a ring that has been replaced: the buffer of the ring that has taken its place. Written before the state.
    pub(crate) successor: AtomicU32,
    /// Deepest the queue has been, when a producer looked, since somebody last looked whether it is too large.
    pub(crate) peak: AtomicU32,
    /// When that was: seconds of the system's monotonic clock, modulo 2^32.
    pub(crate) looked: AtomicU32,
    /// Of a topic: messages published. Statistics; a publisher killed in a batch leaves it short. On a line of its own: written by
    /// every publish, while `subscriptions` is only read.
    pub(crate) published: AtomicU64,
    /// Who has the queue open, by this ring or by one whose place it has taken. Written by themselves; recovery takes out the dead.
    pub(crate) attached: ParticipantSet,
    _reserved_too: [AtomicU64; 13],
}
shared!(RingHeader {
    capacity,
    overflow,
    delivery,
    max_deliveries,
    producers,
    consumers,
    type_id,
    limit,
    state,
    closes,
    codec,
    head,
    tail,
    data_waiters,
    space_waiters,
    settled,
    dropped,
    gap,
    high_water,
    producer,
    consumer,
    given_back,
    retaken,
    history,
    redelivered,
    dead_lettered,
    start,
    subscriptions,
    missed,
    sending,
    receiving,
    named,
    least,
    most,
    successor,
    peak,
    looked,
    published,
    attached,
    _reserved_too
});

/// How many messages of an at-least-once queue are over, and who waits for all of them to be. One line: who settles a message looks for
/// waiters.
#[repr(C)]
pub(crate) struct Settled {
    /// Messages that are neither in the ring nor leased nor to be delivered again: acknowledged, dropped, or taken back by their sender.
    /// Written after that by whoever did it, so never more than there are; a crash leaves it behind, recovery makes it right.
    pub(crate) count: AtomicU64,
    /// Who waits for the queue to be idle.
    pub(crate) idle_waiters: WaiterMask,
}
shared!(Settled { count, idle_waiters });

/// Bytes of a ring with `capacity` slots and `leases` lease entries.
pub(crate) const fn ring_bytes(capacity: usize, leases: usize) -> usize {
    leases_offset(capacity) + leases * size_of::<LeaseEntry>()
}

/// Where the lease entries of a ring start.
pub(crate) const fn leases_offset(capacity: usize) -> usize {
    size_of::<RingHeader>() + capacity * size_of::<AtomicU64>()
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(MAX_PARTICIPANTS.is_power_of_two() && SLOT_CYCLE_SHIFT == 38);
    assert!(size_of::<RingHeader>() == 1152);
    assert!(size_of::<Settled>() <= 64);
    assert!(size_of::<LeaseEntry>() == 24);
    assert!(offset_of!(RingHeader, head) == 128);
    assert!(offset_of!(RingHeader, dropped) == 768);
    assert!(offset_of!(RingHeader, published) == 1024);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_goes_round() {
        let ready = Slot::ready(7, 0x1abc_def1);
        assert_eq!((ready.state(), ready.id()), (SlotState::Ready, 0x1abc_def1));
        let taken = ready.taken(127);
        assert_eq!((taken.state(), taken.id(), taken.owner()), (SlotState::Taken, 0x1abc_def1, 127));
        assert_eq!(taken.recycled(), Slot::free(8));
        let removed = ready.removed(3);
        assert_eq!((removed.state(), removed.id(), removed.owner()), (SlotState::Removed, 0x1abc_def1, 3));
        assert_eq!(removed.recycled(), Slot::free(8));
        assert_eq!(Slot::free(0).0, 0, "fresh memory is an empty ring");
    }

    #[test]
    fn laps_compare_across_the_wrap() {
        let last = CYCLE_MASK;
        assert_eq!(Slot::free(last).recycled(), Slot::free(0));
        assert_eq!(Slot::free(0).laps_ahead(last), 1);
        assert_eq!(Slot::free(last).laps_ahead(last + 1), -1);
        assert_eq!(Slot::free(5).laps_ahead(5), 0);
    }
}
