//! Sending.

use super::options::Overflow;
use super::port_queue::{Interest, PortQueue, SendOutcome};
use super::ring::{Ring, Taken};
use crate::buffer::{Buffer, not_held};
use crate::error::Result;
use crate::fault::{self, Point};
use crate::layout::{RING_CLOSED, RING_OPEN, split_id};
use crate::limits::{BATCH_MAX, RING_TRIES_MAX};
use crate::pool::Pool;
use crate::registry::{Participant, Pin};
use crate::sync::{Ordering, dekker_fence};
use std::mem::MaybeUninit;

/// What a send moves into the queue: references this participant holds, or bytes that are copied into fresh buffers.
pub(super) trait Cargo {
    /// The buffer of message `at`, ready to be read by others.
    fn load(&mut self, at: usize) -> Result<u32>;
    /// Message `at` is in the queue: the reference is the queue's.
    fn sent(&mut self, at: usize);
    /// Message `at` counts as sent, but the overflow policy drops it.
    fn dropped(&mut self, at: usize) -> Result<()>;
    /// Message `at` was taken out of the queue again and is the sender's as before. `recycle` frees its slot.
    fn returned(&mut self, at: usize, recycle: impl FnOnce());
}

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
        let participant = &*self.participant;
        let sent = self.publish(buffers.len(), &mut Held { participant, buffers, pool: None }, &pin);
        drop(pin);
        self.wake_after(&sent);
        (sent.accepted, sent.result)
    }

    /// Publishes up to `count` messages of `cargo`.
    pub(super) fn publish(&self, count: usize, cargo: &mut impl Cargo, pin: &Pin<'_>) -> Sent {
        let mut sent =
            Sent { accepted: 0, published: 0, dropped: 0, returned: 0, result: Ok(SendOutcome::Done) };
        let before = self.state();
        if before != RING_OPEN {
            sent.result = Ok(ended(before));
            return sent;
        }
        if let Err(e) = self.take_role(Interest::Space) {
            sent.result = Err(e);
            return sent;
        }
        let ring = self.ring();
        let first = ring.tail();
        let mut tail = first;
        ring.prefetch(tail, count);
        // What went where, for the case that it must come back. Not initialised: 4 KiB would cost more than the rest.
        let mut placed = [MaybeUninit::<Placed>::uninit(); BATCH_MAX];
        for at in 0..count.min(BATCH_MAX) {
            let id = match cargo.load(at) {
                Ok(id) => id,
                Err(e) => {
                    sent.result = Err(e);
                    break;
                }
            };
            match self.push(&ring, &mut tail, id, &mut sent.dropped) {
                Some(position) => {
                    fault::hit(Point::PushPublished);
                    placed[sent.published].write(Placed { position, id, at: at as u32 });
                    cargo.sent(at);
                    fault::hit(Point::PushStruck);
                    sent.published += 1;
                }
                None if self.options.overflow == Overflow::DropNewest => {
                    if let Err(e) = cargo.dropped(at) {
                        sent.result = Err(e);
                        break;
                    }
                    self.header().dropped.fetch_add(1, Ordering::Relaxed);
                    sent.dropped += 1;
                }
                None => {
                    sent.result = Ok(SendOutcome::Full);
                    break;
                }
            }
            sent.accepted += 1;
        }
        ring.help_tail(tail);
        fault::hit(Point::PushHelped);
        // SYNC CLOSE: our messages were published, then we look whether the queue has ended; a closer does it the other way
        // round. So a receiver that saw the end and an empty ring has missed nothing: we see the end and take back.
        dekker_fence();
        let after = self.state();
        if after != RING_OPEN {
            // SAFETY: the first `published` entries have been written.
            let placed =
                unsafe { std::slice::from_raw_parts(placed.as_ptr().cast::<Placed>(), sent.published) };
            let back = self.retract(&ring, placed, cargo);
            sent.published -= back;
            if self.options.overflow == Overflow::DropNewest {
                sent.dropped += back as u32;
            } else if back > 0 {
                sent.accepted -= back;
                sent.returned = back;
                sent.result = Ok(ended(after));
            }
        }
        if sent.dropped > 0 {
            self.header().gap.fetch_add(sent.dropped, Ordering::Relaxed);
        }
        pin.count_sent(sent.published);
        self.note_depth(first, tail, &sent.result);
        sent
    }

    /// Wakes whoever waits for what was sent. Not under the pin: a recovery need not wait for system calls.
    pub(super) fn wake_after(&self, sent: &Sent) {
        if sent.published > 0 {
            self.wake(&self.header().data_waiters, sent.published);
        }
        if sent.dropped > 0 {
            self.participant.wake_pool();
        }
    }

    /// Publishes one message, making room first if the policy says so.
    #[inline]
    pub(super) fn push(&self, ring: &Ring<'_>, tail: &mut u64, id: u32, dropped: &mut u32) -> Option<u64> {
        let at = ring.push(tail, id);
        match self.options.overflow {
            Overflow::DropOldest if at.is_none() => self.push_over(ring, tail, id, dropped),
            Overflow::Latest => {
                let at = at.or_else(|| self.push_over(ring, tail, id, dropped))?;
                *dropped += self.drop_before(ring, at, u32::MAX);
                Some(at)
            }
            _ => at,
        }
    }

    /// Publishes a message where one that is a whole lap older is in the way, which is dropped unless a receiver has taken it. `None`:
    /// receivers that have taken theirs have not freed the slots yet, or other senders were faster every time.
    #[cold]
    pub(super) fn push_over(
        &self,
        ring: &Ring<'_>,
        tail: &mut u64,
        id: u32,
        dropped: &mut u32,
    ) -> Option<u64> {
        for _ in 0..BATCH_MAX {
            let in_the_way = tail.checked_sub(self.options.capacity.into())?;
            *dropped += self.drop_before(ring, in_the_way + 1, 1);
            if let Some(at) = ring.push(tail, id) {
                return Some(at);
            }
        }
        None
    }

    /// Drops up to `most` messages whose positions are before `end`, the oldest first; returns how many. What is dropped depends on the
    /// position alone, never on what has become the oldest meanwhile. The caller has pinned.
    pub(crate) fn drop_before(&self, ring: &Ring<'_>, end: u64, most: u32) -> u32 {
        let mut dropped = 0;
        // Each round somebody has taken a message, so the bound is for damaged rings.
        for _ in 0..RING_TRIES_MAX {
            if dropped == most {
                break;
            }
            let Some(front) = ring.front().filter(|front| front.position < end) else { break };
            if let Some(taken) = ring.take_front(front, self.participant.slot as u32) {
                ring.help_head(taken.position.wrapping_add(1));
                self.discard(ring, taken);
                dropped += 1;
            }
        }
        dropped
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
    pub(crate) fn forget(&self, id: u32) {
        let (segment, index) = split_id(id);
        // Without a ledger row of ours: this must not fail for want of memory.
        if let Ok(Some(pool)) = self.participant.pool_without_row(segment)
            && pool.header(index).is_some()
        {
            self.participant.unref(pool, index, 1);
        }
    }

    /// Takes back messages that nobody has taken, last first; answers how many. Consumers take first first, so what is taken back
    /// is always the end of the batch. With a policy that drops new messages it is dropped.
    #[cold]
    fn retract(&self, ring: &Ring<'_>, placed: &[Placed], cargo: &mut impl Cargo) -> usize {
        let me = self.participant.slot as u32;
        let mut back = 0;
        for Placed { position, id, at } in placed.iter().rev() {
            let Some(taken) = ring.retract(*position, *id, me) else { break };
            fault::hit(Point::RetractTaken);
            back += 1;
            if self.options.overflow == Overflow::DropNewest {
                self.discard(ring, taken);
            } else {
                cargo.returned(*at as usize, || ring.recycle(taken));
            }
        }
        back
    }

    /// Keeps the high-water mark: looked at only now and then, the head is the receivers' cache line.
    pub(super) fn note_depth(&self, first: u64, tail: u64, result: &Result<SendOutcome>) {
        if tail / 64 != first / 64 || matches!(result, Ok(SendOutcome::Full)) {
            let depth = tail.saturating_sub(self.ring().head()).min(self.options.capacity.into()) as u32;
            if depth > self.header().high_water.load(Ordering::Relaxed) {
                self.header().high_water.fetch_max(depth, Ordering::Relaxed);
            }
        }
    }
}

