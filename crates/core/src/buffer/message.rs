//! A message in a buffer that this participant holds, for whoever keeps references by number.

use super::{Buffer, SharedBufferAllocator, not_held};
use crate::error::Result;
use crate::layout::{REDELIVERED, split_id};
use crate::pool::Content;
use crate::sync::Ordering;

/// A look at a message. It owns nothing: the reference it was made of has to be held as long as it is used.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub(crate) content: Content<'a>,
}

impl std::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({} bytes)", self.len())
    }
}

impl SharedBufferAllocator {
    /// Looks at the message in `buffer`, which this participant must hold.
    ///
    /// # Errors
    /// `NotHeld`.
    #[inline]
    pub fn message(&self, buffer: Buffer) -> Result<Message<'_>> {
        let (segment, index) = split_id(buffer.id);
        let slot = self.participant.slot;
        let pool = self.participant.held_pool(segment);
        let held = pool.filter(|pool| pool.is_data(index) && pool.holds(slot, index, buffer.received));
        let content = held.and_then(|pool| pool.content(buffer.id)).ok_or_else(|| not_held(buffer))?;
        Ok(Message { content })
    }
}

impl<'a> Message<'a> {
    /// Bytes in use.
    pub fn len(&self) -> usize {
        self.content.length()
    }

    /// Whether no bytes are in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that fit.
    pub fn capacity(&self) -> usize {
        self.content.capacity
    }

    /// Sets the bytes in use; cut to the capacity. For who holds the only reference, as all that changes a message is.
    pub fn set_len(&self, bytes: usize) {
        self.content.header.length.store(bytes.min(self.content.capacity) as u32, Ordering::Relaxed);
    }

    /// A number of the sender's own, carried along.
    pub fn sequence(&self) -> u64 {
        self.content.header.sequence.load(Ordering::Relaxed)
    }

    /// Sets [`Message::sequence`].
    pub fn set_sequence(&self, sequence: u64) {
        self.content.header.sequence.store(sequence, Ordering::Relaxed);
    }

    /// Time of the message, in the unit and from the origin that [`Message::timestamp_kind`] says.
    pub fn timestamp(&self) -> u64 {
        self.content.header.timestamp.load(Ordering::Relaxed)
    }

    /// What [`Message::timestamp`] is; 0: it has none.
    pub fn timestamp_kind(&self) -> u32 {
        self.content.header.timestamp_kind.load(Ordering::Relaxed) & !REDELIVERED
    }

    /// Sets time and kind of time, of which the highest bit is not used.
    pub fn set_timestamp(&self, kind: u32, timestamp: u64) {
        let word = &self.content.header.timestamp_kind;
        let redelivered = word.load(Ordering::Relaxed) & REDELIVERED;
        word.store(kind & !REDELIVERED | redelivered, Ordering::Relaxed);
        self.content.header.timestamp.store(timestamp, Ordering::Relaxed);
    }

    /// Number of the type of the message, 0: none.
    pub fn type_id(&self) -> u32 {
        self.content.header.type_id.load(Ordering::Relaxed)
    }

    /// Sets [`Message::type_id`].
    pub fn set_type_id(&self, type_id: u32) {
        self.content.header.type_id.store(type_id, Ordering::Relaxed);
    }

    /// Number of whoever made the message, of the sender's own, carried along.
    pub fn source(&self) -> u32 {
        self.content.header.source.load(Ordering::Relaxed)
    }

    /// Sets [`Message::source`].
    pub fn set_source(&self, source: u32) {
        self.content.header.source.store(source, Ordering::Relaxed);
    }

    /// A value of the sender's own, carried along.
    pub fn tag(&self) -> u64 {
        self.content.header.tag.load(Ordering::Relaxed)
    }

    /// Sets [`Message::tag`].
    pub fn set_tag(&self, tag: u64) {
        self.content.header.tag.store(tag, Ordering::Relaxed);
    }

    /// Where and when what the message was made of entered a flow, as the flow says it; 0: unknown.
    pub fn origin(&self) -> u64 {
        self.content.header.origin.load(Ordering::Relaxed)
    }

    /// Sets [`Message::origin`].
    pub fn set_origin(&self, origin: u64) {
        self.content.header.origin.store(origin, Ordering::Relaxed);
    }

    /// Whether it was sent on, or made of what was, by a block that got that as one that had been delivered before: who died with the first
    /// delivery may have sent the same already. What its own queue knows of it is in [`Received::attempt`](crate::Received::attempt).
    pub fn is_redelivered(&self) -> bool {
        self.content.header.timestamp_kind.load(Ordering::Relaxed) & REDELIVERED != 0
    }

    /// Says that it [is](Message::is_redelivered).
    pub fn set_redelivered(&self) {
        // Not a store: others may hold the buffer, too.
        self.content.header.timestamp_kind.fetch_or(REDELIVERED, Ordering::Relaxed);
    }

    /// Takes over all that is said about another message: origin, time, sequence number, tag, source, type, and whether it is redelivered.
    pub fn describe_as(&self, other: &Message<'_>) {
        self.set_origin(other.origin());
        self.set_timestamp(other.timestamp_kind(), other.timestamp());
        self.set_sequence(other.sequence());
        self.set_tag(other.tag());
        self.set_source(other.source());
        self.set_type_id(other.type_id());
        if other.is_redelivered() {
            self.set_redelivered();
        }
    }

    /// Whether this is the only reference to the buffer, in all processes. A message that shares its buffer with others never has the
    /// only one.
    pub fn is_only(&self) -> bool {
        // SYNC REFS: Acquire, pairs with the Release of whoever let go of the last other reference: what it did with the bytes is done.
        self.content.header.refs.load(Ordering::Acquire) == 1
    }

    /// The bytes in use.
    ///
    /// # Safety
    /// The reference is held, and no holder in any process writes to the buffer, as long as the slice lives.
    pub unsafe fn bytes(&self) -> &'a [u8] {
        // SAFETY: the payload is mapped as long as the reference is held and `length` is at most its capacity; the caller excludes writers.
        unsafe { core::slice::from_raw_parts(self.content.payload, self.content.length()) }
    }

    /// The whole buffer, for writing.
    ///
    /// # Safety
    /// It is the only reference to the buffer, in all processes, it is held, and no other slice of it is used, as long as this one lives.
    pub unsafe fn bytes_mut(&self) -> &'a mut [u8] {
        // SAFETY: the payload is mapped for `capacity` bytes as long as the reference is held; the caller excludes others.
        unsafe { core::slice::from_raw_parts_mut(self.content.payload, self.content.capacity) }
    }

    /// Copies `bytes` in, as many as fit, and sets the bytes in use. For who holds the only reference.
    pub fn fill(&self, bytes: &[u8]) {
        self.content.fill(bytes);
        self.set_len(bytes.len());
    }

    /// Copies the first bytes out, as many as `into` has; returns how many those are.
    pub fn copy_to(&self, into: &mut [u8]) -> usize {
        let bytes = into.len().min(self.len());
        self.content.copy_to(&mut into[..bytes]);
        bytes
    }
}
