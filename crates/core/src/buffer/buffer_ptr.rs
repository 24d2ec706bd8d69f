//! BufferPtr: a counted reference to one buffer, released when dropped.

use super::{Buffer, not_held};
use crate::error::Result;
use crate::layout::{BufferHeader, split_id};
use crate::pool::Pool;
use crate::registry::Participant;
use crate::sync::Ordering;
use std::sync::Arc;

/// A counted reference to one buffer in shared memory.
///
/// Reading is safe as long as nobody writes: whoever shares a buffer (several references) must not write to it any more. That is a
/// contract between processes which no type can enforce, hence [`BufferPtr::bytes_mut`] is `unsafe`.
#[derive(Debug)]
pub struct BufferPtr {
    participant: Arc<Participant>,
    buffer: Buffer,
}

impl BufferPtr {
    /// Takes over a reference that the participant's ledger lists.
    pub(crate) fn adopt(participant: Arc<Participant>, buffer: Buffer) -> Result<Self> {
        let (segment, index) = split_id(buffer.id);
        let pool = participant.pool(segment)?.ok_or_else(|| not_held(buffer))?;
        pool.header(index).ok_or_else(|| not_held(buffer))?;
        Ok(Self { participant, buffer })
    }

    /// Gives the reference away without releasing it.
    pub(crate) fn into_buffer(self) -> Buffer {
        let buffer = self.buffer;
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: `this` is never used again and not dropped, so the Arc is dropped exactly once, here.
        drop(unsafe { std::ptr::read(&this.participant) });
        buffer
    }

    /// Buffer id: segment and index.
    pub fn id(&self) -> u32 {
        self.buffer.id
    }

    /// Bytes in use.
    pub fn len(&self) -> usize {
        // Untrusted: another holder may have written nonsense.
        (self.header().length.load(Ordering::Relaxed) as usize).min(self.capacity())
    }

    /// Whether no bytes are in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the bytes in use; cut to the capacity.
    pub fn set_len(&mut self, bytes: usize) {
        self.header().length.store(bytes.min(self.capacity()) as u32, Ordering::Relaxed);
    }

    /// Bytes that fit.
    pub fn capacity(&self) -> usize {
        self.pool().geometry.buffer_bytes
    }

    /// A number of the sender's own, carried along.
    pub fn sequence(&self) -> u64 {
        self.header().sequence.load(Ordering::Relaxed)
    }

    /// Sets [`BufferPtr::sequence`].
    pub fn set_sequence(&mut self, sequence: u64) {
        self.header().sequence.store(sequence, Ordering::Relaxed);
    }

    /// The bytes in use.
    ///
    /// # Safety
    /// No other holder, in any process, writes to the buffer while the slice lives.
    pub unsafe fn bytes(&self) -> &[u8] {
        let (_, index) = split_id(self.buffer.id);
        // SAFETY: the payload is mapped and `len` is at most its capacity; the caller excludes writers.
        unsafe { core::slice::from_raw_parts(self.pool().payload(index), self.len()) }
    }

    /// The whole buffer, for writing.
    ///
    /// # Safety
    /// This is the only reference to the buffer, in all processes.
    pub unsafe fn bytes_mut(&mut self) -> &mut [u8] {
        let (_, index) = split_id(self.buffer.id);
        // SAFETY: the payload is mapped for `capacity` bytes; the caller excludes other holders.
        unsafe { core::slice::from_raw_parts_mut(self.pool().payload(index), self.capacity()) }
    }

    fn pool(&self) -> &Pool {
        let pool = self.participant.domain.pool(split_id(self.buffer.id).0);
        pool.ok().flatten().expect("attached by `adopt`, and segments stay attached")
    }

    fn header(&self) -> &BufferHeader {
        self.pool().header(split_id(self.buffer.id).1).expect("checked by `adopt`")
    }
}

impl Drop for BufferPtr {
    fn drop(&mut self) {
        // A participant that has left has released everything already.
        let Ok(pin) = self.participant.pin() else { return };
        let freed = self.participant.release(self.buffer).unwrap_or(false);
        drop(pin);
        if freed {
            self.participant.wake_pool(1);
        }
    }
}
