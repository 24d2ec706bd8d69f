//! Publishing.

use super::{History, JoinState, Topic};
use crate::buffer::{Buffer, BufferPtr, SharedBufferAllocator, not_held};
use crate::error::Result;
use crate::fault::{self, Point};
use crate::layout::{RING_CLOSED, RING_DESTROYED, RING_OPEN, split_id};
use crate::limits::BATCH_MAX;
use crate::pool::Pool;
use crate::queue::{Offer, PortQueue, SendOutcome};
use crate::registry::{Kind, Pin};
use crate::sync::{Ordering, dekker_fence};
use std::sync::{Arc, MutexGuard, PoisonError};

/// What became of a batch.
#[derive(Debug)]
pub struct Published {
    /// Buffers that have been dealt with: the first so many are moved, the rest stays the caller's.
    pub accepted: usize,
    /// Messages that were put into queues, those of all subscribers together.
    pub delivered: usize,
    /// Messages that subscribers' policies dropped for want of room, each of them counted there.
    pub dropped: usize,
    /// Subscribers that let publishers wait and have no room: everybody else has the first message that was not accepted, which is
    /// still the caller's. To go on, send each of these a further reference to it, then release it.
    pub blocked: Vec<Arc<PortQueue>>,
    /// `Full` with `blocked`; `Closed` and `Destroyed`: nobody got the first message that was not accepted.
    pub outcome: Result<SendOutcome>,
}

impl Published {
    fn none(outcome: Result<SendOutcome>) -> Self {
        Self { accepted: 0, delivered: 0, dropped: 0, blocked: Vec::new(), outcome }
    }
}

/// A message that was not accepted by everybody.
#[derive(Debug)]
pub struct TryPublishError {
    /// What became of it: `Full` with those who have no room for it, while all others have got it, or nobody has.
    pub published: Box<Published>,
    /// The message, which is still the publisher's: with its lease, if it has one.
    pub buffer: BufferPtr,
}

impl std::fmt::Display for TryPublishError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.published.outcome {
            Ok(SendOutcome::Closed) => f.write_str("the topic is closed"),
            Ok(SendOutcome::Destroyed) => f.write_str("the topic has been destroyed"),
            Ok(_) => write!(f, "{} subscribers have no room for it", self.published.blocked.len()),
            Err(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TryPublishError {}

/// The subscriptions a publisher delivers to.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// What `subscriptions` was when the name table was scanned; `None`: never.
    seen: Option<u64>,
    list: Vec<Target>,
    /// What was in the list until it ended. Letting go of an end is an operation of its own, so it waits for the present one to be over.
    ended: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    queue: Arc<PortQueue>,
    /// From which position on it is for us to deliver, once it has begun.
    start: Option<u64>,
    /// Messages it was given and has not been told of.
    fresh: usize,
}

impl Target {
    /// Whether the message that was added to the history at `position` (`None`: to none) is for us to deliver.
    #[inline]
    fn wants(&mut self, position: Option<u64>) -> bool {
        if self.start.is_none() {
            self.start = JoinState(&self.queue.view().header().start).look();
        }
        self.start.is_some_and(|start| position.is_none_or(|position| position >= start))
    }
}

impl Targets {
    fn retain_open(&mut self) {
        self.ended.extend(self.list.extract_if(.., |target| !target.queue.is_open()));
    }

    /// Lets go of those that have ended.
    pub(super) fn forget_ended(&mut self) {
        self.retain_open();
        self.ended.clear();
    }

    /// Wakes subscribers, and lets go of those that have ended. Outside, because that may be many system calls.
    fn announce(&mut self) {
        for target in self.ended.drain(..).filter(|target| target.fresh > 0) {
            target.queue.announce(target.fresh);
        }
        for target in self.list.iter_mut().filter(|target| target.fresh > 0) {
            target.queue.announce(std::mem::take(&mut target.fresh));
        }
    }
}

/// References to the buffer that is being published: the publisher's own, which it keeps to the end, and those counted for others.
/// They are counted before they are given: killed in between, refs are too high, which a recount repairs.
struct Share<'a> {
    pool: &'a Pool,
    index: usize,
    spare: u32,
}

impl Share<'_> {
    /// Sees to it that `count` references can be given.
    #[inline]
    fn provide(&mut self, count: usize) {
        let missing = (count as u32).saturating_sub(self.spare);
        if missing > 0
            && let Some(header) = self.pool.header(self.index)
        {
            // Relaxed, as with a clone of any counted reference: we hold one.
            header.refs.fetch_add(missing, Ordering::Relaxed);
            self.spare += missing;
        }
        fault::hit(Point::PublishReffed);
    }

    #[inline]
    fn given(&mut self) {
        self.spare -= 1;
    }

    /// Drops `count` references.
    #[inline]
    fn drop_references(&self, count: u32) {
        if count > 0 && self.pool.unref(self.index, count) {
            self.pool.free(self.index / 64, 1 << (self.index % 64));
        }
    }
}

