//! SharedBufferAllocator: finds a buffer of the right size class, and takes buffers back.

use super::growth::Growth;
use super::size_class::class_of;
use super::{BufferPtr, not_held, too_many_references};
use crate::error::Result;
use crate::fault::{self, Point};
use crate::layout::{cell_of, split_id, whole_id};
use crate::limits::BATCH_MAX;
use crate::pool::Freed;
use crate::registry::{Participant, Pin};
use std::sync::Arc;

/// A reference to a buffer, by number: what travels between this crate and a binding that does its own bookkeeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Buffer id: index in the lower 14 bits, segment in 6, and in the 9 above the cell of a message that shares its buffer with others.
    pub id: u32,
    /// Whether the reference was received from a queue (else: allocated or shared here).
    pub received: bool,
}

impl Buffer {
    /// Whether it is another reference to the same buffer, or to another cell of it.
    #[inline]
    fn is_like(self, other: Self) -> bool {
        whole_id(self.id) == whole_id(other.id) && self.received == other.received
    }
}

/// Allocates and releases buffers on behalf of one participant.
#[derive(Clone, Debug)]
pub struct SharedBufferAllocator {
    pub(crate) participant: Arc<Participant>,
}

impl SharedBufferAllocator {
    /// A buffer of `bytes` bytes (0 allowed), zeroed or not as its last user left it.
    ///
    /// # Errors
    /// `Exhausted` when the budget is used up, `NoSpace` when the machine's shared memory is (see [`SharedBufferAllocator::exhausted`]);
    /// `TooLarge`, `Closed`, `Corrupt`.
    pub fn allocate(&self, bytes: usize) -> Result<BufferPtr> {
        self.try_allocate(bytes)?.ok_or_else(|| self.exhausted(bytes))
    }

    /// As [`SharedBufferAllocator::allocate`]; `None`: exhausted. For whoever waits then, or goes without: it costs no explanation.
    ///
    /// # Errors
    /// `TooLarge`, `Closed`, `Corrupt`.
    pub fn try_allocate(&self, bytes: usize) -> Result<Option<BufferPtr>> {
        let mut ids = [0];
        let got = self.allocate_ids(bytes, &mut ids)?;
        Ok((got > 0).then(|| BufferPtr::allocated(Arc::clone(&self.participant), ids[0])))
    }

