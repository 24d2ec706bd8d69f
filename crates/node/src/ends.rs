//! Handles of queues, subscriptions and topics of one manager, and the leases of messages that JavaScript has.

use crate::block::Status;
use millrace::{PortQueue, QueueOptions, ShmManager, Topic, TopicOptions};
use std::sync::Arc;

/// The queue handles of a manager.
#[derive(Debug, Default)]
pub(crate) struct Ends(Vec<End>);

/// A queue handle: an open end, or the wish for one.
#[derive(Debug)]
struct End {
    name: String,
    what: What,
    queue: Option<Arc<PortQueue>>,
    topic: Option<Arc<Topic>>,
    state: State,
}

/// What a handle is for; `name` is the topic's unless it is a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Queue,
    /// To receive from; one for each who subscribes.
    Subscription,
    /// A subscription to send to, because it had no room.
    Target,
    Topic,
}

impl End {
    fn new(what: What, name: &str) -> Self {
        Self { name: name.to_owned(), what, queue: None, topic: None, state: State::Wanted }
    }
}

/// What has become of a queue handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In use, whether its queue exists or not.
    Wanted,
    /// Its queue was destroyed; it stays destroyed, whoever makes a new one of that name.
    Destroyed,
    /// A subscription that was ended here.
    Ended,
    /// Forgotten; the handle may be given out again.
    Detached,
}

