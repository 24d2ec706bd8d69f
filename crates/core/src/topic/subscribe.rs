//! Subscribing.

use super::history::At;
use super::{History, JoinState, SubscribeOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::{RingHeader, split_id};
use crate::limits::{BATCH_MAX, JOIN_STUCK_MAX, JOIN_TRIES_MAX};
use crate::queue::{PortQueue, QueueCache, create};
use crate::registry::{EntryKey, Kind, Participant};
use crate::sync::{Ordering, dekker_fence, fence};
use std::sync::Arc;

/// Subscribes to topic `name`, which need not exist yet, and returns the queue its messages come through: those that the topic keeps
/// first, then all that are published from now on.
pub(crate) fn subscribe(
    cache: &Arc<QueueCache>,
    name: &str,
    options: &SubscribeOptions,
) -> Result<Arc<PortQueue>> {
    let label = options.label(name)?;
    let called = if label.is_empty() { name.to_owned() } else { format!("{name}.{label}") };
    let asked = options.queue();
    // Before anything is made.
    asked.resolve(&called)?;
    let known = |queue: Arc<PortQueue>| {
        asked
            .check(Kind::Subscription.noun(), &called, queue.options())
            .map_err(|error| queue.differs(error))?;
        // Its maker may not have come to tell publishers of it, and may never.
        if let Some(topic) = cache.find(Kind::Topic, name)? {
            announce(&topic);
            close_with(&queue, &topic);
        }
        Ok(queue)
    };
    if let Some(queue) = find(cache, name, label)?.filter(|queue| has_begun(queue)) {
        return known(queue);
    }
    let _lock = cache.participant.lock_names(&called)?;
    if let Some(queue) = find(cache, name, label)? {
        if has_begun(&queue) {
            return known(queue);
        }
        // Whoever was about to make it has given up or died: we have the lock.
        queue.destroy();
    }
    loop {
        let topic = cache.find(Kind::Topic, name)?;
        let queue = make(cache, topic.as_deref(), name, label, &called, options)?;
        let Some(topic) = topic else { return Ok(queue) };
        match begin(&cache.participant, &queue, &topic) {
            Ok(true) => return Ok(queue),
            // The topic was destroyed meanwhile: wait for the next of that name.
            Ok(false) => {
                queue.destroy();
            }
            Err(e) => {
                queue.destroy();
                return Err(e);
            }
        }
    }
}

/// Removes the subscription `label` of topic `name`; `false`: there is none.
pub(crate) fn unsubscribe(cache: &Arc<QueueCache>, name: &str, label: &str) -> Result<bool> {
    let options = SubscribeOptions { name: Some(label.to_owned()), ..SubscribeOptions::default() };
    let queue = find(cache, name, options.label(name)?)?;
    Ok(queue.map(|queue| queue.destroy()).is_some())
}

fn has_begun(queue: &PortQueue) -> bool {
    JoinState(&queue.view().header().start).has_begun()
}

/// The subscription of that name, if it has one.
fn find(cache: &Arc<QueueCache>, name: &str, label: &str) -> Result<Option<Arc<PortQueue>>> {
    if label.is_empty() {
        return Ok(None);
    }
    cache.find_where(Kind::Subscription, name, |entry| entry.label.is(label))
}

/// Lists the subscription. Publishers that find it deliver at once, or, if there is something to copy first, wait for it to begin.
fn make(
    cache: &Arc<QueueCache>,
    topic: Option<&PortQueue>,
    name: &str,
    label: &str,
    called: &str,
    options: &SubscribeOptions,
) -> Result<Arc<PortQueue>> {
    let mut asked = options.queue();
    if let Some(topic) = topic {
        asked.type_id = Some(topic.options().type_id);
        asked.codec = Some(topic.options().codec.clone());
    }
    let copies = topic.is_some_and(|topic| History::of(topic.view()).is_some());
    let start = if copies { JoinState::JOINING } else { JoinState::AT_ONCE };
    let key = EntryKey { kind: Kind::Subscription, name, label };
    let prepare = |header: &RingHeader| header.start.store(start, Ordering::Relaxed);
    create(cache, key, asked.resolve(called)?, prepare)
}

/// Announces the subscription to publishers and copies the history; `false`: the topic has been destroyed meanwhile.
fn begin(participant: &Participant, queue: &PortQueue, topic: &PortQueue) -> Result<bool> {
    announce(topic);
    fault::hit(Point::SubscribeRaised);
    if let Some(history) = History::of(topic.view()) {
        let copied = copy(participant, queue, &history);
        // A copy that made room for the next one may have been the last of its message.
        participant.wake_pool();
        copied?;
    }
    if topic.is_over() {
        return Ok(false);
    }
    close_with(queue, topic);
    Ok(true)
}

/// Tells publishers that there is a subscription they do not know of; it is listed.
fn announce(topic: &PortQueue) {
    // SYNC T1 (release): whoever sees it raised finds the entry.
    topic.view().header().subscriptions.fetch_add(1, Ordering::AcqRel);
    // SYNC T1: listed, then we look at the history, and at the state of the topic (SYNC CLOSE). Pairs with the fence in `publish_one`.
    dekker_fence();
}

/// A subscription to a topic that takes no more messages gets none.
fn close_with(queue: &PortQueue, topic: &PortQueue) {
    if !topic.is_open() && !topic.is_over() {
        queue.close();
    }
}

/// Copies the history into the queue until nothing has been added meanwhile; from then on publishers deliver.
fn copy(participant: &Participant, queue: &PortQueue, history: &History<'_>) -> Result<()> {
    let start = JoinState(&queue.view().header().start);
    let count = history.capacity().min(queue.options().capacity.into());
    let (mut next, mut stuck, mut reached) = (history.oldest(count), 0, 0);
    for _ in 0..JOIN_TRIES_MAX {
        // Each try gets further, unless a publisher is just between two of its steps, or the ring is damaged.
        stuck = if next > reached { 0 } else { stuck + 1 };
        reached = reached.max(next);
        if stuck > JOIN_STUCK_MAX {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "cannot subscribe to {:?}: what the topic keeps, or the queue, is damaged",
                    queue.name()
                ),
            ));
        }
        let pin = participant.pin()?;
        let ticket = start.ticket();
        match copy_some(participant, queue, history, &mut next)? {
            Copied::All if start.begin(ticket, next) => {
                fault::hit(Point::SubscribeBegun);
                return Ok(());
            }
            Copied::All | Copied::Some => {}
            // Publishers were faster than we. What comes now has to follow on what we have, so that goes.
            Copied::Overtaken => {
                drop(pin);
                queue.drain();
                next = history.oldest(count);
            }
        }
    }
    Err(Error::new(
        ErrorKind::Timeout,
        format!("cannot subscribe to {:?}: its history changes faster than it can be copied", queue.name()),
    ))
}