    /// Allocates up to `ids.len()` (at most 256) buffers of `bytes` bytes; returns how many. 0: exhausted, be it the budget or the
    /// memory of the machine. What was allocated before a failure is returned as if that had not been asked for.
    ///
    /// # Errors
    /// `TooLarge`, `Closed`, `Corrupt`; nothing is allocated then.
    pub fn allocate_ids(&self, bytes: usize, ids: &mut [u32]) -> Result<usize> {
        let wanted = ids.len().min(BATCH_MAX);
        let ids = &mut ids[..wanted];
        let adopt = |ids: &[u32], _: &Pin<'_>| {
            for id in ids {
                let (segment, index) = split_id(*id);
                // Claimed from it just now, so attached.
                let Some(pool) = self.participant.pool(segment)? else { continue };
                pool.prepare(index, bytes as u32, 1);
                pool.ledger_add(self.participant.slot, index, false);
                fault::hit(Point::AllocAdopted);
            }
            Ok(ids.len())
        };
        Ok(self.with_claimed(bytes, ids, adopt)?.unwrap_or(0))
    }

    /// Claims up to `ids.len()` buffers of `bytes` bytes and runs `hold` on them under the same pin, for until somebody holds
    /// them a recount takes them for free. `None`: exhausted.
    pub(crate) fn with_claimed<T>(
        &self,
        bytes: usize,
        ids: &mut [u32],
        hold: impl FnOnce(&[u32], &Pin<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let class = class_of(bytes)?;
        let pin = self.participant.pin()?;
        let (claimed, pin) = match self.claim(class, ids) {
            Ok(claimed) if claimed > 0 || ids.is_empty() => (claimed, pin),
            _ => {
                drop(pin);
                match self.claim_grown(class, ids)? {
                    Some(claimed) => claimed,
                    None => return Ok(None),
                }
            }
        };
        fault::hit(Point::AllocClaimed);
        hold(&ids[..claimed], &pin).map(Some)
    }

    /// Claims once nothing of `class` is free: with growth, or else larger buffers. With the pin under which it has claimed.
    #[cold]
    fn claim_grown(&self, class: usize, ids: &mut [u32]) -> Result<Option<(usize, Pin<'_>)>> {
        // Why there will be no more of this class: then a larger buffer serves as well.
        let mut exhausted = None;
        // Until we have claimed of it nobody may take what has just been made for empty.
        let mut grown = None;
        loop {
            let pin = self.participant.pin()?;
            let claimed = match exhausted {
                None => self.claim(class, ids),
                Some(_) => self.claim_larger(class, ids),
            };
            drop(grown.take());
            let (claimed, no_row) = match claimed {
                // No memory for a row of our own in the ledger: to us, that segment is full.
                Err(e) if e.is_out_of_shared_memory() => (0, true),
                claimed => (claimed?, false),
            };
            if claimed > 0 {
                return Ok(Some((claimed, pin)));
            }
            drop(pin);
            if let Some(why) = exhausted {
                return why;
            }
            // Others may be faster at what was made or released: only the end of the budget ends this.
            let growth = if no_row { self.make_room(class) } else { self.grow(class, ids.len()) };
            match growth {
                Ok(Growth::Look) => {}
                Ok(Growth::Grown(lock)) => grown = Some(lock),
                Ok(Growth::Exhausted) => exhausted = Some(Ok(None)),
                Err(e) => exhausted = Some(Err(e)),
            }
        }
    }

    /// Gives one reference back. The last one frees the buffer.
    ///
    /// # Errors
    /// `NotHeld` when this participant has no such reference.
    pub fn release(&self, buffer: Buffer) -> Result<()> {
        match self.release_all(std::iter::once(buffer)) {
            (1, _) => Ok(()),
            (_, result) => result.and_then(|()| Err(not_held(buffer))),
        }
    }

    /// Gives references back until one is not held, or not as often as it is named in a row; returns how many.
    pub fn release_all(&self, buffers: impl Iterator<Item = Buffer>) -> (usize, Result<()>) {
        let pin = match self.participant.pin() {
            Ok(pin) => pin,
            Err(e) => return (0, Err(e)),
        };
        let (mut done, mut freed, mut result) = (0, Freed::default(), Ok(()));
        let mut buffers = buffers.peekable();
        while let Some(buffer) = buffers.next() {
            // Messages of one pack, as a rule side by side, count as many references to one buffer.
            let mut references = 1;
            while cell_of(buffer.id) != 0 && buffers.next_if(|next| next.is_like(buffer)).is_some() {
                references += 1;
            }
            match self.participant.release_data(buffer, references, &mut freed) {
                Ok(()) => done += references as usize,
                Err(e) => {
                    result = Err(e);
                    break;
                }
            }
        }
        let freed = freed.flush();
        drop(pin);
        if freed {
            self.participant.wake_pool();
        }
        (done, result)
    }

    /// Adds a reference of our own to a buffer we hold.
    ///
    /// # Errors
    /// `NotHeld`; `Limit` when this participant has 65280 references to it already.
    pub fn share(&self, buffer: Buffer) -> Result<Buffer> {
        let _pin = self.participant.pin()?;
        let (segment, index) = split_id(buffer.id);
        let pool = self.participant.pool(segment)?.ok_or_else(|| not_held(buffer))?;
        let slot = self.participant.slot;
        if !pool.is_data(index) || !pool.holds(slot, index, buffer.received) {
            return Err(not_held(buffer));
        }
        if !pool.ledger_has_room(slot, index, false) {
            return Err(too_many_references(buffer.id));
        }
        // Counted before it is usable: killed in between, refs are too high, which a recount repairs.
        if !pool.try_ref(index) {
            return Err(not_held(buffer));
        }
        fault::hit(Point::ShareReffed);
        pool.ledger_add(slot, index, false);
        fault::hit(Point::ShareAdded);
        Ok(Buffer { id: buffer.id, received: false })
    }
}
