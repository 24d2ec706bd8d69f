//! Topic: publish once, and every subscriber gets it, through a queue of its own with a policy of its own. One buffer, n references.
//!
//! A topic is an entry of the name table whose ring is its *history*. A subscription is an ordinary queue whose entry bears the topic's
//! name, so it may be there before the topic is. Publishers find subscriptions by scanning the name table, and scan again only when the
//! topic's word `subscriptions` has changed; that one has gone they see by its queue. There is no list to keep intact: a subscription
//! exists as long as its entry does, and a recovery removes those whose subscriber is dead.

mod history;
mod join_state;
#[cfg(all(test, loom))]
mod model;
mod options;
mod publish;
mod subscribe;

pub use options::{SubscribeOptions, TopicOptions};
pub use publish::{Published, TryPublishError};

pub(crate) use history::History;
pub(crate) use join_state::JoinState;
pub(crate) use subscribe::{subscribe, unsubscribe};

use crate::error::{Error, Result};
use crate::layout::{ParticipantSlot, RingHeader};
use crate::queue::{self, PortQueue, QueueCache};
use crate::registry::{EntryRef, Kind, Participant};
use crate::sync::Ordering;
use publish::Targets;
use std::sync::{Arc, Mutex};

/// This participant's end of a topic. It may publish; to subscribe see [`crate::ShmManager::subscribe`].
pub struct Topic {
    participant: Arc<Participant>,
    cache: Arc<QueueCache>,
    /// The end of the history's ring. Nothing is sent through it.
    ring: Arc<PortQueue>,
    targets: Mutex<Targets>,
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Topic({:?})", self.name())
    }
}

/// Whose a subscription is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Name of the subscription, empty = none.
    pub name: String,
    /// Slot, process id and name of the participant that made it, if that still takes part.
    pub participant: Option<(usize, u32, String)>,
}

/// Attaches to topic `name` if it exists.
pub(crate) fn attach(cache: &Arc<QueueCache>, name: &str) -> Result<Option<Topic>> {
    Ok(queue::attach(cache, Kind::Topic, name)?.map(|ring| Topic::new(cache, ring)))
}

/// The same, and creates it with the default options if somebody subscribes to it. Who names options creates the topic before they
/// subscribe, so nobody has.
pub(crate) fn attach_if_awaited(cache: &Arc<QueueCache>, name: &str) -> Result<Option<Topic>> {
    if let Some(topic) = attach(cache, name)? {
        return Ok(Some(topic));
    }
    let domain = &cache.participant.domain;
    match domain.find_all(Kind::Subscription, name).next() {
        Some(_) => attach_or_create(cache, name, &TopicOptions::default()).map(Some),
        None => Ok(None),
    }
}

/// Attaches to topic `name`, or creates it.
pub(crate) fn attach_or_create(cache: &Arc<QueueCache>, name: &str, options: &TopicOptions) -> Result<Topic> {
    let (ring, history) = options.resolve(name)?;
    let check = |ring: &PortQueue| options.check(ring).map_err(|error| differs(ring, error));
    let keep = |header: &RingHeader| header.history.store(history, Ordering::Relaxed);
    let ring = queue::attach_or_make(cache, Kind::Topic, name, || Ok(ring), check, keep)?;
    Ok(Topic::new(cache, ring))
}

/// `error`, that the topic is not what was asked for, with who else publishes or subscribes, and what to do.
fn differs(ring: &PortQueue, error: Error) -> Error {
    let domain = ring.domain();
    let owner = |listed: EntryRef| {
        let (slot, epoch) = domain.entry(listed).owner();
        domain.tenant(slot, epoch).map(ParticipantSlot::described)
    };
    let mut names = Vec::new();
    for name in domain.find_all(Kind::Subscription, ring.name()).filter_map(owner) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return ring.differs(error);
    }
    error.advising(&format!(
        "{} subscribe{} to it",
        names.join(", "),
        if names.len() == 1 { "s" } else { "" }
    ))
}

impl Topic {
    fn new(cache: &Arc<QueueCache>, ring: Arc<PortQueue>) -> Self {
        let (participant, cache) = (Arc::clone(&cache.participant), Arc::clone(cache));
        Self { participant, cache, ring, targets: Mutex::default() }
    }

    /// Name of the topic.
    pub fn name(&self) -> &str {
        self.ring.name()
    }

    /// Options the topic was created with; `history` as it was rounded.
    pub fn options(&self) -> TopicOptions {
        let is = self.ring.options();
        let history = Some(options::kept_by(self.ring.view().header()));
        TopicOptions { history, type_id: Some(is.type_id), codec: Some(is.codec.clone()) }
    }

    /// Checks what was asked for against what the topic is.
    pub(crate) fn check(&self, options: &TopicOptions) -> Result<()> {
        options.check(&self.ring).map_err(|error| differs(&self.ring, error))
    }

    /// Says "no more": publishing fails from now on, subscribers drain what they have and then see the end. Idempotent.
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// let topic = shm.topic("topic-close", &TopicOptions::default())?;
    /// let queue = shm.subscribe("topic-close", &SubscribeOptions::default())?;
    /// topic.try_publish(shm.allocate(10)?).unwrap();
    /// topic.close();
    /// assert_eq!(queue.try_receive()?.1, TakeOutcome::Done);
    /// assert_eq!(queue.try_receive()?.1, TakeOutcome::Closed);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn close(&self) {
        self.ring.close();
        self.for_each_subscription(PortQueue::close);
    }

    /// Removes the topic and its subscriptions for everybody. Idempotent.
    pub fn destroy(&self) {
        // The topic last, so that whoever finds it after our death can destroy it again; and once more those that came between: a
        // subscriber that sees the topic alive afterwards was listed before our second look.
        let destroy = |queue: &PortQueue| {
            queue.destroy();
        };
        self.for_each_subscription(destroy);
        self.ring.destroy();
        self.for_each_subscription(destroy);
    }

    /// Whether the topic has been closed or destroyed.
    pub fn is_closed(&self) -> bool {
        self.ring.is_closed()
    }

    /// Whether the topic has been destroyed.
    pub fn is_destroyed(&self) -> bool {
        self.ring.is_destroyed()
    }

    /// Whose subscription `queue` is.
    pub fn subscriber(&self, queue: &PortQueue) -> Subscriber {
        let domain = &self.participant.domain;
        let entry = domain.entry(queue.listed);
        let (slot, epoch) = entry.owner();
        let participant = domain
            .tenant(slot, epoch)
            .map(|participant| (slot, participant.pid.load(Ordering::Relaxed), participant.name.get()));
        Subscriber { name: entry.label.get(), participant }
    }

    /// Counts a message that the receivers of `queue` will never see, because the publisher does not wait for room any longer.
    pub fn pass_over(&self, queue: &PortQueue) {
        if !self.participant.has_left() {
            queue.count_missed(0);
        }
    }

    /// Lets go of subscriptions that have ended, so that their memory is free.
    pub fn forget_ended(&self) {
        self.lock_targets().forget_ended();
    }

    fn for_each_subscription(&self, f: impl Fn(&PortQueue)) {
        let all: Vec<_> = self.participant.domain.find_all(Kind::Subscription, self.name()).collect();
        for listed in all {
            // One that cannot be attached for want of memory or descriptors stays; what is destroyed by others is gone.
            if let Ok(Some(queue)) = self.cache.open(listed) {
                f(&queue);
            }
        }
    }
}
