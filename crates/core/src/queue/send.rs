//! Sending.

use super::options::Overflow;
use super::port_queue::{Interest, PortQueue, SendOutcome};
use super::replace::Onward;
use super::ring::Ring;
use crate::buffer::{Buffer, not_held};
use crate::error::Result;
use crate::fault::{self, Point};
use crate::layout::{RING_CLOSED, RING_OPEN, RING_REPLACED, split_id};
use crate::limits::BATCH_MAX;
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
    /// Moves the first `n` of `buffers` (at most 256 are looked at) into the queue and returns `n`; the rest stays the caller's.
    ///
    /// # Errors
    /// `NotHeld` for a buffer this participant does not hold; `Role`.
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// let queue = shm.port_queue("send", &QueueOptions { capacity: Some(2), ..QueueOptions::default() })?;
    /// let mut ids = [0; 3];
    /// assert_eq!(shm.allocator().allocate_ids(100, &mut ids)?, 3);
    /// let buffers = ids.map(|id| Buffer { id, received: false });
    /// let (accepted, outcome) = queue.send(&buffers);
    /// assert_eq!((accepted, outcome?), (2, SendOutcome::Full));
    /// shm.allocator().release(buffers[2])?; // the third is still ours
    /// # Ok::<(), Error>(())
    /// ```
    pub fn send(&self, buffers: &[Buffer]) -> (usize, Result<SendOutcome>) {
        let pin = match self.participant.pin() {
            Ok(pin) => pin,
            Err(e) => return (0, Err(e)),
        };
        let participant = &*self.participant;
        let sent = self.publish(buffers.len(), &mut HeldMessages { participant, buffers, pool: None }, &pin);
        drop(pin);
        self.wake_after(&sent);
        if let Ok(SendOutcome::Full) = sent.result {
            return self.send_on(buffers, sent.accepted);
        }
        (sent.accepted, sent.result)
    }

    /// Goes on with what is left of a batch for which this ring has no room, if there is another, or can be.
    #[cold]
    fn send_on(&self, buffers: &[Buffer], accepted: usize) -> (usize, Result<SendOutcome>) {
        match self.after_full() {
            Ok(Onward::Here) => (accepted, Ok(SendOutcome::Full)),
            Ok(Onward::Destroyed) => (accepted, Ok(SendOutcome::Destroyed)),
            Ok(Onward::At(queue)) => {
                let (more, result) = queue.send(&buffers[accepted..]);
                (accepted + more, result)
            }
            Err(error) => (accepted, Err(error)),
        }
    }

    /// Where a sender goes on for whom there is no room.
    #[cold]
    #[inline(never)]
    pub(super) fn after_full(&self) -> Result<Onward> {
        self.grow();
        self.onward()
    }

    /// Publishes up to `count` messages of `messages`.
    pub(super) fn publish(&self, count: usize, messages: &mut impl MessageSource, pin: &Pin<'_>) -> Sent {
        let mut sent =
            Sent { accepted: 0, published: 0, dropped: 0, returned: 0, result: Ok(SendOutcome::Done) };
        let before = self.state();
        if before != RING_OPEN {
            // One that has been replaced takes nothing: see `send_on`.
            sent.result = Ok(if before == RING_REPLACED { SendOutcome::Full } else { ended(before) });
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
                    fault::hit(Point::PushRemoved);
                    sent.published += 1;
                }
                None if self.options.overflow == Overflow::DropNewest => {
                    if let Err(e) = messages.dropped(at) {
                        sent.result = Err(e);
                        break;
                    }
                    self.header().missed.fetch_add(1, Ordering::Relaxed);
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
    #[inline]
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

    /// Takes back messages that nobody has taken, last first; returns how many. Consumers take first first, so what is taken back
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

    /// Keeps the high-water marks: looked at only now and then, the head is the receivers' cache line.
    #[inline]
    pub(super) fn note_depth(&self, first: u64, tail: u64, result: &Result<SendOutcome>) {
        if tail / 64 != first / 64 || matches!(result, Ok(SendOutcome::Full)) {
            let depth = tail.saturating_sub(self.ring().head()).min(self.options.most()) as u32;
            let header = self.header();
            for mark in [&header.high_water, &header.peak] {
                if depth > mark.load(Ordering::Relaxed) {
                    mark.fetch_max(depth, Ordering::Relaxed);
                }
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
