//! Sending, receiving and waiting.

use super::lease::{Leases, PendingList};
use super::overflow::Admission;
use super::ring::Ring;
use super::view::RingView;
use super::{QueueCache, ResolvedOptions};
use crate::buffer::{Buffer, BufferPtr, Settle, SharedBufferAllocator};
use crate::error::Result;
use crate::layout::{RING_DESTROYED, RING_OPEN, RING_REPLACED, RingHeader};
use crate::registry::{Domain, EntryRef, Participant};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::wait::Waits;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Messages that are dropped under one pin when a queue is emptied: few enough for a recovery to wait for.
const DRAINED_AT_ONCE: u32 = 32;

/// What a participant can wait for at a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// A message, or the end of the queue.
    Data = 0,
    /// Room for a message, or the end of the queue.
    Space = 1,
    /// Nothing to do at an at-least-once queue (see [`PortQueue::is_idle`]), or its end by destruction. At other queues nobody is told
    /// when a message has been dealt with, so there is nothing to wait for.
    Idle = 2,
}

impl Interest {
    pub(super) const ALL: [Self; 3] = [Self::Data, Self::Space, Self::Idle];
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

/// How a [`PortQueue::put`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// All messages are accepted.
    Done,
    /// The queue did not take the next one.
    Refused(SendOutcome),
    /// There is no buffer for the next one.
    Exhausted,
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
    /// The reference, now held by this participant. A leased one counts as its own: it is never lost with it.
    pub buffer: Buffer,
    /// Messages an overflow policy dropped since the delivery before this one.
    pub gap: u32,
    /// Which delivery of this message it is, from 1.
    pub attempt: u32,
    /// On an at-least-once queue: what to acknowledge (or give back) it by.
    pub lease: Option<u32>,
}

impl Received {
    /// A first delivery.
    pub(super) fn new(id: u32, lease: Option<u32>) -> Self {
        Self { buffer: Buffer { id, received: lease.is_none() }, gap: 0, attempt: 1, lease }
    }
}

impl Default for Received {
    fn default() -> Self {
        Self::new(0, None)
    }
}

/// This participant's end of a queue. Any number of participants may have one; each may send and receive, within the queue's roles.
pub struct PortQueue {
    pub(super) cache: Arc<QueueCache>,
    pub(super) participant: Arc<Participant>,
    pub(super) allocator: SharedBufferAllocator,
    pub(super) name: String,
    pub(crate) listed: EntryRef,
    view: RingView,
    pub(super) options: ResolvedOptions,
    /// Waits of this end per [`Interest`]: the participant's bit in the mask stays up while there are any.
    pub(super) waits: [Waits; Interest::ALL.len()],
    /// What this end has done: see `roles`.
    pub(super) roles: AtomicU32,
    /// What of the queue waits to be delivered again, as far as this end has seen.
    pub(super) pending: PendingList,
    pub(super) admission: Admission,
    /// Where to look first for a free lease entry.
    pub(super) lease_cursor: AtomicU32,
    /// Where the head was when a sender last had to look.
    pub(super) head_seen: AtomicU64,
    /// The dead-letter queue, once it was needed.
    pub(super) dead_letters: Mutex<Option<Arc<PortQueue>>>,
    /// The end of the ring that has taken the place of this one, once it was needed.
    pub(super) successor: Mutex<Option<Arc<PortQueue>>>,
    /// When a sender here last tried to make the queue larger.
    pub(super) grown: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for PortQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PortQueue({:?}, {:?})", self.name, self.options)
    }
}

impl PortQueue {
    /// Wraps a ring to which the participant has a reference of its own.
    pub(super) fn new(
        cache: Arc<QueueCache>,
        name: String,
        listed: EntryRef,
        view: RingView,
        options: ResolvedOptions,
    ) -> Self {
        let participant = Arc::clone(&cache.participant);
        let lease_cursor = AtomicU32::new(participant.slot as u32);
        let allocator = SharedBufferAllocator { participant: Arc::clone(&participant) };
        let (head_seen, admission) = (AtomicU64::new(0), Admission::of(&options));
        Self {
            cache,
            participant,
            allocator,
            name,
            listed,
            view,
            options,
            waits: Default::default(),
            roles: AtomicU32::new(0),
            pending: PendingList::default(),
            admission,
            lease_cursor,
            head_seen,
            dead_letters: Mutex::default(),
            successor: Mutex::default(),
            grown: Mutex::default(),
        }
    }

    /// Name of the queue.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `other` is an end of the same queue, of whatever ring. Both are of the same domain.
    pub fn is_same(&self, other: &Self) -> bool {
        self.listed.is_same_name(other.listed)
    }

    /// Options of the queue, as they were when this end was opened: see [`PortQueue::instead`].
    pub fn options(&self) -> &ResolvedOptions {
        &self.options
    }

    /// The same as they are meant: the ring may have more slots than are used, for messages that were there when it was made smaller, and a
    /// default codec of which nobody has made use.
    pub fn options_meant(&self) -> ResolvedOptions {
        self.view.meant(&self.options)
    }

    /// Messages in the queue now, those that wait to be delivered again included. Cheap; exact while nobody moves, and else what it was
    /// at about this time.
    pub fn len(&self) -> usize {
        self.instead().map_or_else(|| self.view.counts().len(), |queue| queue.len())
    }

