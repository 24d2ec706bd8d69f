//! The registry segment: who takes part, which segments and queues exist, who waits, who recovers.

use super::{SegmentHeader, Text, shared};
use crate::limits::{LANES, MAX_EVENTS, MAX_PARTICIPANTS, MAX_QUEUES, MAX_SEGMENTS};
use crate::sync::{AtomicU32, AtomicU64};
use core::mem::size_of;
use crossbeam::utils::CachePadded;

/// Nobody's slot.
pub(crate) const PARTICIPANT_FREE: u32 = 0;
/// A participant whose lock file tells whether it lives. Stored (Release) after everything else in the slot.
pub(crate) const PARTICIPANT_ACTIVE: u32 = 1;
/// Takes part no more and holds nothing. Whoever has the recovery lock, as a rule itself, tells the others and frees the slot.
pub(crate) const PARTICIPANT_LEAVING: u32 = 2;

/// No segment here, and no object of one.
pub(crate) const SEGMENT_EMPTY: u32 = 0;
/// The segment is complete and linked.
pub(crate) const SEGMENT_READY: u32 = 1;
/// As EMPTY, but there may be an object: of a segment that is being made or removed, or whose maker or remover died at it. Whoever has
/// the grow lock next removes it.
pub(crate) const SEGMENT_UNLISTED: u32 = 2;

/// `recovering` names a recoverer that has found everybody outside and changes things: it cannot be called off any more.
pub(crate) const RECOVERING_FOR_GOOD: u32 = 1 << 31;
/// Who recovers without being a participant, in place of `slot + 1`.
pub(crate) const RECOVERER_UNKNOWN: u32 = 0xff;

/// No name here.
pub(crate) const NAME_FREE: u32 = 0;
/// A creator (named by `owner`) is writing it. If it dies recovery sets the entry free.
pub(crate) const NAME_CLAIMED: u32 = 1;
/// Something that can be found. The name table holds one reference to its ring.
pub(crate) const NAME_LIVE: u32 = 2;

/// One bit per participant that sleeps until something changes.
///
/// Written by: the sleeper (sets, clears its own bit), wakers (clear a bit and notify its owner), recovery (clears the bits
/// of the dead). A crash leaves a stale bit: one needless ring, cleared by recovery.
#[repr(C)]
pub(crate) struct WaiterMask {
    pub(crate) words: [AtomicU64; MAX_PARTICIPANTS / 64],
    /// Times somebody went to sleep here. Statistics only.
    pub(crate) waits: AtomicU64,
}
shared!(WaiterMask { words, waits });

/// What is known of one pool segment. Written under the grow lock, `state` last (Release); READY becomes UNLISTED while the world is
/// stopped, too. A crash leaves a segment that is not READY, and so counts for nothing.
#[repr(C)]
pub(crate) struct SegmentEntry {
    pub(crate) state: AtomicU32,
    /// Buffers in it.
    pub(crate) count: AtomicU32,
    /// Bytes of one buffer: the size class, or the exact (page-rounded) size of a dedicated segment.
    pub(crate) buffer_bytes: AtomicU64,
    /// Bytes of the whole segment, counted against the budget.
    pub(crate) bytes: AtomicU64,
    /// Raised by each growth at this place: tells one segment from the next.
    pub(crate) generation: AtomicU32,
    _reserved: AtomicU32,
}
shared!(SegmentEntry { state, count, buffer_bytes, bytes, generation, _reserved });

/// That somebody has joined, has left, or has been recovered. Written under the recovery lock, `sequence` last (Release).
#[repr(C)]
pub(crate) struct EventRecord {
    /// Number of the event in its domain, from 1; 0 while it is written.
    pub(crate) sequence: AtomicU64,
    /// One of EVENT_*.
    pub(crate) kind: AtomicU32,
    /// Of EVENT_EXITED: how its process or worker thread ended.
    pub(crate) exit_code: AtomicU32,
    pub(crate) slot: AtomicU32,
    pub(crate) epoch: AtomicU32,
    pub(crate) pid: AtomicU32,
    /// Of EVENT_DIED, as the next three: what the recovery came to.
    pub(crate) freed: AtomicU32,
    pub(crate) lost: AtomicU32,
    pub(crate) redelivered: AtomicU32,
    pub(crate) duration_ns: AtomicU64,
    pub(crate) at_ms: AtomicU64,
    pub(crate) name: Text<8>,
    /// Recoveries so far, this one included, and the sums over what they came to.
    pub(crate) recoveries: AtomicU64,
    pub(crate) freed_total: AtomicU64,
    pub(crate) lost_total: AtomicU64,
    pub(crate) redelivered_total: AtomicU64,
}
shared!(EventRecord {
    sequence,
    kind,
    exit_code,
    slot,
    epoch,
    pid,
    freed,
    lost,
    redelivered,
    duration_ns,
    at_ms,
    name,
    recoveries,
    freed_total,
    lost_total,
    redelivered_total
});

