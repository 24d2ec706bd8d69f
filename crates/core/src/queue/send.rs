//! Sending.

use super::options::{Overflow, ResolvedOptions};
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
pub(super) trait MessageSource {
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
        let sent = self.publish(buffers.len(), &mut HeldMessages { participant, buffers, pool: None }, &pin);
        drop(pin);
        self.wake_after(&sent);
        (sent.accepted, sent.result)
    }

    /// Publishes up to `count` messages of `messages`.
    pub(super) fn publish(&self, count: usize, messages: &mut impl MessageSource, pin: &Pin<'_>) -> Sent {
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
            let id = match messages.load(at) {
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
                    messages.sent(at);
                    fault::hit(Point::PushStruck);
                    sent.published += 1;
                }
                None if self.options.overflow == Overflow::DropNewest => {
                    if let Err(e) = messages.dropped(at) {
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
            let back = self.retract(&ring, placed, messages);
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

    /// Wakes whoever waits for what was sent, and for what was dropped to be over. Not under the pin: a recovery need not wait for system calls.
    pub(super) fn wake_after(&self, sent: &Sent) {
        if sent.published > 0 {
            self.wake(&self.header().data_waiters, sent.published);
        }
        if sent.dropped > 0 {
            self.participant.wake_pool();
        }
        if sent.dropped > 0 || sent.returned > 0 {
            self.wake_after_settling();
        }
    }

    /// Publishes one message, making room first if the policy says so.
    #[inline]
    pub(super) fn push(&self, ring: &Ring<'_>, tail: &mut u64, id: u32, dropped: &mut u32) -> Option<u64> {
        match self.admission {
            Admission::Capacity => ring.push(tail, id),
            Admission::Limit => ring.push_within(tail, id, self.options.limit, || self.leases().pending()),
            Admission::DropOldest => ring.push(tail, id).or_else(|| self.push_over(ring, tail, id, dropped)),
            Admission::DropOldestWithin => self.push_over(ring, tail, id, dropped),
            Admission::Latest => {
                let at = ring.push(tail, id).or_else(|| self.push_over(ring, tail, id, dropped))?;
                *dropped += self.drop_before(ring, at, u32::MAX);
                Some(at)
            }
        }
    }

    /// Publishes a message, if one that is older is in the way (by a whole lap, or by the limit) instead of that, unless a receiver has
    /// taken it. `None`: receivers that have taken theirs have not freed the slots yet, or other senders were faster every time.
    #[cold]
    pub(super) fn push_over(
        &self,
        ring: &Ring<'_>,
        tail: &mut u64,
        id: u32,
        dropped: &mut u32,
    ) -> Option<u64> {
        for _ in 0..BATCH_MAX {
            let (limit, pending) = (self.options.limit, self.leases().pending());
            let at = match limit {
                0 => ring.push(tail, id),
                limit => ring.push_within(tail, id, limit, || self.leases().pending()),
            };
            if at.is_some() {
                return at;
            }
            if limit > 0 && pending > 0 {
                // What waits to be delivered again is older than all that is in the ring.
                *dropped += u32::from(self.drop_pending_by_policy());
                continue;
            }
            let room = if limit == 0 { self.options.capacity } else { limit };
            *dropped += tail.checked_sub(room.into()).map_or(0, |old| self.drop_before(ring, old + 1, 1));
        }
        None
    }

    fn drop_pending_by_policy(&self) -> bool {
        let done = self.drop_pending();
        if done {
            self.header().dropped.fetch_add(1, Ordering::Relaxed);
        }
        done
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
            if let Some(taken) = ring.remove(front, self.participant.slot as u32) {
                ring.help_head(taken.position.wrapping_add(1));
                self.discard(ring, taken);
                dropped += 1;
            }
        }
        dropped
    }

    /// Frees the slot of a message that was removed, and drops the queue's reference to it. Killed in between: refs too high, repaired by
    /// recount.
    fn discard(&self, ring: &Ring<'_>, removed: Taken) {
        fault::hit(Point::DropTaken);
        ring.recycle(removed);
        // Killed right here, one drop goes uncounted: the only count that a death can make inexact.
        self.header().dropped.fetch_add(1, Ordering::Relaxed);
        self.settle(1);
        fault::hit(Point::DropRecycled);
        self.forget(removed.id());
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
    fn retract(&self, ring: &Ring<'_>, placed: &[Placed], messages: &mut impl MessageSource) -> usize {
        let me = self.participant.slot as u32;
        let mut back = 0;
        for Placed { position, id, at } in placed.iter().rev() {
            let Some(taken) = ring.retract(*position, *id, me) else { break };
            fault::hit(Point::RetractTaken);
            back += 1;
            if self.options.overflow == Overflow::DropNewest {
                self.discard(ring, taken);
            } else {
                messages.returned(*at as usize, || ring.recycle(taken));
                self.settle(1);
            }
        }
        back
    }

    /// Keeps the high-water mark: looked at only now and then, the head is the receivers' cache line.
    pub(super) fn note_depth(&self, first: u64, tail: u64, result: &Result<SendOutcome>) {
        if tail / 64 != first / 64 || matches!(result, Ok(SendOutcome::Full)) {
            let depth = tail.saturating_sub(self.ring().head()).min(self.options.most()) as u32;
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

/// What a queue's options say about who may send, as one thing to ask.
#[derive(Clone, Copy, Debug)]
pub(super) enum Admission {
    /// Whoever finds a free slot.
    Capacity,
    /// Whoever leaves no more messages than the limit.
    Limit,
    /// Everybody: the oldest message makes room.
    DropOldest,
    /// Everybody: the oldest message makes room within the limit.
    DropOldestWithin,
    /// Everybody: all older messages go.
    Latest,
}

impl Admission {
    pub(super) fn of(options: &ResolvedOptions) -> Self {
        match (options.overflow, options.limit) {
            (Overflow::Latest, _) => Self::Latest,
            (Overflow::DropOldest, 0) => Self::DropOldest,
            (Overflow::DropOldest, _) => Self::DropOldestWithin,
            (Overflow::Block | Overflow::Reject | Overflow::DropNewest, 0) => Self::Capacity,
            (Overflow::Block | Overflow::Reject | Overflow::DropNewest, _) => Self::Limit,
        }
    }
}

/// A message of the batch under way: its position in the queue, its buffer, its place in the batch.
#[derive(Clone, Copy)]
struct Placed {
    position: u64,
    id: u32,
    at: u32,
}

/// References this participant holds.
struct HeldMessages<'a> {
    participant: &'a Participant,
    buffers: &'a [Buffer],
    /// The pool of the message that was loaded last.
    pool: Option<&'a Pool>,
}

impl MessageSource for HeldMessages<'_> {
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
