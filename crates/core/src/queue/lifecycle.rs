//! Finding, creating, closing and destroying queues.

use super::port_queue::PortQueue;
use super::view::RingView;
use super::{QueueCache, QueueOptions, ResolvedOptions};
use crate::buffer::{Buffer, SharedBufferAllocator, not_held};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::{
    KIND_RING, NameEntry, RING_CLOSED, RING_DESTROYED, RING_OPEN, RING_REPLACED, RingHeader, ring_bytes,
    split_id,
};
use crate::pool::Pool;
use crate::registry::{EntryKey, EntryRef, Kind, Participant, Pin};
use crate::segment::{View, validate_name};
use crate::sync::Ordering;
use std::sync::Arc;

/// Attaches to the queue of that kind and name if it exists.
pub(crate) fn attach(cache: &Arc<QueueCache>, kind: Kind, name: &str) -> Result<Option<Arc<PortQueue>>> {
    validate_name(kind.noun(), name)?;
    cache.find(kind, name)
}

/// Attaches to the queue of that kind and name, or creates it.
pub(crate) fn attach_or_create(
    cache: &Arc<QueueCache>,
    kind: Kind,
    name: &str,
    options: &QueueOptions,
) -> Result<Arc<PortQueue>> {
    attach_or_create_naming(cache, kind, name, options, options.named())?.agree(kind.noun(), options)
}

/// The same, whatever the options of the queue are if it exists; if not, those in `named` are somebody's wish.
pub(super) fn attach_or_create_naming(
    cache: &Arc<QueueCache>,
    kind: Kind,
    name: &str,
    options: &QueueOptions,
    named: u32,
) -> Result<Arc<PortQueue>> {
    let name_them = |header: &RingHeader| header.named.store(named, Ordering::Relaxed);
    attach_or_make(cache, kind, name, || options.resolve(name), |_| Ok(()), name_them)
}

/// The same for any kind: `check` compares what was asked for with what there is, `prepare` is that of [`create`].
pub(crate) fn attach_or_make(
    cache: &Arc<QueueCache>,
    kind: Kind,
    name: &str,
    options: impl FnOnce() -> Result<ResolvedOptions>,
    check: impl Fn(&PortQueue) -> Result<()>,
    prepare: impl FnOnce(&RingHeader),
) -> Result<Arc<PortQueue>> {
    let checked = |queue: Arc<PortQueue>| check(&queue).map(|()| queue);
    if let Some(queue) = attach(cache, kind, name)? {
        return checked(queue);
    }
    let _lock = cache.participant.lock_names(name)?;
    if let Some(queue) = attach(cache, kind, name)? {
        return checked(queue);
    }
    create(cache, EntryKey { kind, name, label: "" }, options()?, prepare)
}

