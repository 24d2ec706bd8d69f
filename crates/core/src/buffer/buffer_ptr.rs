//! BufferPtr: a counted reference to one buffer, released when dropped.

use super::{Buffer, Settle, SharedBufferAllocator, not_held};
use crate::error::Result;
use crate::layout::{BufferHeader, split_id};
use crate::pool::Content;
use crate::registry::Participant;
use crate::sync::Ordering;
use std::sync::{Arc, OnceLock};

/// A counted reference to one buffer in shared memory.
///
/// Reading is safe as long as nobody writes: whoever shares a buffer (several references) must not write to it any more. That is a
/// contract between processes which no type can enforce, hence [`BufferPtr::bytes_mut`] is `unsafe`.
pub struct BufferPtr {
    participant: Arc<Participant>,
    buffer: Buffer,
    lease: Option<Lease>,
}

/// Where a leased message came from.
struct Lease {
    queue: Arc<dyn Settle>,
    entry: u32,
    attempt: u32,
}

impl std::fmt::Debug for BufferPtr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BufferPtr({}, {} bytes)", self.buffer.id, self.len())
    }
}

impl BufferPtr {
    /// Takes over the reference to buffer `id` that its allocation has just put into the participant's ledger.
    pub(super) fn allocated(participant: Arc<Participant>, id: u32) -> Self {
        Self { participant, buffer: Buffer { id, received: false }, lease: None }
    }

    /// Takes over a reference that the participant's ledger lists.
    pub(crate) fn adopt(participant: Arc<Participant>, buffer: Buffer) -> Result<Self> {
        let pool = participant.held_pool(split_id(buffer.id).0).ok_or_else(|| not_held(buffer))?;
        pool.content(buffer.id).ok_or_else(|| not_held(buffer))?;
        Ok(Self { participant, buffer, lease: None })
    }

    /// Says that the reference is a message leased from `queue`: dropping it acknowledges.
    pub(crate) fn lease(&mut self, queue: Arc<dyn Settle>, entry: u32, attempt: u32) {
        self.lease = Some(Lease { queue, entry, attempt });
    }

    /// The reference by number.
    pub(crate) fn buffer(&self) -> Buffer {
        self.buffer
    }

    /// Whether dropping it acknowledges a delivery.
    pub(crate) fn is_leased(&self) -> bool {
        self.lease.is_some()
    }

    /// It was sent: the reference is the queue's or, of a leased one, a further reference is, so this acknowledges and releases.
    pub(crate) fn sent(self) {
        if !self.is_leased() {
            self.moved();
        }
    }

    /// The reference now belongs to a queue.
    fn moved(self) {
        debug_assert!(self.lease.is_none(), "a lease stays with its reference");
        let mut this = std::mem::ManuallyDrop::new(self);
        // SAFETY: `this` is never used again and not dropped, so its parts are dropped exactly once, here.
        unsafe { std::ptr::drop_in_place(&raw mut this.participant) };
    }

    fn settle(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.queue.ack(lease.entry, self.buffer.id);
        }
    }

    /// Gives a leased message back: it is delivered again, first in line. Any other buffer is just released.
    ///
    /// # Errors
    /// `NotHeld` when the queue has been destroyed meanwhile (the buffer is released).
    pub fn nack(mut self) -> Result<()> {
        let Some(lease) = self.lease.take() else { return Ok(()) };
        lease.queue.nack(lease.entry, self.buffer.id)?;
        self.moved();
        Ok(())
    }

    /// Which delivery of a leased message it is, from 1.
    pub fn attempt(&self) -> u32 {
        self.lease.as_ref().map_or(1, |lease| lease.attempt)
    }

    /// Buffer id: segment, index and, of a message that shares its buffer with others, the cell.
    pub fn id(&self) -> u32 {
        self.buffer.id
    }

    /// Bytes in use.
    pub fn len(&self) -> usize {
        self.content().map_or(0, |content| content.length())
    }

    /// Whether no bytes are in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the bytes in use; cut to the capacity.
    pub fn set_len(&mut self, bytes: usize) {
        if self.participant.has_left() {
            return; // the buffer is somebody else's by now
        }
        if let Some(content) = self.content() {
            content.header.length.store(bytes.min(content.capacity) as u32, Ordering::Relaxed);
        }
    }

    /// Bytes that fit.
    pub fn capacity(&self) -> usize {
        self.content().map_or(0, |content| content.capacity)
    }

    /// A number of the sender's own, carried along.
    pub fn sequence(&self) -> u64 {
        self.content().map_or(0, |content| content.header.sequence.load(Ordering::Relaxed))
    }

    /// Sets [`BufferPtr::sequence`].
    pub fn set_sequence(&mut self, sequence: u64) {
        if self.participant.has_left() {
            return;
        }
        if let Some(content) = self.content() {
            content.header.sequence.store(sequence, Ordering::Relaxed);
        }
    }

    /// The bytes in use.
    ///
    /// # Safety
    /// No other holder, in any process, writes to the buffer while the slice lives.
    pub unsafe fn bytes(&self) -> &[u8] {
        let Some(content) = self.content() else { return &[] };
        // SAFETY: the payload is mapped and `length` is at most its capacity; the caller excludes writers.
        unsafe { core::slice::from_raw_parts(content.payload, content.length()) }
    }

    /// The whole buffer, for writing.
    ///
    /// # Safety
    /// This is the only reference to the buffer, in all processes, and its manager is open.
    pub unsafe fn bytes_mut(&mut self) -> &mut [u8] {
        let Some(Content { payload, capacity, .. }) = self.content() else { return &mut [] };
        // SAFETY: the payload is mapped for `capacity` bytes; the caller excludes other holders.
        unsafe { core::slice::from_raw_parts_mut(payload, capacity) }
    }

    /// The header of the message.
    pub(crate) fn header(&self) -> &BufferHeader {
        static NOWHERE: OnceLock<BufferHeader> = OnceLock::new();
        self.content().map_or_else(|| NOWHERE.get_or_init(BufferHeader::default), |content| content.header)
    }

    /// Whether the participant has left: then the buffer is somebody else's by now.
    pub(crate) fn has_left(&self) -> bool {
        self.participant.has_left()
    }

    /// A further reference to the same buffer. Whoever shares a buffer must not write to it any more. Of a leased message it is a
    /// reference of this participant's own, which acknowledges nothing.
    ///
    /// # Errors
    /// `Closed` when the manager has been closed; `Limit` when there are too many references here.
    pub fn share(&self) -> Result<Self> {
        let allocator = SharedBufferAllocator { participant: Arc::clone(&self.participant) };
        Self::adopt(Arc::clone(&self.participant), allocator.share(self.buffer)?)
    }

    /// Where it is. Checked by `adopt`, and it stays as long as it is held; `None`: whoever has damaged our ledger has made it go.
    fn content(&self) -> Option<Content<'_>> {
        self.participant.held_pool(split_id(self.buffer.id).0)?.content(self.buffer.id)
    }
}

impl Drop for BufferPtr {
    fn drop(&mut self) {
        self.settle();
        // A participant that has left has released everything already.
        let _ = self.participant.let_go(self.buffer);
    }
}
