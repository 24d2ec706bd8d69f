//! Sending, receiving and waiting.

use super::ResolvedOptions;
use super::lifecycle::RingView;
use super::options::Overflow;
use super::ring::{Ring, Taken};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{RING_CLOSED, RING_DESTROYED, RING_OPEN, RingHeader, WaiterMask, split_id};
use crate::limits::BATCH_MAX;
use crate::pool::{Buffer, BufferPtr, not_held};
use crate::registry::{Listed, Participant};
use crate::sync::{AtomicU32, Ordering, dekker_fence};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a participant can wait for at a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// A message, or the end of the queue.
    Data = 0,
    /// Room for a message, or the end of the queue.
    Space = 1,
}

/// How a send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// All messages are accepted.
    Done,
    /// The queue is full; the rest is still the sender's.
    Full,
    /// The queue is closed; the rest is still the sender's.
    Closed,
    /// The queue has been destroyed; the rest is still the sender's.
    Destroyed,
}

/// How a receive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeOutcome {
    /// At least one message.
    Done,
    /// Nothing there now.
    Empty,
    /// Nothing there, and there will be nothing any more.
    Closed,
    /// The queue has been destroyed.
    Destroyed,
}

/// One received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The reference, now held by this participant.
    pub buffer: Buffer,
    /// Messages an overflow policy dropped since the delivery before this one.
    pub gap: u32,
}

/// This participant's end of a queue. Any number of ends may exist; each may send and receive, within the queue's roles.
pub struct PortQueue {
    participant: Arc<Participant>,
    name: String,
    listed: Listed,
    view: RingView,
    options: ResolvedOptions,
    /// Waits of this end per [`Interest`]: the participant's bit in the mask stays up while there are any.
    waiting: [AtomicU32; 2],
}

impl std::fmt::Debug for PortQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PortQueue({:?}, {:?})", self.name, self.options)
    }
}

impl PortQueue {
    /// Wraps a ring to which the participant has a reference of its own.
    pub(super) fn new(
        participant: Arc<Participant>,
        name: &str,
        listed: Listed,
        view: RingView,
        options: ResolvedOptions,
    ) -> Self {
        let waiting = [AtomicU32::new(0), AtomicU32::new(0)];
        Self { participant, name: name.to_owned(), listed, view, options, waiting }
    }

    /// Name of the queue.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Options the queue was created with.
    pub fn options(&self) -> &ResolvedOptions {
        &self.options
    }

    /// Messages in the queue now.
    pub fn len(&self) -> usize {
        let (head, tail) = self.ring().positions();
        ((tail - head) as usize).min(self.options.capacity as usize)
    }

