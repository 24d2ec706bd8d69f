//! What lies where in shared memory: pictures, `repr(C)` structs and compile-time asserts.
//!
//! A domain is one *registry* segment and up to 64 *pool* segments, each a shared memory object that starts with a
//! [`SegmentHeader`]. Rings of queues are buffers of the pool. Only fixed-width integers live here: offsets and
//! indices, never pointers, `usize`, `bool` or Rust enums.
//!
//! ```text
//! registry   | header 4 KiB | segment table | log | participants 128 x 1280 B | names 4096 x 128 B |
//! pool n     | header 4 KiB | bitmap | buffer headers 64 B each | ledger rows 128 x count | payloads |
//! ring       | RingHeader 1152 B | slots 8 B each |      (the payload of one buffer whose kind is RING)
//! ```

mod buffer;
mod queue;
mod registry;
mod shared;
mod text;

pub(crate) use buffer::{
    BufferHeader, CELLS_MAX, KIND_DATA, KIND_RING, PoolGeometry, PoolHeader, REDELIVERED, buffer_id,
    cell_capacity, cell_id, cell_of, cell_units, split_id, whole_id,
};
pub(crate) use queue::{
    CLOSES_BEGUN, CLOSES_LATER, LeaseEntry, LeaseState, LeaseWord, ParticipantSet, RING_CLOSED,
    RING_DESTROYED, RING_OPEN, RING_REPLACED, RingHeader, Slot, SlotState, leases_offset, ring_bytes,
};
pub(crate) use registry::{
    EVENT_CLOSED, EVENT_DIED, EVENT_EXITED, EVENT_EXITED_SOMEHOW, EVENT_JOINED, EventRecord, Lane,
    NAME_CLAIMED, NAME_FREE, NAME_LIVE, NameEntry, PARTICIPANT_ACTIVE, PARTICIPANT_FREE, PARTICIPANT_LEAVING,
    ParticipantSlot, RECOVERER_UNKNOWN, RECOVERING_FOR_GOOD, REGISTRY_BYTES, Registry, SEGMENT_EMPTY,
    SEGMENT_READY, SEGMENT_UNLISTED, SegmentEntry, TOLD_EPOCH_SHIFT, TOLD_JOINED, TOLD_LEFT, TakeIntent,
    WaiterMask,
};
pub(crate) use shared::{Shared, shared};
pub(crate) use text::Text;

use crate::sync::{AtomicU32, AtomicU64};
use core::mem::{offset_of, size_of};

/// "MILLRACE" in ASCII, the first word of every segment.
pub(crate) const MAGIC: u64 = u64::from_be_bytes(*b"MILLRACE");

/// The first cache line of every segment, in every layout that there was or will be: processes with another layout read it.
#[repr(C, align(64))]
#[cfg_attr(test, derive(Default))]
pub(crate) struct SegmentHeader {
    /// [`MAGIC`]. Written by the creator before `ready`.
    pub(crate) magic: AtomicU64,
    /// [`LAYOUT_HASH`] once the segment is complete, 0 before: stored last, with Release, so it is the ready flag
    /// and the version word at once. A creator that dies leaves 0, and the next creator starts over.
    pub(crate) ready: AtomicU64,
    /// Size of the segment in bytes.
    pub(crate) bytes: AtomicU64,
    /// Page size of the creator, for which the tables are aligned.
    pub(crate) page_bytes: AtomicU64,
    /// Version of the package that made the segment.
    pub(crate) version: Text<3>,
    /// Of the registry: 1 = the domain outlives its last participant.
    pub(crate) persist: AtomicU32,
    _reserved: AtomicU32,
}
shared!(SegmentHeader { magic, ready, bytes, page_bytes, version, persist, _reserved });

