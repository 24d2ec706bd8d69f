//! What a language binding needs to cut views of its own: addresses, geometry and the offsets of the header fields.

use crate::layout::{BufferHeader, FACTS, LAYOUT_HASH, cell_of, split_id};
use crate::pool::{Content, Pool};
use crate::segment::Segment;
use crate::sync::AtomicU32;
use core::mem::offset_of;
use std::sync::Arc;

/// A pool segment as a binding sees it. Keeps the memory mapped as long as it lives.
#[derive(Clone, Debug)]
pub struct SegmentView {
    segment: Arc<Segment>,
    /// First byte of buffer 0's payload.
    pub payload: *mut u8,
    /// First byte of buffer 0's header.
    pub headers: *mut u8,
    /// Which of the segments that have been at its index it is: another number, another segment.
    pub generation: u32,
    /// Buffers in the segment.
    pub count: usize,
    /// Bytes from one payload to the next: the capacity of each buffer.
    pub stride: usize,
}

// SAFETY: addresses of shared memory that stays mapped as long as the view lives; whoever uses them upholds the rest.
unsafe impl Send for SegmentView {}
// SAFETY: as above; nothing changes through a shared reference.
unsafe impl Sync for SegmentView {}

/// Byte offsets of the fields of a buffer header that a binding may touch.
pub mod header_field {
    use super::{BufferHeader, offset_of};

    /// Bytes of one header.
    pub const BYTES: usize = size_of::<BufferHeader>();
    /// u32, read only: references to the buffer, more for a moment while somebody peeks.
    pub const REFS: usize = offset_of!(BufferHeader, refs);
    /// u32, read only: raised by each allocation.
    pub const GENERATION: usize = offset_of!(BufferHeader, generation);
    /// u32: bytes in use.
    pub const LENGTH: usize = offset_of!(BufferHeader, length);
    /// u64: ns, see the kind.
    pub const TIMESTAMP: usize = offset_of!(BufferHeader, timestamp);
    /// u64: the sender's own number.
    pub const SEQUENCE: usize = offset_of!(BufferHeader, sequence);
    /// u64: the user's.
    pub const TAG: usize = offset_of!(BufferHeader, tag);
    /// u32: who made it.
    pub const SOURCE: usize = offset_of!(BufferHeader, source);
    /// u32: number of the message type.
    pub const TYPE_ID: usize = offset_of!(BufferHeader, type_id);
    /// u32: 0 none, 1 absolute, 2 relative, 3 sample index.
    pub const TIMESTAMP_KIND: usize = offset_of!(BufferHeader, timestamp_kind);
    /// The bit of the kind of the timestamp that stands for [`Message::is_redelivered`](crate::Message::is_redelivered).
    pub const REDELIVERED: u32 = crate::layout::REDELIVERED;
    /// u32, read only, of a message that shares its buffer: bytes it has room for.
    pub const CAPACITY: usize = offset_of!(BufferHeader, capacity);
}

/// Every size and offset of the shared layout by name, and the hash over them: processes with the same hash can share a domain.
pub fn layout_facts() -> (&'static [(&'static str, usize)], u64) {
    (FACTS, LAYOUT_HASH)
}

impl SegmentView {
    pub(crate) fn new(pool: &Pool) -> Self {
        let geometry = pool.geometry;
        let segment = Arc::clone(pool.segment());
        // SAFETY: the geometry was checked against the mapping.
        let headers = unsafe { segment.start().add(geometry.headers) };
        Self {
            headers,
            generation: pool.generation,
            payload: pool.payload(0),
            count: geometry.count,
            stride: geometry.buffer_bytes,
            segment,
        }
    }

    /// First byte of message `id`, and the bytes it has room for. `None`: no such message here, whatever segment `id` names.
    pub fn content(&self, id: u32) -> Option<(*mut u8, usize)> {
        self.place(id).map(|content| (content.payload, content.capacity))
    }

    /// The words of the header of message `id`; see [`header_field`]. `None` as of [`SegmentView::content`].
    pub fn header(&self, id: u32) -> Option<&[AtomicU32; header_field::BYTES / size_of::<AtomicU32>()]> {
        // SAFETY: a header consists of words that are accessed by atomics only, and stays mapped as long as this view.
        self.place(id).map(|content| unsafe { &*std::ptr::from_ref(content.header).cast() })
    }

    /// Copies the first bytes of message `id` into `into`, which has no more than there is room for. `None` as of
    /// [`SegmentView::content`].
    pub fn read(&self, id: u32, into: &mut [u8]) -> Option<()> {
        self.place(id).map(|content| content.copy_to(into))
    }

    /// Copies `bytes` into message `id`, as many as there is room for. `None` as of [`SegmentView::content`].
    pub fn write(&self, id: u32, bytes: &[u8]) -> Option<()> {
        self.place(id).map(|content| content.fill(bytes))
    }

    fn place(&self, id: u32) -> Option<Content<'_>> {
        let (_, index) = split_id(id);
        if index >= self.count {
            return None;
        }
        // SAFETY: the index was checked, so the payload lies in the mapping.
        let payload = unsafe { self.payload.add(index * self.stride) };
        let cell = cell_of(id);
        if cell != 0 {
            // SAFETY: the segment stays mapped as long as this view.
            return unsafe { Content::of_cell(payload, self.stride, cell) }.map(Content::limited);
        }
        // SAFETY: as of the payload.
        let header = unsafe { self.headers.add(index * header_field::BYTES) };
        // SAFETY: it is made of atomics, any bytes are a valid one, and it stays mapped as long as this view.
        let header = unsafe { &*header.cast::<BufferHeader>() };
        Some(Content { header, payload, capacity: self.stride })
    }

    /// Bytes of all payloads together.
    pub fn payload_bytes(&self) -> usize {
        self.count * self.stride
    }

    /// Replaces the mapping by private zero pages: whoever still has an address of it reads zeros from now on, and the shared memory
    /// is let go. For a binding whose language keeps addresses that cannot be revoked.
    ///
    /// # Safety
    /// No reference into this segment is in use or will be used for anything but plain reads and writes of bytes; the participant has
    /// left its domain.
    pub unsafe fn retire(&self) {
        self.segment.retire();
    }
}