/// Takes a reference to the ring of a listed queue; `None` when it has been destroyed meanwhile.
pub(super) fn attach_listed(
    cache: &Arc<QueueCache>,
    listed: EntryRef,
    _pin: &Pin<'_>,
) -> Result<Option<PortQueue>> {
    let participant = &cache.participant;
    if !participant.domain.is_current(listed) {
        return Ok(None);
    }
    // Belongs to the entry as long as that is the same, which is looked at below.
    let name = full_name(participant.domain.entry(listed));
    let (segment, index) = split_id(listed.ring);
    let corrupt = || {
        Error::new(ErrorKind::Corrupt, format!("queue {name:?}: its ring, buffer {}, is none", listed.ring))
    };
    let pool = participant.pool(segment)?.filter(|p| p.header(index).is_some()).ok_or_else(corrupt)?;
    if !pool.try_ref(index) {
        participant.domain.entry(listed).unlist(listed);
        return Ok(None);
    }
    fault::hit(Point::AttachReffed);
    pool.ledger_add(participant.slot, index, false);
    fault::hit(Point::AttachAdded);
    let buffer = Buffer { id: listed.ring, received: false };
    let let_go = || -> Result<()> {
        if participant.release(buffer)? {
            participant.wake_pool();
        }
        Ok(())
    };
    // We have a reference now, so if the entry is still the same, the buffer was and is this queue's ring.
    if !participant.domain.is_current(listed) {
        let_go()?;
        return Ok(None);
    }
    let (view, options) = match RingView::new(pool, index) {
        Ok(Some(ring)) => ring,
        damaged => {
            let_go()?;
            return Err(damaged.err().unwrap_or_else(corrupt));
        }
    };
    match view.header().state.load(Ordering::Acquire) {
        RING_DESTROYED => {
            // Its destroyer has not come to unlist it, and may never: help.
            unlist(participant, pool, index, listed);
            let_go()?;
            return Ok(None);
        }
        RING_REPLACED => {
            // Nobody sees it listed who is inside.
            let_go()?;
            let message = format!("queue {name:?}: its ring, buffer {}, is said to be replaced", listed.ring);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        _ => {}
    }
    view.header().attached.add(participant.slot);
    Ok(Some(PortQueue::new(Arc::clone(cache), name, listed, view, options)))
}

/// What the queue of an entry is called. It depends on nothing but the entry, so that everybody calls a queue the same: a dead-letter
/// queue is called after it.
fn full_name(entry: &NameEntry) -> String {
    let (name, label) = (entry.name.get(), entry.label.get());
    if entry.is_kind(Kind::Mailbox) {
        let (slot, epoch) = entry.owner();
        return format!("{name}, {label} mailbox of participant {slot} (epoch {epoch})");
    }
    if label.is_empty() { name } else { format!("{name}.{label}") }
}

/// Takes the entry out of the name table and drops its reference to the ring, once. The caller has pinned.
fn unlist(participant: &Participant, pool: &Pool, index: usize, listed: EntryRef) {
    if participant.domain.entry(listed).unlist(listed) {
        fault::hit(Point::DestroyUnlisted);
        participant.unref(pool, index, 1);
        fault::hit(Point::DestroyUnreffed);
    }
}

/// Makes a queue, listed under `key`; `prepare` fills in what only its kind has. The caller holds the lock of the name table and
/// has seen that the key is free.
///
/// Killed on the way, the ring is held by a dead participant or by nobody: freed by recount, with the claimed entry.
pub(crate) fn create(
    cache: &Arc<QueueCache>,
    key: EntryKey<'_>,
    options: ResolvedOptions,
    prepare: impl FnOnce(&RingHeader),
) -> Result<Arc<PortQueue>> {
    let participant = &cache.participant;
    let allocator = SharedBufferAllocator { participant: Arc::clone(participant) };
    let bytes = ring_bytes(options.capacity as usize, options.leases());
    let mut ids = [0];
    if allocator.allocate_ids(bytes, &mut ids)? == 0 {
        return Err(allocator.exhausted(bytes));
    }
    fault::hit(Point::CreateAllocated);
    let buffer = Buffer { id: ids[0], received: false };
    let made = (|| {
        let ring = lay_out(participant, buffer, &options)?;
        prepare(ring.header());
        ring.header().attached.add(participant.slot);
        fault::hit(Point::CreateInitialised);
        let _pin = participant.pin()?;
        let entry = participant.domain.claim_entry(participant.slot, key, buffer.id)?;
        fault::hit(Point::CreateClaimed);
        let (segment, index) = split_id(buffer.id);
        let pool = participant.held_pool(segment).ok_or_else(|| not_held(buffer))?;
        pool.try_ref(index); // the name table's reference; ours keeps the buffer from being freed
        fault::hit(Point::CreateReffed);
        let listed = participant.domain.list(entry);
        let name = full_name(participant.domain.entry(listed));
        fault::hit(Point::CreateListed);
        Ok(cache.add(PortQueue::new(Arc::clone(cache), name, listed, ring, options)))
    })();
    match made {
        Ok(queue) => {
            let waiters = &participant.domain.registry().name_waiters;
            waiters.wake(usize::MAX, participant.slot, |slot| participant.domain.notify(slot));
            Ok(queue)
        }
        Err(e) => {
            // Not through the allocator, which gives back what holds data only: this is a ring already.
            participant.let_go(buffer)?;
            Err(e)
        }
    }
}

/// Makes an empty ring of a buffer that is ours alone.
pub(super) fn lay_out(
    participant: &Participant,
    buffer: Buffer,
    options: &ResolvedOptions,
) -> Result<RingView> {
    let (segment, index) = split_id(buffer.id);
    let bytes = ring_bytes(options.capacity as usize, options.leases());
    // Checked, though it is ours: if the table of segments is damaged, another segment is there now.
    let is_there = |pool: &&Pool| index < pool.geometry.count && bytes <= pool.geometry.buffer_bytes;
    let pool = participant.held_pool(segment).filter(is_there).ok_or_else(|| not_held(buffer))?;
    let start = pool.payload(index);
    // SAFETY: the buffer has `bytes` bytes at least and is ours alone; zeros are an empty ring.
    unsafe { start.write_bytes(0, bytes) };
    let offset = pool.geometry.payload + index * pool.geometry.buffer_bytes;
    let header = View::<RingHeader>::new(pool.segment(), offset, 1)?;
    options.store(&header[0]);
    header[0].state.store(RING_OPEN, Ordering::Relaxed);
    if let Some(head) = pool.header(index) {
        head.kind.store(KIND_RING, Ordering::Release);
    }
    let (view, _) = RingView::new(pool, index)?.ok_or_else(|| not_held(buffer))?;
    Ok(view)
}

impl PortQueue {
    /// Says "no more": sends fail from now on, receivers drain what is left and then see the end. Idempotent.
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// let queue = shm.port_queue("close", &QueueOptions::default())?;
    /// queue.try_send(shm.allocate(10)?).unwrap();
    /// queue.close();
    /// assert!(matches!(queue.try_send(shm.allocate(10)?), Err(TrySendError::Closed(_))));
    /// assert_eq!(queue.try_receive()?.1, TakeOutcome::Done, "what is in it can be received");
    /// assert_eq!(queue.try_receive()?.1, TakeOutcome::Closed);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn close(&self) {
        // Inside: who replaces the ring sees that it is closed, or we see that it has been replaced.
        let Ok(pin) = self.participant.pin() else { return };
        // SYNC CLOSE (seq-cst), pairs with the check after each push: see `PortQueue::send`.
        let closed =
            self.header().state.compare_exchange(RING_OPEN, RING_CLOSED, Ordering::SeqCst, Ordering::SeqCst);
        fault::hit(Point::CloseMarked);
        drop(pin);
        if closed == Err(RING_REPLACED) {
            return self.instead().iter().for_each(|queue| queue.close());
        }
        self.wake_all();
    }

    /// Removes the queue for everybody: its name is free, its messages go back to the pool, every waiter ends. Idempotent.
    /// Returns how many messages it dropped: those that nobody had received, and no sender has taken back.
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// let queue = shm.port_queue("destroy", &QueueOptions::default())?;
    /// queue.destroy();
    /// assert_eq!(queue.try_receive()?.1, TakeOutcome::Destroyed);
    /// assert!(shm.find_queue("destroy")?.is_none());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn destroy(&self) -> u64 {
        // Inside, as for closing.
        let Ok(pin) = self.participant.pin() else { return 0 };
        let state = &self.header().state;
        if self.has_been_replaced() {
            drop(pin);
            return self.instead().map_or(0, |queue| queue.destroy());
        }
        state.store(RING_DESTROYED, Ordering::SeqCst);
        fault::hit(Point::DestroyMarked);
        let (segment, index) = split_id(self.listed.ring);
        if let Some(pool) = self.participant.held_pool(segment) {
            unlist(&self.participant, pool, index, self.listed);
        }
        drop(pin);
        let dropped = self.drain();
        self.wake_all();
        self.participant.domain.notify_all();
        dropped
    }

    /// Whether the queue has been closed or destroyed.
    pub fn is_closed(&self) -> bool {
        match self.state() {
            RING_OPEN => false,
            RING_REPLACED => self.instead().is_none_or(|queue| queue.is_closed()),
            _ => true,
        }
    }

    /// Whether the queue has been destroyed.
    pub fn is_destroyed(&self) -> bool {
        match self.state() {
            RING_DESTROYED => true,
            RING_REPLACED => self.instead().is_none_or(|queue| queue.is_destroyed()),
            _ => false,
        }
    }
}