/// A participant is there.
pub(crate) const EVENT_JOINED: u32 = 1;
/// It has left in order: it was closed.
pub(crate) const EVENT_CLOSED: u32 = 2;
/// It has left in order because its process or worker thread ended, with `exit_code`.
pub(crate) const EVENT_EXITED: u32 = 3;
/// The same; nobody said with which code.
pub(crate) const EVENT_EXITED_SOMEHOW: u32 = 4;
/// It was found dead, and has been recovered.
pub(crate) const EVENT_DIED: u32 = 5;

/// Bit of `told`: the event of its joining is in the log.
pub(crate) const TOLD_JOINED: u64 = 1;
/// Bit of `told`: the event of its end is.
pub(crate) const TOLD_LEFT: u64 = 2;
/// Where the tenant's epoch is in `told`.
pub(crate) const TOLD_EPOCH_SHIFT: u32 = 8;

/// One participant: a process, or one worker thread of a process.
#[repr(C, align(128))]
pub(crate) struct ParticipantSlot {
    /// FREE, ACTIVE or LEAVING. Set ACTIVE by the joiner under the domain lock, LEAVING by the leaver, FREE by whoever has the recovery lock.
    pub(crate) state: AtomicU32,
    /// Raised by each joiner: tells one tenant of a slot from the next.
    pub(crate) epoch: AtomicU32,
    /// Process id as its own namespace numbers it: for people and for pidfds, never a proof of life.
    pub(crate) pid: AtomicU32,
    /// 0, or where somebody has seen it stalled: a `StallPhase` of `registry::stop`. Written by those who look after their neighbours;
    /// set to 0 by itself when it goes on, by joiners and by recovery. A crash of the writer leaves it to the participant itself.
    pub(crate) stalled: AtomicU32,
    pub(crate) started_ms: AtomicU64,
    pub(crate) name: Text<8>,
    /// Bit n: it has mapped the segment that is at place n now, and has a row in its ledger. Set by itself within a pin; cleared by
    /// whoever takes the segment out, and as a whole by joiners. A bit that a crash leaves cleared is set again at the next use.
    pub(crate) attached: AtomicU64,
    /// Which events of its tenant are in the log: TOLD_* below, its epoch above. Set by joiners, then by whoever has the recovery lock; of
    /// one that is killed between the two the next one reads in the newest event that it has to be set.
    pub(crate) told: AtomicU64,
    /// Of one that is LEAVING: EVENT_CLOSED, EVENT_EXITED or EVENT_EXITED_SOMEHOW. Written by itself before `state`.
    pub(crate) ending: AtomicU32,
    /// Of one that ends with EVENT_EXITED.
    pub(crate) exit_code: AtomicU32,

    pub(crate) lanes: [CachePadded<Lane>; LANES],

    pub(crate) wake: CachePadded<Wake>,
}
shared!(ParticipantSlot {
    state,
    epoch,
    pid,
    stalled,
    started_ms,
    name,
    attached,
    told,
    ending,
    exit_code,
    lanes,
    wake
});

/// Where threads of a participant say that they are inside an operation. Written by them only; recovery reads what a crash leaves, and
/// the next tenant zeroes it.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Lane {
    /// How many of them are, and from bit 16 on, how many messages they have taken to copy them out. A lane of one thread alone is only
    /// stored to.
    pub(crate) inside: AtomicU32,
    _reserved: AtomicU32,
    /// 0, or the [`TakeIntent`] that one of them is about to add to the ledger.
    pub(crate) taking: AtomicU64,
    /// Messages they have put into queues. Statistics.
    pub(crate) sent: AtomicU64,
    /// Messages they have taken out of queues. Statistics.
    pub(crate) received: AtomicU64,
}
shared!(Lane { inside, _reserved, taking, sent, received });

impl Lane {
    /// One message that is being copied, in `inside`.
    pub(crate) const COPY: u32 = 1 << 16;

    /// Messages that are being copied, by what `inside` says.
    pub(crate) const fn copies(inside: u32) -> u32 {
        inside / Self::COPY
    }
}

/// A message of a pack that its taker is about to add to its ledger. One entry of the ledger counts all the messages of a pack, so it
/// does not tell by itself whether a taker that was killed had come to this one.
#[derive(Clone, Copy)]
pub(crate) struct TakeIntent(u64);

impl TakeIntent {
    const ID_MASK: u64 = u32::MAX as u64;
    const BEGUN: u64 = 1 << 63;

