//! Pool segments: a bitmap that says which buffers are allocated, a 64-byte header per buffer, one ledger row per participant.
//!
//! A buffer can be a *pack* of small messages, its *cells*: each begins at a multiple of 128 bytes with a header of its own, the
//! payload follows. The id of a message in a cell names the cell, too. A pack has the references of all its messages, and is
//! allocated, held and freed as the one buffer it is.
//!
//! ```text
//! id    28       20 19    14 13     0
//!       | cell    | segment | index  |      cell 0: the whole buffer; n: the cell that begins at byte 128 (n - 1)
//! ```

use super::{SegmentHeader, shared};
use crate::limits::{
    CELL_BITS, CELL_UNIT_BYTES, INDEX_BITS, MAX_BUFFERS_PER_SEGMENT, MAX_PARTICIPANTS, MAX_SEGMENTS,
    SEGMENT_BITS,
};
use crate::sync::{AtomicU32, AtomicU64};
use core::mem::size_of;

/// Where the cell is in an id.
const CELL_SHIFT: u32 = SEGMENT_BITS + INDEX_BITS;
const WHOLE_MASK: u32 = (1 << CELL_SHIFT) - 1;
/// Bits of an id altogether.
pub(crate) const ID_BITS: u32 = CELL_SHIFT + CELL_BITS;
/// The highest cell.
pub(crate) const CELLS_MAX: usize = (1 << CELL_BITS) - 1;

/// In `timestamp_kind`: it was sent on, or made of what was, by who got that as one that had been delivered before.
pub(crate) const REDELIVERED: u32 = 1 << 31;

/// An ordinary buffer.
pub(crate) const KIND_DATA: u32 = 0;
/// A buffer that holds the ring of a queue.
pub(crate) const KIND_RING: u32 = 1;

/// First page of a pool segment. Geometry is written before the segment is ready and never again; an attacher
/// recomputes it from `count` and `buffer_bytes` and believes nothing else.
#[repr(C)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct PoolHeader {
    pub(crate) header: SegmentHeader,
    pub(crate) buffer_bytes: AtomicU64,
    pub(crate) count: AtomicU32,
    _reserved: AtomicU32,
    /// Bit p: ledger row p has its pages and may be read. Set by participant p after it reserved them.
    pub(crate) rows_ready: [AtomicU64; MAX_PARTICIPANTS / 64],
    /// Most buffers in use that anybody has seen; sampled when an allocator moves on to another bitmap word.
    pub(crate) high_water: AtomicU32,
}
shared!(PoolHeader { header, buffer_bytes, count, _reserved, rows_ready, high_water });

/// What is known of one buffer, apart from its payload.
///
/// `refs` = sum of all ledger counts + slots of queues that carry the buffer (+ 1 while the name table names it as a ring). It is
/// only a cache of that sum, rebuilt by recovery. The other fields belong to whoever holds the buffer alone. A cell has no `refs`, no
/// `generation` and no `kind`: those of its pack count.
#[repr(C, align(64))]
#[derive(Default)]
pub(crate) struct BufferHeader {
    pub(crate) refs: AtomicU32,
    /// Raised by each allocation.
    pub(crate) generation: AtomicU32,
    /// Bytes of payload in use.
    pub(crate) length: AtomicU32,
    /// Of a cell: bytes it has room for. Written by the allocator of its pack.
    pub(crate) capacity: AtomicU32,
    pub(crate) timestamp: AtomicU64,
    pub(crate) sequence: AtomicU64,
    pub(crate) tag: AtomicU64,
    pub(crate) source: AtomicU32,
    pub(crate) type_id: AtomicU32,
    /// What the timestamp is, below REDELIVERED.
    pub(crate) timestamp_kind: AtomicU32,
    /// DATA or RING. Written by the allocator before anybody else can see the buffer.
    pub(crate) kind: AtomicU32,
    /// Where and when what the message was made of entered a flow; 0: unknown. Handed on from message to message.
    pub(crate) origin: AtomicU64,
}
shared!(BufferHeader {
    refs,
    generation,
    length,
    capacity,
    timestamp,
    sequence,
    tag,
    source,
    type_id,
    timestamp_kind,
    kind,
    origin
});

/// Where the tables of a pool segment are: a pure function of buffer size, count and page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolGeometry {
    pub(crate) buffer_bytes: usize,
    pub(crate) count: usize,
    pub(crate) bitmap: usize,
    pub(crate) headers: usize,
    pub(crate) ledger: usize,
    /// Bytes from one participant's ledger row to the next; a multiple of the page size, so rows are reserved one by one.
    pub(crate) row_bytes: usize,
    pub(crate) payload: usize,
    pub(crate) bytes: usize,
}