/// Every size, offset and limit that another process relies on.
pub(crate) const FACTS: &[(&str, usize)] = &[
    // Raised when the meaning of something changes without any number below changing.
    ("protocol revision", 5),
    ("SegmentHeader", size_of::<SegmentHeader>()),
    ("SegmentHeader.ready", offset_of!(SegmentHeader, ready)),
    ("SegmentHeader.version", offset_of!(SegmentHeader, version)),
    ("SegmentHeader.persist", offset_of!(SegmentHeader, persist)),
    ("Registry", REGISTRY_BYTES),
    ("Registry.remaps", offset_of!(Registry, remaps)),
    ("Registry.recovering", offset_of!(Registry, recovering)),
    ("Registry.departures", offset_of!(Registry, departures)),
    ("Registry.name_waiters", offset_of!(Registry, name_waiters)),
    ("Registry.pool_waiters", offset_of!(Registry, pool_waiters)),
    ("Registry.segments", offset_of!(Registry, segments)),
    ("Registry.events", offset_of!(Registry, events)),
    ("Registry.log", offset_of!(Registry, log)),
    ("Registry.participants", offset_of!(Registry, participants)),
    ("Registry.names", offset_of!(Registry, names)),
    ("ParticipantSlot", size_of::<ParticipantSlot>()),
    ("ParticipantSlot.attached", offset_of!(ParticipantSlot, attached)),
    ("ParticipantSlot.told", offset_of!(ParticipantSlot, told)),
    ("ParticipantSlot.lanes", offset_of!(ParticipantSlot, lanes)),
    ("Lane.taking", offset_of!(Lane, taking)),
    ("ParticipantSlot.wake", offset_of!(ParticipantSlot, wake)),
    ("Lane.sent", offset_of!(Lane, sent)),
    ("NameEntry", size_of::<NameEntry>()),
    ("NameEntry.ring", offset_of!(NameEntry, ring)),
    ("NameEntry.kind", offset_of!(NameEntry, kind)),
    ("NameEntry.label", offset_of!(NameEntry, label)),
    ("SegmentEntry", size_of::<SegmentEntry>()),
    ("SegmentEntry.generation", offset_of!(SegmentEntry, generation)),
    ("EventRecord", size_of::<EventRecord>()),
    ("EventRecord.name", offset_of!(EventRecord, name)),
    ("PoolHeader", size_of::<PoolHeader>()),
    ("PoolHeader.rows_ready", offset_of!(PoolHeader, rows_ready)),
    ("BufferHeader", size_of::<BufferHeader>()),
    ("BufferHeader.refs", offset_of!(BufferHeader, refs)),
    ("BufferHeader.length", offset_of!(BufferHeader, length)),
    ("BufferHeader.timestamp", offset_of!(BufferHeader, timestamp)),
    ("BufferHeader.kind", offset_of!(BufferHeader, kind)),
    ("BufferHeader.capacity", offset_of!(BufferHeader, capacity)),
    ("BufferHeader.origin", offset_of!(BufferHeader, origin)),
    ("CELL_UNIT_BYTES", crate::limits::CELL_UNIT_BYTES),
    ("RingHeader", size_of::<RingHeader>()),
    ("RingHeader.state", offset_of!(RingHeader, state)),
    ("RingHeader.closes", offset_of!(RingHeader, closes)),
    ("RingHeader.sending", offset_of!(RingHeader, sending)),
    ("RingHeader.receiving", offset_of!(RingHeader, receiving)),
    ("RingHeader.named", offset_of!(RingHeader, named)),
    ("RingHeader.successor", offset_of!(RingHeader, successor)),
    ("RingHeader.looked", offset_of!(RingHeader, looked)),
    ("RingHeader.head", offset_of!(RingHeader, head)),
    ("RingHeader.tail", offset_of!(RingHeader, tail)),
    ("RingHeader.data_waiters", offset_of!(RingHeader, data_waiters)),
    ("RingHeader.space_waiters", offset_of!(RingHeader, space_waiters)),
    ("RingHeader.dropped", offset_of!(RingHeader, dropped)),
    ("RingHeader.missed", offset_of!(RingHeader, missed)),
    ("RingHeader.limit", offset_of!(RingHeader, limit)),
    ("RingHeader.settled", offset_of!(RingHeader, settled)),
    ("RingHeader.given_back", offset_of!(RingHeader, given_back)),
    ("RingHeader.retaken", offset_of!(RingHeader, retaken)),
    ("RingHeader.history", offset_of!(RingHeader, history)),
    ("RingHeader.start", offset_of!(RingHeader, start)),
    ("RingHeader.subscriptions", offset_of!(RingHeader, subscriptions)),
    ("RingHeader.published", offset_of!(RingHeader, published)),
    ("RingHeader.attached", offset_of!(RingHeader, attached)),
    ("LeaseEntry", size_of::<LeaseEntry>()),
    ("Slot owner shift", queue::SLOT_OWNER_SHIFT as usize),
    ("Slot state shift", queue::SLOT_STATE_SHIFT as usize),
    ("Slot cycle shift", queue::SLOT_CYCLE_SHIFT as usize),
    ("MAX_PARTICIPANTS", crate::limits::MAX_PARTICIPANTS),
    ("MAX_QUEUES", crate::limits::MAX_QUEUES),
    ("MAX_SEGMENTS", crate::limits::MAX_SEGMENTS),
    ("INDEX_BITS", crate::limits::INDEX_BITS as usize),
    ("LANES", crate::limits::LANES),
    ("big endian", cfg!(target_endian = "big") as usize),
];

/// Hash over [`FACTS`]. Two builds with the same hash can share a domain.
pub(crate) const LAYOUT_HASH: u64 = {
    // FNV-1a, 64 bit.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut i = 0;
    while i < FACTS.len() {
        hash = (hash ^ FACTS[i].1 as u64).wrapping_mul(0x0100_0000_01b3);
        i += 1;
    }
    hash | 1 // never 0, which means "not ready"
};

#[cfg(not(loom))]
const _: () = assert!(size_of::<SegmentHeader>() == 64);