    /// Message `id`, whose pack the ledger counts `received` times before.
    pub(crate) const fn new(id: u32, received: u32) -> Self {
        Self(Self::BEGUN | (received as u64) << 32 | id as u64)
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Whether it is about message `id`, and the ledger, which counts its pack `received` times now, has it.
    pub(crate) const fn is_noted(self, id: u32, received: u32) -> bool {
        let before = (self.0 & !Self::BEGUN) >> 32;
        self.0 & Self::BEGUN != 0 && self.0 & Self::ID_MASK == id as u64 && received as u64 > before
    }
}

/// How a participant is woken.
#[repr(C)]
pub(crate) struct Wake {
    /// Futex word: raised by every ring.
    pub(crate) sequence: AtomicU32,
    /// Threads that sleep on `sequence`.
    pub(crate) sleepers: AtomicU32,
    /// 1 while an event loop sleeps and wants a byte in its doorbell; the waker that swaps it to 0 writes the byte.
    pub(crate) doorbell_armed: AtomicU32,
}
shared!(Wake { sequence, sleepers, doorbell_armed });

/// A name and where its ring is. Written under the lock of the name table; `state` last (Release).
#[repr(C, align(128))]
pub(crate) struct NameEntry {
    /// `generation << 8 | FREE/CLAIMED/LIVE`: one word, so that "still the same queue" is one load.
    pub(crate) state: AtomicU64,
    /// Buffer id of the ring while LIVE; the name table counts as one holder of that buffer.
    pub(crate) ring: AtomicU32,
    /// Slot of the creator.
    pub(crate) owner: AtomicU32,
    pub(crate) name: Text<8>,
    /// What it names: `registry::Kind`.
    pub(crate) kind: AtomicU32,
    /// Which tenant of slot `owner` the creator is.
    pub(crate) epoch: AtomicU32,
    _reserved: [AtomicU32; 2],
    /// Of a subscription: its own name; one without ends with its creator. Of a mailbox, which always does: the role it has.
    pub(crate) label: Text<4>,
}
shared!(NameEntry { state, ring, owner, name, kind, epoch, _reserved, label });

/// The registry segment.
#[repr(C)]
pub(crate) struct Registry {
    pub(crate) header: SegmentHeader,
    /// Pool budget in bytes.
    pub(crate) max_bytes: AtomicU64,
    /// Participant slots ever used: slots at and above it have never been touched and are not reserved.
    pub(crate) participants_high: AtomicU32,
    /// name entries ever used: the others have never been touched and are not reserved.
    pub(crate) names_high: AtomicU32,
    /// Segments ever made.
    pub(crate) segments_high: AtomicU32,
    pub(crate) created_ms: AtomicU64,
    /// Raised when any participant's `stalled` has changed: whoever is notified looks. Only ever compared with what it was.
    pub(crate) stalls: AtomicU32,
    /// Raised after participants have left or have been recovered, before everybody is notified. Only ever compared with what it was.
    pub(crate) departures: AtomicU32,
    /// Raised when a segment is taken out, or the ring of a queue is replaced, so that whoever caches views of segments, or ends of queues,
    /// looks whether they still are what they were. Written while the world is stopped; only ever compared with what it was.
    pub(crate) remaps: AtomicU32,

    /// 0, or who recovers: `slot + 1` in the low 8 bits, bits of its epoch above, and FOR_GOOD from the moment when everybody has been
    /// seen outside. Everybody stays outside meanwhile. Futex word. Written by the recoverer under the recovery lock; set to 0 by
    /// whoever calls off one that is not FOR_GOOD; a crash leaves it raised, the next one to sweep lowers it.
    pub(crate) recovering: CachePadded<AtomicU32>,
    /// Recoveries so far.
    pub(crate) recoveries: CachePadded<AtomicU64>,
    /// Number of the newest event in the log.
    pub(crate) events: AtomicU64,

    /// Who waits for a queue to appear.
    pub(crate) name_waiters: CachePadded<WaiterMask>,
    /// Who waits for a buffer.
    pub(crate) pool_waiters: CachePadded<WaiterMask>,

    pub(crate) segments: [SegmentEntry; MAX_SEGMENTS],
    pub(crate) log: [EventRecord; MAX_EVENTS],
    pub(crate) participants: [ParticipantSlot; MAX_PARTICIPANTS],
    pub(crate) names: [NameEntry; MAX_QUEUES],
}
shared!(Registry {
    header,
    max_bytes,
    participants_high,
    names_high,
    segments_high,
    created_ms,
    stalls,
    departures,
    remaps,
    recovering,
    recoveries,
    events,
    name_waiters,
    pool_waiters,
    segments,
    log,
    participants,
    names
});

/// Bytes of the registry segment; most of it stays unreserved until it is used.
pub(crate) const REGISTRY_BYTES: usize = size_of::<Registry>().next_multiple_of(65536);

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<WaiterMask>() == 24);
    assert!(size_of::<SegmentEntry>() == 32);
    assert!(size_of::<EventRecord>() == 152);
    assert!(size_of::<NameEntry>() == 128);
    assert!(size_of::<ParticipantSlot>() == 1280);
    assert!(offset_of!(ParticipantSlot, lanes) == 128);
    assert!(offset_of!(Registry, header) == 0);
    assert!(offset_of!(Registry, names) % 128 == 0);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_taken_is_noted_once_the_ledger_counts_more() {
        let taking = TakeIntent::from_bits(TakeIntent::new(0x1abc_def1, 7).bits());
        assert!(!taking.is_noted(0x1abc_def1, 7), "not yet");
        assert!(taking.is_noted(0x1abc_def1, 8));
        assert!(!taking.is_noted(0x1abc_def0, 8), "another message");
        assert!(!TakeIntent::from_bits(0).is_noted(0, 1), "nothing is being taken");
    }
}
