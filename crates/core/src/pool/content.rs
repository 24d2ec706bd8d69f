//! Where messages are: whole buffers, and cells of buffers that small messages share.

use super::Pool;
use crate::layout::{BufferHeader, KIND_DATA, cell_id, cell_of, split_id};
use crate::limits::CELL_UNIT_BYTES;
use crate::sync::Ordering;

/// Where a message is: a buffer, or a cell of one.
#[derive(Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) header: &'a BufferHeader,
    pub(crate) payload: *mut u8,
    /// Bytes it has room for.
    pub(crate) capacity: usize,
}

impl Content<'_> {
    /// Cell `cell`, from 1 on, of a buffer of `bytes` bytes, with all the room that there could be; found without a look at it.
    ///
    /// # Safety
    /// `whole` is the first byte of a buffer that stays mapped as long as the result is used.
    #[inline]
    pub(crate) unsafe fn of_cell(whole: *mut u8, bytes: usize, cell: usize) -> Option<Self> {
        let at = (cell - 1) * CELL_UNIT_BYTES;
        let capacity = bytes.checked_sub(at + size_of::<BufferHeader>())?;
        // SAFETY: header and payload are within the buffer, as has just been checked.
        let header = unsafe { whole.add(at) };
        // SAFETY: likewise.
        let payload = unsafe { header.add(size_of::<BufferHeader>()) };
        // SAFETY: a header is as aligned as the units of a pack, it is made of atomics, and any bytes are a valid one.
        let header = unsafe { &*header.cast::<BufferHeader>() };
        Some(Self { header, payload, capacity })
    }

    /// A cell, with no more room than its header says.
    #[inline]
    pub(crate) fn limited(self) -> Self {
        // Untrusted: another holder may have written nonsense.
        let capacity = self.header.capacity.load(Ordering::Relaxed) as usize;
        Self { capacity: self.capacity.min(capacity), ..self }
    }

    /// Bytes in use, never more than it has.
    #[inline]
    pub(crate) fn length(&self) -> usize {
        // Untrusted: another holder may have written nonsense.
        (self.header.length.load(Ordering::Relaxed) as usize).min(self.capacity)
    }

    /// Fills in what the first holder of a new message finds.
    #[inline]
    fn prepare(&self, length: u32) {
        let header = self.header;
        // Relaxed throughout: nobody else knows the message; the ring slot that hands it over releases all of this.
        header.length.store(length, Ordering::Relaxed);
        header.source.store(0, Ordering::Relaxed);
        header.type_id.store(0, Ordering::Relaxed);
        header.timestamp_kind.store(0, Ordering::Relaxed);
        header.timestamp.store(0, Ordering::Relaxed);
        header.sequence.store(0, Ordering::Relaxed);
        header.tag.store(0, Ordering::Relaxed);
        header.origin.store(0, Ordering::Relaxed);
    }

    /// Copies `message` in, where nobody else can see; cut to the capacity.
    #[inline]
    pub(crate) fn fill(&self, message: &[u8]) {
        let bytes = message.len().min(self.capacity);
        // SAFETY: the payload is mapped for `capacity` bytes; it is shared memory, so no Rust object overlaps it.
        unsafe { core::ptr::copy_nonoverlapping(message.as_ptr(), self.payload, bytes) }
    }

    /// Copies the first bytes out, as many as `into` has.
    #[inline]
    pub(crate) fn copy_to(&self, into: &mut [u8]) {
        let bytes = into.len().min(self.capacity);
        // SAFETY: the payload is mapped for `capacity` bytes. A writer in another process makes the bytes meaningless, nothing else.
        unsafe { core::ptr::copy_nonoverlapping(self.payload, into.as_mut_ptr(), bytes) }
    }
}

impl Pool {
    /// Prepares a buffer that was just claimed, for the first holders of its `references`.
    #[inline]
    pub(crate) fn prepare(&self, index: usize, length: u32, references: u32) {
        let header = &self.headers[index];
        header.generation.store(header.generation.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        header.kind.store(KIND_DATA, Ordering::Relaxed);
        self.whole(index).prepare(length);
        // SYNC REFS (release), pairs with `try_ref` (acquire): who takes a reference in this life sees what ended the last one.
        header.refs.store(references, Ordering::Release);
    }

    /// Writes `message` into cell `cell` of the pack `id`, which nobody else can see, and returns its id. The
    /// cell has room for `capacity` bytes, within the pack.
    #[inline]
    pub(crate) fn write_cell(&self, id: u32, cell: usize, capacity: usize, message: &[u8]) -> u32 {
        let id = cell_id(id, cell);
        if let Some(content) = self.place(id) {
            content.header.capacity.store(capacity as u32, Ordering::Relaxed);
            content.prepare(message.len() as u32);
            content.fill(message);
        }
        id
    }

    /// The message `id`, if there can be such a one here.
    #[inline]
    pub(crate) fn content(&self, id: u32) -> Option<Content<'_>> {
        let content = self.place(id)?;
        Some(if cell_of(id) == 0 { content } else { content.limited() })
    }

    /// Whether there can be such a message here.
    #[inline]
    pub(crate) fn has(&self, id: u32) -> bool {
        let room = self.geometry.buffer_bytes / CELL_UNIT_BYTES;
        split_id(id).1 < self.geometry.count && cell_of(id) <= room
    }

    #[inline]
    fn whole(&self, index: usize) -> Content<'_> {
        Content {
            header: &self.headers[index],
            payload: self.payload(index),
            capacity: self.geometry.buffer_bytes,
        }
    }

    /// Where message `id` is, with all the room that there could be; found without a look at it.
    #[inline]
    fn place(&self, id: u32) -> Option<Content<'_>> {
        let (_, index) = split_id(id);
        if index >= self.geometry.count {
            return None;
        }
        match cell_of(id) {
            0 => Some(self.whole(index)),
            // SAFETY: the buffer exists, and stays mapped as long as the pool.
            cell => unsafe { Content::of_cell(self.payload(index), self.geometry.buffer_bytes, cell) },
        }
    }

    /// Asks for the lines of message `id` that its next user touches first.
    #[inline]
    pub(crate) fn prefetch(&self, id: u32) {
        let Some(Content { header, payload, .. }) = self.place(id) else { return };
        let header = (&raw const *header).cast();
        // The header of a buffer has its count of references, a cell is only read.
        if cell_of(id) == 0 {
            prefetch_for_write(header)
        } else {
            prefetch_for_read(header)
        }
        prefetch_for_read(payload);
    }

    /// Asks for the lines of buffer `id` that are written first.
    #[inline]
    pub(crate) fn prefetch_to_fill(&self, id: u32) {
        let Some(Content { header, payload, .. }) = self.place(id) else { return };
        prefetch_for_write((&raw const *header).cast());
        prefetch_for_write(payload);
    }
}

/// Asks for a cache line that will be read, without waiting for it. A hint: any address will do.
#[inline]
fn prefetch_for_read(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch never faults and changes nothing that a program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// The same for one that will be written.
#[inline]
pub(crate) fn prefetch_for_write(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: a prefetch never faults and changes nothing that a program can see.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(address.cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