impl Ends {
    /// A handle for queue `name`, created with `options` if they are given.
    pub(crate) fn add(
        &mut self,
        manager: &ShmManager,
        name: &str,
        options: Option<&QueueOptions>,
    ) -> millrace::Result<u32> {
        self.drop_destroyed();
        let queue = match options {
            Some(options) => Some(manager.port_queue(name, options)?),
            None => manager.find_queue(name)?,
        };
        let same = |end: &End| match (end.state, &end.queue, &queue) {
            (State::Wanted, Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (State::Wanted, None, _) => end.what == What::Queue && end.name == name,
            _ => false,
        };
        if let Some(known) = self.0.iter().position(same) {
            let end = &mut self.0[known];
            end.queue = end.queue.take().or(queue);
            return Ok(known as u32);
        }
        Ok(self.push(End { queue, ..End::new(What::Queue, name) }))
    }

    fn push(&mut self, end: End) -> u32 {
        if let Some(free) = self.0.iter().position(|end| end.state == State::Detached) {
            self.0[free] = end;
            return free as u32;
        }
        self.0.push(end);
        self.0.len() as u32 - 1
    }

    /// A handle to receive from a subscription to `topic`.
    pub(crate) fn add_subscription(&mut self, topic: &str, queue: Arc<PortQueue>) -> u32 {
        self.push(End { queue: Some(queue), ..End::new(What::Subscription, topic) })
    }

    /// The handle to send to a subscription to `topic`.
    pub(crate) fn add_target(&mut self, topic: &str, queue: Arc<PortQueue>) -> u32 {
        let same = |end: &End| {
            end.what == What::Target && end.queue.as_ref().is_some_and(|known| Arc::ptr_eq(known, &queue))
        };
        match self.0.iter().position(same) {
            Some(known) => known as u32,
            None => self.push(End { queue: Some(queue), ..End::new(What::Target, topic) }),
        }
    }

    /// A handle for topic `name`, created with `options` if they are given.
    pub(crate) fn add_topic(
        &mut self,
        manager: &ShmManager,
        name: &str,
        options: Option<&TopicOptions>,
    ) -> millrace::Result<u32> {
        self.drop_destroyed();
        let topic = options.map(|options| manager.topic(name, options)).transpose()?;
        let same = |end: &End| (end.what, end.state) == (What::Topic, State::Wanted) && end.name == name;
        if let Some(known) = self.0.iter().position(same) {
            let end = &mut self.0[known];
            end.topic = end.topic.take().or(topic);
            return Ok(known as u32);
        }
        Ok(self.push(End { topic, ..End::new(What::Topic, name) }))
    }

    /// The topic behind `handle`, as [`Ends::get`] for queues.
    #[inline]
    pub(crate) fn topic(
        &mut self,
        manager: &ShmManager,
        handle: u32,
    ) -> millrace::Result<Result<&Arc<Topic>, Status>> {
        let Some(end) = self.0.get_mut(handle as usize) else { return Ok(Err(Status::NotFound)) };
        match end.state {
            State::Wanted if end.topic.is_none() => end.topic = manager.find_topic(&end.name)?,
            State::Wanted => {}
            State::Destroyed => return Ok(Err(Status::Destroyed)),
            State::Ended | State::Detached => return Ok(Err(Status::NotFound)),
        }
        Ok(end.topic.as_ref().ok_or(Status::NotFound))
    }

    /// Which topic `handle` is a subscription to.
    pub(crate) fn subscribed_topic(&self, handle: u32) -> Option<&str> {
        let end = self.0.get(handle as usize).filter(|end| end.what == What::Subscription);
        end.map(|end| end.name.as_str())
    }

    /// Ends a subscription for whoever receives by this handle.
    pub(crate) fn end_subscription(&mut self, handle: u32) {
        if let Some(end) = self.0.get_mut(handle as usize).filter(|end| end.what == What::Subscription) {
            *end = End { state: State::Ended, ..End::new(What::Subscription, "") };
        }
    }

    /// The end behind `handle`, resolved if its queue exists by now; `NotFound` or `Destroyed` if there is none.
    #[inline]
    pub(crate) fn get(
        &mut self,
        manager: &ShmManager,
        handle: u32,
    ) -> millrace::Result<Result<&Arc<PortQueue>, Status>> {
        let Some(end) = self.0.get_mut(handle as usize) else { return Ok(Err(Status::NotFound)) };
        match end.state {
            State::Detached => return Ok(Err(Status::NotFound)),
            State::Destroyed => return Ok(Err(Status::Destroyed)),
            State::Ended => return Ok(Err(Status::Closed)),
            // Who waits for a topic waits for nothing but that it exists.
            State::Wanted if end.what == What::Topic => {
                if end.topic.is_none() {
                    end.topic = manager.find_topic(&end.name)?;
                }
                return Ok(Err(if end.topic.is_some() { Status::Ok } else { Status::NotFound }));
            }
            State::Wanted if end.queue.is_none() => end.queue = manager.find_queue(&end.name)?,
            State::Wanted => {}
        }
        Ok(end.queue.as_ref().ok_or(Status::NotFound))
    }

    /// The end behind `handle` if it has been resolved.
    pub(crate) fn resolved(&self, handle: u32) -> Option<&PortQueue> {
        self.0.get(handle as usize).and_then(|end| end.queue.as_deref())
    }

    /// Forgets the handle.
    pub(crate) fn detach(&mut self, handle: u32) {
        if let Some(end) = self.0.get_mut(handle as usize) {
            end.state = State::Detached;
            end.queue = None;
            end.topic = None;
        }
    }

    /// Lets go of queues that have been destroyed, so that their memory is free. Called at every ring; destroying rings everybody.
    pub(crate) fn drop_destroyed(&mut self) {
        for end in &mut self.0 {
            if end.queue.as_ref().is_some_and(|queue| queue.is_destroyed()) {
                end.queue = None;
                end.state = State::Destroyed;
            }
            let Some(topic) = &end.topic else { continue };
            topic.forget_ended();
            if topic.is_destroyed() {
                end.topic = None;
                end.state = State::Destroyed;
            }
        }
    }
}

/// Lease numbers below this one stand for "own reference" (0) and "received, nothing to acknowledge" (1).
pub(crate) const FIRST_LEASE: u32 = 2;

/// Leases of messages that JavaScript has, by number.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    kept: Vec<Option<(Arc<PortQueue>, u32)>>,
    free: Vec<u32>,
}

impl Leases {
    /// Remembers a lease and answers its number.
    #[inline]
    pub(crate) fn keep(&mut self, queue: &Arc<PortQueue>, lease: u32) -> u32 {
        let kept = Some((Arc::clone(queue), lease));
        let at = self.free.pop().unwrap_or_else(|| {
            self.kept.push(None);
            self.kept.len() as u32 - 1
        });
        self.kept[at as usize] = kept;
        at + FIRST_LEASE
    }

    /// The queue and lease behind `number`, which is forgotten. `None` for a number that stands for no lease.
    #[inline]
    pub(crate) fn take(&mut self, number: u32) -> Option<(Arc<PortQueue>, u32)> {
        let at = number.checked_sub(FIRST_LEASE)?;
        let kept = self.kept.get_mut(at as usize).and_then(Option::take)?;
        self.free.push(at);
        Some(kept)
    }
}