    /// Whether an at-least-once queue has no message and nobody has one of it that is not acknowledged, at one moment: all that was ever
    /// sent is over. Of another queue: whether it is empty.
    ///
    /// A worker may send more before it acknowledges; that is seen. Messages are counted when they are over, and none is before it was
    /// sent, so there are never more over than sent. This reads first how many are over, then how many have been sent: if that is the same
    /// number, it was so at the first look, too.
    pub fn is_idle(&self) -> bool {
        self.instead().map_or_else(|| self.is_idle_here(), |queue| queue.is_idle())
    }

    /// The same of this ring.
    pub(super) fn is_idle_here(&self) -> bool {
        let (ring, leases) = (self.ring(), self.leases());
        if leases.is_any() { leases.unsettled(|| ring.published()) == 0 } else { ring.front().is_none() }
    }

    /// Whether there is no message now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages that an overflow policy has dropped since the last delivery: the [`Received::gap`] of the next one. Also when there is no
    /// next one, since the queue has ended.
    pub fn untold_gap(&self) -> u32 {
        self.instead().map_or_else(|| self.header().gap.load(Ordering::Relaxed), |queue| queue.untold_gap())
    }

    /// The domain it is in.
    pub(crate) fn domain(&self) -> &Domain {
        &self.participant.domain
    }

    /// The ring as it lies in shared memory.
    #[inline]
    pub(crate) fn view(&self) -> &RingView {
        &self.view
    }

    #[inline]
    pub(super) fn header(&self) -> &RingHeader {
        self.view.header()
    }

    #[inline]
    pub(super) fn leases(&self) -> Leases<'_> {
        self.view.leases()
    }

    #[inline]
    pub(super) fn ring(&self) -> Ring<'_> {
        self.view.ring()
    }

    /// Takes the next message without waiting.
    ///
    /// # Errors
    /// `Role`, `Corrupt`.
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// let options = QueueOptions { delivery: Some(Delivery::AtLeastOnce), ..QueueOptions::default() };
    /// let queue = shm.port_queue("try-receive", &options)?;
    /// queue.try_send(shm.allocate(10)?).unwrap();
    /// let (message, _) = queue.try_receive()?;
    /// message.expect("there is one").nack()?; // not now: somebody else may try
    /// let (message, _) = queue.try_receive()?;
    /// assert_eq!(message.expect("it came back").attempt(), 2);
    /// // Dropped, it is acknowledged.
    /// assert_eq!(queue.try_receive()?.1, TakeOutcome::Empty);
    /// assert!(queue.is_idle());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn try_receive(self: &Arc<Self>) -> Result<(Option<BufferPtr>, TakeOutcome)> {
        let mut out = [Received::default()];
        let (count, outcome) = self.receive(&mut out)?;
        if count == 0 {
            return Ok((None, outcome));
        }
        let mut buffer = BufferPtr::adopt(Arc::clone(&self.participant), out[0].buffer)?;
        if let Some(lease) = out[0].lease {
            buffer.lease(Arc::clone(self) as Arc<dyn Settle>, lease, out[0].attempt);
        }
        Ok((Some(buffer), outcome))
    }

    /// Gives up roles, waits and leases: this end will not be used any more.
    pub(crate) fn retire(&self) {
        self.retire_here();
        if let Some(queue) = self.instead() {
            queue.retire();
        }
    }

    /// The same at this ring.
    fn retire_here(&self) {
        let leases = self.leases().held_by(self.participant.slot);
        for (lease, id) in &leases {
            // Not acknowledged, so somebody else gets it.
            self.give_back(&self.participant.enter(), *lease, *id);
        }
        if !leases.is_empty() {
            self.wake_after_giving_back();
        }
        self.leave_roles();
        self.end_waits();
    }

    /// Gives every message of a destroyed queue back to the pool.
    pub(crate) fn drain(&self) -> u64 {
        let mut drained = 0;
        // Bounded: as many as it can have.
        for _ in 0..2 * self.options.capacity.max(1) {
            let Ok(_pin) = self.participant.pin() else { break };
            let now = if self.drop_pending() {
                1
            } else {
                self.drop_before(&self.ring(), u64::MAX, DRAINED_AT_ONCE)
            };
            if now == 0 {
                break;
            }
            drained += u64::from(now);
        }
        self.participant.wake_pool();
        self.wake_after_settling();
        drained
    }

    /// Whether its ring takes messages. As all that looks at this ring alone, it may be asked inside an operation.
    pub(crate) fn is_open(&self) -> bool {
        self.state() == RING_OPEN
    }

    /// Whether its ring has been destroyed, or replaced.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state(), RING_DESTROYED | RING_REPLACED)
    }

    #[inline]
    pub(super) fn state(&self) -> u32 {
        self.header().state.load(Ordering::Acquire)
    }
}

impl Drop for PortQueue {
    fn drop(&mut self) {
        // A participant that has left has let go of everything already.
        if self.participant.has_left() {
            return;
        }
        let is_last = self.cache.unless_open(self.listed, || self.retire_here());
        if is_last && self.has_been_replaced() {
            // What is ours went along with the messages: the end that is there gives it up when it goes, which is now.
            drop(self.successor());
        }
        let _ = self.participant.let_go(Buffer { id: self.listed.ring, received: false });
    }
}
