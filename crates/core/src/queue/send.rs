//! Sending.

use super::options::Overflow;
use super::port_queue::{Interest, PortQueue, SendOutcome};
use super::ring::{Ring, Taken};
use crate::buffer::{Buffer, not_held};
use crate::error::Result;
use crate::fault::{self, Point};
use crate::layout::{RING_CLOSED, RING_OPEN, split_id};
use crate::limits::BATCH_MAX;
use crate::sync::{Ordering, dekker_fence};
use std::mem::MaybeUninit;

impl PortQueue {
    /// Moves the first `n` of `buffers` (at most 256 are looked at) into the queue and answers `n`; the rest stays the caller's.
    ///
    /// # Errors
    /// `NotHeld` for a buffer this participant does not hold; `Role`.
    pub fn send(&self, buffers: &[Buffer]) -> (usize, Result<SendOutcome>) {
        let pin = match self.participant.pin() {
            Ok(pin) => pin,
            Err(e) => return (0, Err(e)),
        };
        let before = self.state();
        if before != RING_OPEN {
            return (0, Ok(ended(before)));
        }
        if let Err(e) = self.take_role(Interest::Space) {
            return (0, Err(e));
        }
        let ring = self.ring();
        let first = ring.tail();
        let mut tail = first;
        let (mut accepted, mut published, mut dropped) = (0, 0, 0);
        // Which buffer went where, for the case that it must come back. Not initialised: 4 KiB would cost more than the rest.
        let mut placed = [MaybeUninit::<Placed>::uninit(); BATCH_MAX];
        let mut result = Ok(SendOutcome::Done);
        for &buffer in buffers.iter().take(BATCH_MAX) {
            let (segment, index) = split_id(buffer.id);
            let pool = match self.participant.pool(segment) {
                Ok(Some(pool))
                    if pool.is_data(index) && pool.holds(self.participant.slot, index, buffer.received) =>
                {
                    pool
                }
                Ok(_) => {
                    result = Err(not_held(buffer));
                    break;
                }
                Err(e) => {
                    result = Err(e);
                    break;
                }
            };
            match self.push(&ring, &mut tail, buffer.id, &mut dropped) {
                Some(position) => {
                    fault::hit(Point::PushPublished);
                    placed[published].write(Placed { position, buffer });
                    // Slot first: killed in between, the message counts as queued and held, which a recount repairs.
                    pool.strike(self.participant.slot, index, buffer.received);
                    fault::hit(Point::PushStruck);
                    published += 1;
                    accepted += 1;
                }
                None if self.options.overflow == Overflow::DropNewest => {
                    if let Err(e) = self.participant.release(buffer) {
                        result = Err(e);
                        break;
                    }
                    self.header().dropped.fetch_add(1, Ordering::Relaxed);
                    dropped += 1;
                    accepted += 1;
                }
                None => {
                    result = Ok(SendOutcome::Full);
                    break;
                }
            }
        }
        ring.help_tail(tail);
        fault::hit(Point::PushHelped);
        // SYNC CLOSE: our messages were published, then we look whether the queue has ended; a closer does it the other way
        // round. So a receiver that saw the end and an empty ring has missed nothing: we see the end and take back.
        dekker_fence();
        let after = self.state();
        if after != RING_OPEN {
            // SAFETY: the first `published` entries have been written.
            let placed = unsafe { std::slice::from_raw_parts(placed.as_ptr().cast::<Placed>(), published) };
            let back = self.retract(&ring, placed);
            published -= back;
            if self.options.overflow == Overflow::DropNewest {
                dropped += back as u32;
            } else if back > 0 {
                accepted -= back;
                result = Ok(ended(after));
            }
        }
        if dropped > 0 {
            self.header().gap.fetch_add(dropped, Ordering::Relaxed);
        }
        self.participant.shared().counters.sent.fetch_add(published as u64, Ordering::Relaxed);
        self.note_depth(first, tail, &result);
        drop(pin);
        if published > 0 {
            self.wake(&self.header().data_waiters, published);
        }
        if dropped > 0 {
            self.participant.wake_pool();
        }
        (accepted, result)
    }