/// How far a batch of copies came.
enum Copied {
    /// There was nothing left.
    All,
    Some,
    /// The next message had gone already.
    Overtaken,
}

fn copy_some(
    participant: &Participant,
    queue: &PortQueue,
    history: &History<'_>,
    next: &mut u64,
) -> Result<Copied> {
    for _ in 0..BATCH_MAX {
        let id = match history.at(*next) {
            At::Message(id) => id,
            At::Future => return Ok(Copied::All),
            At::Gone => return Ok(Copied::Overtaken),
        };
        let (segment, index) = split_id(id);
        let pool = participant.pool_without_row(segment)?.filter(|pool| pool.header(index).is_some());
        let counted = pool.filter(|pool| pool.try_ref(index));
        if counted.is_some() {
            fault::hit(Point::SubscribeReffed);
        }
        // SYNC REFS (acquire fence), pairs with `unref`: of a message without references we see that it has gone.
        fence(Ordering::Acquire);
        // Counted first, and looked at again: if it still is in the history, the reference is to this message.
        match (counted, history.at(*next) == At::Message(id)) {
            (Some(_), true) if queue.fill(id) => {
                fault::hit(Point::SubscribeCopied);
                *next = next.wrapping_add(1);
            }
            (Some(pool), _) => {
                participant.unref(pool, index, 1);
            }
            // What is in the history has a buffer with a reference: this is damaged, and skipped, as receivers do it.
            (None, true) => *next = next.wrapping_add(1),
            (None, false) => {}
        }
    }
    Ok(Copied::Some)
}

#[cfg(all(test, not(loom)))]
mod tests;