/// How a send went.
pub(super) struct Sent {
    /// Messages the sender has no more to do with: published or dropped.
    pub(super) accepted: usize,
    published: usize,
    dropped: u32,
    /// Messages that were published and taken back.
    pub(super) returned: usize,
    pub(super) result: Result<SendOutcome>,
}

/// A message of the batch under way: its position in the queue, its buffer, its place in the batch.
#[derive(Clone, Copy)]
struct Placed {
    position: u64,
    id: u32,
    at: u32,
}

/// References this participant holds.
struct Held<'a> {
    participant: &'a Participant,
    buffers: &'a [Buffer],
    /// The pool of the message that was loaded last.
    pool: Option<&'a Pool>,
}

impl Cargo for Held<'_> {
    #[inline]
    fn load(&mut self, at: usize) -> Result<u32> {
        let buffer = self.buffers[at];
        let (segment, index) = split_id(buffer.id);
        self.pool = self.participant.pool(segment)?;
        let held =
            |pool: &Pool| pool.is_data(index) && pool.holds(self.participant.slot, index, buffer.received);
        if self.pool.is_some_and(held) { Ok(buffer.id) } else { Err(not_held(buffer)) }
    }

    #[inline]
    fn sent(&mut self, at: usize) {
        // Slot first: killed in between, the message counts as queued and held, which a recount repairs.
        if let Some(pool) = self.pool {
            let buffer = self.buffers[at];
            pool.ledger_remove(self.participant.slot, split_id(buffer.id).1, buffer.received);
        }
    }

    fn dropped(&mut self, at: usize) -> Result<()> {
        self.participant.release(self.buffers[at]).map(drop)
    }

    fn returned(&mut self, at: usize, recycle: impl FnOnce()) {
        let buffer = self.buffers[at];
        let (segment, index) = split_id(buffer.id);
        // Ledger first: killed in between, slot and ledger name the message; recovery keeps one of them.
        if let Ok(Some(pool)) = self.participant.pool(segment) {
            pool.ledger_add(self.participant.slot, index, buffer.received);
        }
        recycle();
    }
}

/// How an operation ends that meets a queue in this state.
fn ended(state: u32) -> SendOutcome {
    if state == RING_CLOSED { SendOutcome::Closed } else { SendOutcome::Destroyed }
}