    /// Publishes one message, making room first if the policy says so.
    #[inline]
    fn push(&self, ring: &Ring<'_>, tail: &mut u64, id: u32, dropped: &mut u32) -> Option<u64> {
        let at = ring.push(tail, id);
        match self.options.overflow {
            Overflow::DropOldest if at.is_none() => {
                // Others may take the room we make; each round somebody's message is dropped or taken.
                for _ in 0..BATCH_MAX {
                    *dropped += u32::from(self.drop_front(ring));
                    if let Some(at) = ring.push(tail, id) {
                        return Some(at);
                    }
                }
                None
            }
            Overflow::Latest => {
                let at = at.or_else(|| {
                    *dropped += u32::from(self.drop_front(ring));
                    ring.push(tail, id)
                })?;
                while ring.front().is_some_and(|front| front.position < at) && self.drop_front(ring) {
                    *dropped += 1;
                }
                Some(at)
            }
            _ => at,
        }
    }

    /// Drops the oldest message; `false` when there is none. The caller has pinned.
    pub(super) fn drop_front(&self, ring: &Ring<'_>) -> bool {
        let mut head = ring.head();
        let taken = ring.pop(&mut head, self.participant.slot as u32, |_| true);
        ring.help_head(head);
        taken.is_some_and(|taken| {
            self.discard(ring, taken);
            true
        })
    }

    /// Frees the slot and drops the queue's reference to the message in it. Killed in between: refs too high, repaired by recount.
    fn discard(&self, ring: &Ring<'_>, taken: Taken) {
        fault::hit(Point::DropTaken);
        ring.recycle(taken);
        // Killed right here, one drop goes uncounted: the only count that a death can make inexact.
        self.header().dropped.fetch_add(1, Ordering::Relaxed);
        fault::hit(Point::DropRecycled);
        self.forget(taken.id());
    }

    /// Drops the queue's own reference to a message.
    pub(super) fn forget(&self, id: u32) {
        let (segment, index) = split_id(id);
        // Without a ledger row of ours: this must not fail for want of memory.
        if let Ok(Some(pool)) = self.participant.domain.pool(segment)
            && pool.header(index).is_some()
        {
            self.participant.unref(pool, index);
        }
    }

    /// Takes back messages that nobody has taken, last first; answers how many. Consumers take first first, so what is taken back
    /// is always the end of the batch. With a policy that drops new messages it is dropped.
    #[cold]
    fn retract(&self, ring: &Ring<'_>, placed: &[Placed]) -> usize {
        let me = self.participant.slot as u32;
        let mut back = 0;
        for Placed { position, buffer } in placed.iter().rev() {
            let Some(taken) = ring.retract(*position, buffer.id, me) else { break };
            fault::hit(Point::RetractTaken);
            back += 1;
            let (segment, index) = split_id(buffer.id);
            if self.options.overflow == Overflow::DropNewest {
                self.discard(ring, taken);
            } else if let Ok(Some(pool)) = self.participant.pool(segment) {
                pool.note(self.participant.slot, index, buffer.received);
                ring.recycle(taken);
            }
        }
        back
    }

    /// Keeps the high-water mark: looked at only now and then, the head is the receivers' cache line.
    fn note_depth(&self, first: u64, tail: u64, result: &Result<SendOutcome>) {
        if tail / 64 != first / 64 || matches!(result, Ok(SendOutcome::Full)) {
            let depth = tail.saturating_sub(self.ring().head()).min(self.options.capacity.into()) as u32;
            if depth > self.header().high_water.load(Ordering::Relaxed) {
                self.header().high_water.fetch_max(depth, Ordering::Relaxed);
            }
        }
    }
}

/// A message of the batch under way, and its position in the queue.
#[derive(Clone, Copy)]
struct Placed {
    position: u64,
    buffer: Buffer,
}

/// How an operation ends that meets a queue in this state.
fn ended(state: u32) -> SendOutcome {
    if state == RING_CLOSED { SendOutcome::Closed } else { SendOutcome::Destroyed }
}