impl Topic {
    /// Publishes `buffers` (at most 256 are looked at), in order, up to the first that a subscriber has no room for and does not want
    /// to miss. Never waits.
    ///
    /// Killed on the way, some subscribers have a message and others do not.
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// let topic = shm.topic("publish", &TopicOptions::default())?;
    /// let queue = shm.subscribe("publish", &SubscribeOptions::default())?;
    /// let mut ids = [0; 3];
    /// shm.allocator().allocate_ids(100, &mut ids)?;
    /// let published = topic.publish(&ids.map(|id| Buffer { id, received: false }));
    /// assert_eq!((published.accepted, published.delivered, published.outcome?), (3, 3, SendOutcome::Done));
    /// assert_eq!(queue.len(), 3);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn publish(&self, buffers: &[Buffer]) -> Published {
        let mut published = Published::none(Ok(SendOutcome::Done));
        let mut targets = self.lock_targets();
        let mut left = &buffers[..buffers.len().min(BATCH_MAX)];
        while !left.is_empty() && matches!(published.outcome, Ok(SendOutcome::Done)) {
            // As many messages under one pin as make about one batch of queue operations.
            let at_once = (BATCH_MAX / (targets.list.len() + 1)).clamp(1, left.len());
            let (now, later) = left.split_at(at_once);
            published.outcome = self.publish_pinned(&mut targets, now, &mut published);
            targets.announce();
            left = later;
        }
        // Messages may have made room for others: in the history, or in queues that drop the oldest.
        self.participant.wake_pool();
        published
    }

    /// Publishes one message. A leased one is acknowledged when it was accepted.
    ///
    /// # Errors
    /// Always with the message: [`TryPublishError::published`] says what became of it.
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// let topic = shm.topic("try-publish", &TopicOptions { history: Some(1), ..TopicOptions::default() })?;
    /// let early = shm.subscribe("try-publish", &SubscribeOptions { capacity: Some(1), ..SubscribeOptions::default() })?;
    /// assert_eq!(topic.try_publish(shm.allocate(10)?).unwrap().delivered, 1);
    /// let late = shm.subscribe("try-publish", &SubscribeOptions::default())?;
    /// assert_eq!((early.len(), late.len()), (1, 1), "the late one gets what the topic keeps");
    /// // One has no room, the other has the message all the same. To go on, wait for room and send it to the first alone.
    /// let refused = topic.try_publish(shm.allocate(10)?).unwrap_err();
    /// assert_eq!((refused.published.delivered, refused.published.blocked.len(), late.len()), (1, 1, 2));
    /// drop(early.try_receive()?);
    /// refused.published.blocked[0].try_send(refused.buffer).expect("there is room now");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn try_publish(&self, buffer: BufferPtr) -> std::result::Result<Published, TryPublishError> {
        let allocator = SharedBufferAllocator { participant: Arc::clone(&self.participant) };
        let (leased, one) = (buffer.is_leased(), [buffer.buffer()]);
        if let Err(error) = allocator.share_for_send(&one, |_| leased) {
            return Err(TryPublishError { published: Box::new(Published::none(Err(error))), buffer });
        }
        let published = self.publish(&one);
        if published.accepted == 1 {
            buffer.sent();
            return Ok(published);
        }
        allocator.release_unsent(&one, 0, |_| leased);
        Err(TryPublishError { published: Box::new(published), buffer })
    }

    pub(super) fn lock_targets(&self) -> MutexGuard<'_, Targets> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish_pinned(
        &self,
        targets: &mut Targets,
        buffers: &[Buffer],
        published: &mut Published,
    ) -> Result<SendOutcome> {
        let pin = self.participant.pin()?;
        // Now, because here it may fail with nothing published.
        self.find_subscriptions(targets, &pin)?;
        let (before, mut outcome) = (published.accepted, Ok(SendOutcome::Done));
        for buffer in buffers {
            outcome = self.publish_one(targets, *buffer, published, &pin);
            if !matches!(outcome, Ok(SendOutcome::Done)) {
                break;
            }
            published.accepted += 1;
        }
        // One that somebody has no room for is published, too.
        let count = (published.accepted - before + usize::from(!published.blocked.is_empty())) as u64;
        self.ring.view().header().published.fetch_add(count, Ordering::Relaxed);
        pin.count_sent(count as usize);
        fault::hit(Point::PublishDone);
        outcome
    }

    #[inline]
    fn publish_one(
        &self,
        targets: &mut Targets,
        buffer: Buffer,
        published: &mut Published,
        pin: &Pin<'_>,
    ) -> Result<SendOutcome> {
        let topic = self.ring.view().header();
        match topic.state.load(Ordering::Acquire) {
            RING_OPEN => {}
            RING_CLOSED => return Ok(SendOutcome::Closed),
            _ => return Ok(SendOutcome::Destroyed),
        }
        let ((segment, index), slot) = (split_id(buffer.id), self.participant.slot);
        let pool = self.participant.pool(segment)?;
        let held = pool.filter(|pool| pool.is_data(index) && pool.holds(slot, index, buffer.received));
        let mut share = Share { pool: held.ok_or_else(|| not_held(buffer))?, index, spare: 0 };
        let history = History::of(self.ring.view());
        share.provide(targets.list.len() + usize::from(history.is_some()));
        let position = history.and_then(|history| self.keep(&history, buffer.id, &mut share));
        fault::hit(Point::PublishKept);
        // SYNC T1: the message is in the history, then we look who has subscribed; a subscriber does it the other way round. For the
        // state of the topic this is SYNC CLOSE, and for the tail SYNC T4.
        dekker_fence();
        if let (Some(history), Some(position)) = (history, position) {
            history.help(position);
        }
        let mut outcome = Ok(SendOutcome::Done);
        if topic.state.load(Ordering::Acquire) == RING_DESTROYED {
            // Whoever destroyed it may have emptied the history before our message was there.
            if position.is_some_and(|position| self.take_back(position, buffer.id)) {
                share.drop_references(1);
            }
            outcome = Ok(SendOutcome::Destroyed);
        } else if let Err(e) = self.find_subscriptions(targets, pin) {
            outcome = Err(e);
        } else {
            share.provide(targets.list.len());
            self.offer(targets, buffer.id, position, &mut share, published);
            if !published.blocked.is_empty() {
                outcome = Ok(SendOutcome::Full);
            }
        }
        if matches!(outcome, Ok(SendOutcome::Done)) {
            share.pool.ledger_remove(slot, index, buffer.received);
            share.spare += 1;
        }
        fault::hit(Point::PublishRemoved);
        share.drop_references(share.spare);
        outcome
    }

    /// Adds a message to the history.
    fn keep(&self, history: &History<'_>, id: u32, share: &mut Share<'_>) -> Option<u64> {
        let kept = history.keep(id)?;
        share.given();
        fault::hit(Point::PublishReplaced);
        if let Some(old) = kept.replaced {
            self.ring.forget(old);
        }
        Some(kept.position)
    }

    /// Takes a message out of the history of a destroyed topic, with its reference.
    #[cold]
    fn take_back(&self, position: u64, id: u32) -> bool {
        let ring = self.ring.view().ring();
        let taken = ring.retract(position, id, self.participant.slot as u32);
        taken.map(|taken| ring.recycle(taken)).is_some()
    }

    /// Offers a message to every subscriber.
    #[inline]
    fn offer(
        &self,
        targets: &mut Targets,
        id: u32,
        position: Option<u64>,
        share: &mut Share<'_>,
        published: &mut Published,
    ) {
        let mut some_ended = false;
        for target in &mut targets.list {
            if !target.wants(position) {
                continue;
            }
            match target.queue.offer(id) {
                Offer::Taken => {
                    share.given();
                    target.fresh += 1;
                    published.delivered += 1;
                }
                Offer::Dropped => published.dropped += 1,
                Offer::Full => published.blocked.push(Arc::clone(&target.queue)),
                Offer::Ended => some_ended = true,
            }
            fault::hit(Point::PublishOffered);
        }
        if some_ended {
            targets.retain_open();
        }
    }

    /// Scans the name table for subscriptions if somebody has subscribed since the last time.
    #[inline]
    fn find_subscriptions(&self, targets: &mut Targets, pin: &Pin<'_>) -> Result<()> {
        // SYNC T1 (acquire): a raised word comes after the entry that it stands for.
        let now = self.ring.view().header().subscriptions.load(Ordering::Acquire);
        if targets.seen == Some(now) { Ok(()) } else { self.scan(targets, now, pin) }
    }

    #[cold]
    fn scan(&self, targets: &mut Targets, now: u64, pin: &Pin<'_>) -> Result<()> {
        targets.retain_open();
        for listed in self.participant.domain.find_all(Kind::Subscription, self.name()) {
            if targets.list.iter().any(|target| target.queue.listed == listed) {
                continue;
            }
            let mut over = None;
            let queue = self.cache.get(listed, pin, &mut over)?;
            targets.ended.extend(over.map(|queue| Target { queue, start: None, fresh: 0 }));
            if let Some(queue) = queue {
                targets.list.push(Target { queue, start: None, fresh: 0 });
            }
        }
        targets.seen = Some(now);
        Ok(())
    }
}