    /// Whether there is no message now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn participant(&self) -> &Participant {
        &self.participant
    }

    pub(super) fn listed(&self) -> Listed {
        self.listed
    }

    #[inline]
    pub(super) fn header(&self) -> &RingHeader {
        self.view.header()
    }

    #[inline]
    fn ring(&self) -> Ring<'_> {
        self.view.ring()
    }

    /// Moves `buffer` into the queue without waiting; it comes back when the queue does not take it.
    ///
    /// # Errors
    /// `Role` when another participant is the one producer.
    pub fn try_send(&self, buffer: BufferPtr) -> Result<Result<(), (SendOutcome, BufferPtr)>> {
        let moved = buffer.into_buffer();
        let (accepted, outcome) = self.send(&[moved]);
        if accepted == 1 {
            return Ok(Ok(()));
        }
        let back = BufferPtr::adopt(Arc::clone(&self.participant), moved)?;
        outcome.map(|outcome| Err((outcome, back)))
    }

    /// Takes the next message without waiting.
    ///
    /// # Errors
    /// `Role`, `Corrupt`.
    pub fn try_receive(&self) -> Result<(Option<BufferPtr>, TakeOutcome)> {
        let mut out = [Received { buffer: Buffer { id: 0, received: true }, gap: 0 }];
        match self.receive(&mut out)? {
            (1, outcome) => {
                Ok((Some(BufferPtr::adopt(Arc::clone(&self.participant), out[0].buffer)?), outcome))
            }
            (_, outcome) => Ok((None, outcome)),
        }
    }

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
        let mut result = Ok(SendOutcome::Done);
        for &buffer in buffers.iter().take(BATCH_MAX) {
            let (segment, index) = split_id(buffer.id);
            let pool = match self.participant.pool(segment) {
                Ok(Some(pool)) if pool.holds(self.participant.slot, index, buffer.received) => pool,
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
                Some(_) => {
                    // Slot first: killed in between, the message counts as queued and held, which a recount repairs.
                    pool.strike(self.participant.slot, index, buffer.received);
                    published += 1;
                    accepted += 1;
                }
                None if self.options.overflow == Overflow::DropNewest => {
                    if let Err(e) = self.participant.release(buffer) {
                        result = Err(e);
                        break;
                    }
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
        // SYNC CLOSE: our messages were published, then we look whether the queue has ended; a closer does it the other way
        // round. So a receiver that saw the end and an empty ring has missed nothing: we see the end and take back.
        dekker_fence();
        let after = self.state();
        if after != RING_OPEN {
            let back = self.retract(&ring, first..tail, &buffers[..accepted]);
            published -= back;
            if self.options.overflow == Overflow::DropNewest {
                dropped += back as u32;
            } else if back > 0 {
                accepted -= back;
                result = Ok(ended(after));
            }
        }
        if dropped > 0 {
            self.header().dropped.fetch_add(dropped.into(), Ordering::Relaxed);
            self.header().gap.fetch_add(dropped, Ordering::Relaxed);
        }
        self.participant.shared().counters.sent.fetch_add(published as u64, Ordering::Relaxed);
        self.note_depth(first, tail, &result);
        drop(pin);
        if published > 0 {
            self.wake(&self.header().data_waiters, published);
        }
        if dropped > 0 {
            self.participant.wake_pool(dropped as usize);
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
    fn drop_front(&self, ring: &Ring<'_>) -> bool {
        let mut head = ring.head();
        let taken = ring.pop(&mut head, self.participant.slot as u32);
        ring.help_head(head);
        taken.is_some_and(|taken| {
            self.discard(ring, taken);
            true
        })
    }

    /// Frees the slot and drops the queue's reference to the message in it. Killed in between: refs too high, repaired by recount.
    fn discard(&self, ring: &Ring<'_>, taken: Taken) {
        ring.recycle(taken);
        let (segment, index) = split_id(taken.id());
        if let Ok(Some(pool)) = self.participant.pool(segment)
            && pool.header(index).is_some()
        {
            self.participant.unref(pool, index);
        }
    }

    /// Takes back messages published at `positions` that nobody has taken, last first; answers how many. Consumers take first
    /// first, so what is taken back is always the end of the batch. With a policy that drops new messages it is dropped.
    #[cold]
    fn retract(&self, ring: &Ring<'_>, positions: Range<u64>, buffers: &[Buffer]) -> usize {
        let me = self.participant.slot as u32;
        let mut positions = positions.rev();
        let mut back = 0;
        for buffer in buffers.iter().rev() {
            let Some(taken) = positions.find_map(|at| ring.retract(at, buffer.id, me)) else { break };
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

    /// Takes up to `out.len()` (at most 256) messages and answers how many.
    ///
    /// # Errors
    /// `Role`; `Corrupt` when a slot named no buffer (the slot is skipped, `out` holds what came before).
    pub fn receive(&self, out: &mut [Received]) -> Result<(usize, TakeOutcome)> {
        let pin = self.participant.pin()?;
        let state = self.state();
        if state == RING_DESTROYED {
            return Ok((0, TakeOutcome::Destroyed));
        }
        if state == RING_CLOSED {
            // SYNC CLOSE: the state was read first, the ring comes after. Pairs with the fence in `send`.
            crate::sync::fence(Ordering::SeqCst);
        }
        self.take_role(Interest::Data)?;
        let ring = self.ring();
        let slot = self.participant.slot;
        let mut head = ring.head();
        let (mut count, mut bad) = (0, None);
        for into in out.iter_mut().take(BATCH_MAX) {
            let Some(taken) = ring.pop(&mut head, slot as u32) else { break };
            let (segment, index) = split_id(taken.id());
            let pool = self.participant.pool(segment).ok().flatten().filter(|p| p.header(index).is_some());
            let Some(pool) = pool.filter(|p| p.can_note(slot, index, true)) else {
                ring.recycle(taken);
                bad = Some(taken.id());
                break;
            };
            // Ledger before the slot is free: killed in between, the slot names the dead taker and is rolled forward.
            pool.note(slot, index, true);
            ring.recycle(taken);
            *into = Received { buffer: Buffer { id: taken.id(), received: true }, gap: 0 };
            count += 1;
        }
        ring.help_head(head);
        if count > 0 {
            self.participant.shared().counters.received.fetch_add(count as u64, Ordering::Relaxed);
            if self.header().gap.load(Ordering::Relaxed) != 0 {
                out[0].gap = self.header().gap.swap(0, Ordering::Relaxed);
            }
        }
        drop(pin);
        if count > 0 {
            self.wake(&self.header().space_waiters, count);
        }
        match (count, bad, state) {
            (0, Some(id), _) => Err(Error::new(
                ErrorKind::Corrupt,
                format!("queue {:?} carried buffer {id}, which does not exist or cannot be held", self.name),
            )),
            (0, None, RING_CLOSED) => Ok((0, TakeOutcome::Closed)),
            (0, None, _) => Ok((0, TakeOutcome::Empty)),
            _ => Ok((count, TakeOutcome::Done)),
        }
    }

    /// A reference to the next message, which stays in the queue.
    ///
    /// # Errors
    /// `Limit` when this participant has 65535 references to it already.
    pub fn peek(&self) -> Result<Option<Buffer>> {
        let _pin = self.participant.pin()?;
        let ring = self.ring();
        while let Some(front) = ring.front().filter(|_| !self.is_destroyed()) {
            let (segment, index) = split_id(front.id());
            let buffer = Buffer { id: front.id(), received: false };
            let pool = self.participant.pool(segment)?.filter(|p| p.header(index).is_some());
            let pool = pool.ok_or_else(|| not_held(buffer))?;
            if !pool.can_note(self.participant.slot, index, false) {
                return Err(Error::new(
                    ErrorKind::Limit,
                    format!("buffer {} has 65535 references here", buffer.id),
                ));
            }
            if pool.try_ref(index) {
                pool.note(self.participant.slot, index, false);
                // Our reference came first: if the message is still there, it is to this message.
                if ring.is_still_there(front) {
                    return Ok(Some(buffer));
                }
                self.participant.release(buffer)?;
            }
        }
        Ok(None)
    }

    /// Announces that this participant will sleep until `interest` holds; `false`: it holds already, do not sleep.
    /// Each call that answers `true` wants one [`PortQueue::disarm`].
    pub fn arm(&self, interest: Interest) -> bool {
        self.waiting[interest as usize].fetch_add(1, Ordering::Relaxed);
        self.mask(interest).set(self.participant.slot);
        if self.is_ready(interest) {
            self.disarm_satisfied(interest);
            return false;
        }
        self.mask(interest).waits.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Raises the bit again after a ring that brought nothing; `true`: it holds now (and the bit is lowered).
    pub fn rearm(&self, interest: Interest) -> bool {
        self.mask(interest).set(self.participant.slot);
        let ready = self.is_ready(interest);
        if ready {
            self.disarm_satisfied(interest);
        }
        ready
    }

    /// Ends a wait without consuming (timeout, abort): a ring that was meant for us goes to somebody else.
    pub fn disarm(&self, interest: Interest) {
        let rung = self.disarm_satisfied(interest);
        if rung && self.is_ready(interest) {
            self.wake(self.mask(interest), 1);
        }
    }

    /// Ends a wait of somebody who looks at the queue next; whether a waker had rung for it.
    fn disarm_satisfied(&self, interest: Interest) -> bool {
        let others = self.waiting[interest as usize].fetch_sub(1, Ordering::Relaxed) > 1;
        !others && !self.mask(interest).clear(self.participant.slot)
    }

    /// Whether a receiver (sender) should look now: a message (room), or the end.
    pub fn is_ready(&self, interest: Interest) -> bool {
        self.state() != RING_OPEN
            || match interest {
                Interest::Data => self.ring().front().is_some(),
                Interest::Space => self.ring().has_room(),
            }
    }

    /// Blocks this thread until `interest` holds (`true`) or `timeout` passes.
    pub fn wait(&self, interest: Interest, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut sequence = self.participant.wake_sequence();
        if !self.arm(interest) {
            return true;
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.disarm(interest);
                return false;
            }
            self.participant.park(sequence, left);
            sequence = self.participant.wake_sequence();
            if self.rearm(interest) {
                return true;
            }
        }
    }

    /// Gives up roles and waits: this end will not be used any more.
    pub(crate) fn retire(&self) {
        let me = self.participant.slot as u32 + 1;
        for token in [&self.header().producer, &self.header().consumer] {
            let _ = token.compare_exchange(me, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        for interest in [Interest::Data, Interest::Space] {
            while self.waiting[interest as usize].load(Ordering::Relaxed) > 0 {
                self.disarm(interest);
            }
        }
    }

    pub(super) fn wake_all(&self) {
        self.wake(&self.header().data_waiters, usize::MAX);
        self.wake(&self.header().space_waiters, usize::MAX);
    }

    /// Gives every message of a destroyed queue back to the pool.
    pub(super) fn drain(&self) {
        let mut freed = 0;
        while let Ok(_pin) = self.participant.pin() {
            if freed > BATCH_MAX * 4096 || !self.drop_front(&self.ring()) {
                break;
            }
            freed += 1;
        }
        self.participant.wake_pool(freed);
    }

    fn mask(&self, interest: Interest) -> &WaiterMask {
        match interest {
            Interest::Data => &self.header().data_waiters,
            Interest::Space => &self.header().space_waiters,
        }
    }

    #[inline]
    fn wake(&self, mask: &WaiterMask, count: usize) {
        mask.wake(count, self.participant.slot + 1, |slot| self.participant.domain.ring(slot));
    }

    #[inline]
    fn state(&self) -> u32 {
        self.header().state.load(Ordering::Acquire)
    }

    /// Makes sure that we may send (receive) on a queue with a single producer (consumer).
    #[inline]
    fn take_role(&self, interest: Interest) -> Result<()> {
        let (limit, token, what) = match interest {
            Interest::Space => (self.options.producers, &self.header().producer, "producer"),
            Interest::Data => (self.options.consumers, &self.header().consumer, "consumer"),
        };
        let me = self.participant.slot as u32 + 1;
        if limit == 0 || token.load(Ordering::Relaxed) == me {
            return Ok(());
        }
        match token.compare_exchange(0, me, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(other) => Err(Error::new(
                ErrorKind::Role,
                format!("queue {:?} has one {what}: participant {} is it", self.name, other - 1),
            )),
        }
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

/// How an operation ends that meets a queue in this state.
fn ended(state: u32) -> SendOutcome {
    if state == RING_CLOSED { SendOutcome::Closed } else { SendOutcome::Destroyed }
}

impl Drop for PortQueue {
    fn drop(&mut self) {
        // A participant that has left has let go of everything already.
        let Ok(pin) = self.participant.pin() else { return };
        self.retire();
        let freed = self.participant.release(Buffer { id: self.listed.ring, received: false });
        drop(pin);
        if freed.unwrap_or(false) {
            self.participant.wake_pool(1);
        }
    }
}