impl PoolGeometry {
    /// The layout of `count` buffers of `buffer_bytes`, or `None` when that is out of range.
    pub(crate) fn new(buffer_bytes: usize, count: usize, page_bytes: usize) -> Option<Self> {
        if count == 0 || count > MAX_BUFFERS_PER_SEGMENT || !page_bytes.is_power_of_two() {
            return None;
        }
        let is_in_range =
            (crate::limits::MIN_BUFFER_BYTES..=crate::limits::MAX_BUFFER_BYTES).contains(&buffer_bytes);
        // Headers of rings and of cells lie in buffers.
        if !is_in_range || !buffer_bytes.is_multiple_of(CELL_UNIT_BYTES) {
            return None;
        }
        let bitmap = page_bytes.max(size_of::<PoolHeader>());
        let headers = (bitmap + count.div_ceil(64) * 8).next_multiple_of(64);
        let ledger = (headers + count * size_of::<BufferHeader>()).next_multiple_of(page_bytes);
        let row_bytes = (count * size_of::<AtomicU32>()).next_multiple_of(page_bytes);
        let payload = ledger + row_bytes * MAX_PARTICIPANTS;
        let bytes = payload.checked_add(buffer_bytes.checked_mul(count)?)?.next_multiple_of(page_bytes);
        (bytes <= crate::limits::MAX_SEGMENT_BYTES).then_some(Self {
            buffer_bytes,
            count,
            bitmap,
            headers,
            ledger,
            row_bytes,
            payload,
            bytes,
        })
    }
}

/// The id of buffer `index` in segment `segment`.
pub(crate) const fn buffer_id(segment: usize, index: usize) -> u32 {
    debug_assert!(segment < MAX_SEGMENTS && index < MAX_BUFFERS_PER_SEGMENT);
    (segment << INDEX_BITS | index) as u32
}

/// The id of the message in cell `cell` of the pack `id`.
pub(crate) const fn cell_id(id: u32, cell: usize) -> u32 {
    id & WHOLE_MASK | (cell as u32) << CELL_SHIFT
}

/// The cell an id names; 0: the whole buffer.
pub(crate) const fn cell_of(id: u32) -> usize {
    (id >> CELL_SHIFT) as usize & CELLS_MAX
}

/// The buffer that an id, of a cell or not, is about.
pub(crate) const fn whole_id(id: u32) -> u32 {
    id & WHOLE_MASK
}

/// Units of a pack that a message of `bytes` bytes takes.
pub(crate) const fn cell_units(bytes: usize) -> usize {
    (size_of::<BufferHeader>() + bytes).div_ceil(CELL_UNIT_BYTES)
}

/// Bytes that a cell of `units` units has room for.
pub(crate) const fn cell_capacity(units: usize) -> usize {
    units * CELL_UNIT_BYTES - size_of::<BufferHeader>()
}

/// The segment and index an id names. Both are within their tables' sizes whatever the id; whether such a segment and
/// buffer exist is for the caller to check.
pub(crate) const fn split_id(id: u32) -> (usize, usize) {
    ((id >> INDEX_BITS) as usize & (MAX_SEGMENTS - 1), id as usize & (MAX_BUFFERS_PER_SEGMENT - 1))
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<BufferHeader>() == 64);
    assert!(offset_of!(BufferHeader, length) == 8);
    assert!(offset_of!(BufferHeader, capacity) == 12);
    assert!(offset_of!(BufferHeader, timestamp) == 16);
    assert!(offset_of!(BufferHeader, tag) == 32);
    assert!(offset_of!(BufferHeader, timestamp_kind) == 48);
    assert!(offset_of!(BufferHeader, kind) == 52);
    assert!(offset_of!(BufferHeader, origin) == 56);
    assert!(size_of::<PoolHeader>() <= 4096);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometry_is_aligned_and_bounded() {
        let g = PoolGeometry::new(1 << 20, 3, 4096).unwrap();
        assert_eq!(g.payload % 4096, 0);
        assert_eq!(g.row_bytes, 4096);
        assert_eq!(g.bytes, g.payload + (3 << 20));
        assert_eq!(PoolGeometry::new(1 << 20, 0, 4096), None);
        assert_eq!(PoolGeometry::new(1 << 20, 2048, 4096), None, "2 GiB is too large");
        assert_eq!(PoolGeometry::new(usize::MAX, 1, 4096), None);
        assert_eq!(PoolGeometry::new((1 << 20) - 8, 3, 4096), None, "the second buffer is not aligned");
    }

    #[test]
    fn ids_split_into_what_made_them() {
        assert_eq!(split_id(buffer_id(63, 16383)), (63, 16383));
        assert_eq!(split_id(u32::MAX), (63, 16383));
        let id = cell_id(buffer_id(63, 16383), 511);
        assert_eq!((split_id(id), cell_of(id), whole_id(id)), ((63, 16383), 511, buffer_id(63, 16383)));
        assert_eq!((cell_units(0), cell_units(64), cell_units(65)), (1, 1, 2));
    }
}
