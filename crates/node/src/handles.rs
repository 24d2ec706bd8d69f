//! Handles of queues, subscriptions and topics of one manager.

use crate::block::Status;
use crate::error::Failure;
use millrace::{PortQueue, QueueOptions, ShmManager, Topic, TopicOptions};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bits of a handle that number its place; the others tell one tenant of the place from the next.
const PLACE_BITS: u32 = 20;
const PLACE_MASK: u32 = (1 << PLACE_BITS) - 1;
/// After so many tenants a place is left empty: a handle must never mean something else than it did.
const TENANTS_MAX: u32 = 1 << 11;

/// The handles of a manager. What has been destroyed or ended makes room for others; its handle goes on to say what became of it.
#[derive(Debug, Default)]
pub(crate) struct HandleTable {
    places: Vec<Place>,
    /// Empty places, the one that has been empty for the longest time first.
    free: VecDeque<u32>,
}

#[derive(Debug)]
struct Place {
    /// Raised when a tenant goes.
    tenant: u32,
    end: Option<End>,
    /// What a handle of the tenant before returns.
    before: Status,
}

/// A queue handle: an open end, or the wish for one.
#[derive(Debug)]
struct End {
    name: String,
    what: What,
    queue: Option<Arc<PortQueue>>,
    topic: Option<Arc<Topic>>,
}

/// What a handle is for; `name` is the topic's unless it is a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Queue,
    /// The queue of a SageQueue.
    Work,
    /// The queue of requests of a service.
    Requests,
    /// A mailbox of a service, ours or somebody else's. It does not come back.
    Mailbox,
    /// To receive from; one for each who subscribes.
    Subscription,
    /// A subscription to send to, because it had no room.
    Target,
    Topic,
}

impl End {
    fn new(what: What, name: &str) -> Self {
        Self { name: name.to_owned(), what, queue: None, topic: None }
    }

    /// Looks for the queue, if it has not been found yet.
    #[inline]
    fn resolve(&mut self, manager: &ShmManager) -> millrace::Result<()> {
        if self.queue.is_none() && self.what != What::Topic {
            self.queue = find(manager, self.what, &self.name)?;
        }
        Ok(())
    }

    /// The same, and makes a port queue that there is not.
    #[cold]
    fn make(&mut self, manager: &ShmManager) -> millrace::Result<()> {
        self.resolve(manager)?;
        if self.queue.is_none() && self.what == What::Queue {
            self.queue = Some(manager.port_queue(&self.name, &QueueOptions::default())?);
        }
        Ok(())
    }

    fn is_destroyed(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.is_destroyed())
            || self.topic.as_ref().is_some_and(|topic| topic.is_destroyed())
    }
}

impl HandleTable {
    /// A handle for the queue that is `what` and `name`, created with `options` if they are given.
    pub(crate) fn add(
        &mut self,
        manager: &ShmManager,
        what: What,
        name: &str,
        options: Option<&QueueOptions>,
    ) -> millrace::Result<u32> {
        self.drop_ended();
        let queue = match options {
            Some(options) => Some(match what {
                What::Work => manager.work_queue(name, options),
                What::Requests => manager.requests(name, options),
                _ => manager.port_queue(name, options),
            }?),
            None => find(manager, what, name)?,
        };
        let same = |end: &End| match (&end.queue, &queue) {
            (Some(a), Some(b)) => end.what == what && a.is_same(b),
            (None, _) => end.what == what && end.name == name,
            (Some(_), None) => false,
        };
        if let Some((handle, end)) = self.find(same) {
            end.queue = end.queue.take().or(queue);
            return Ok(handle);
        }
        Ok(self.push(End { queue, ..End::new(what, name) }))
    }

    fn find(&mut self, is_it: impl Fn(&End) -> bool) -> Option<(u32, &mut End)> {
        let ends = self.places.iter_mut().enumerate();
        ends.filter_map(|(at, place)| Some((place.tenant << PLACE_BITS | at as u32, place.end.as_mut()?)))
            .find(|(_, end)| is_it(end))
    }

    fn push(&mut self, end: End) -> u32 {
        let at = self.free.pop_front().unwrap_or_else(|| {
            self.places.push(Place { tenant: 0, end: None, before: Status::NotFound });
            self.places.len() as u32 - 1
        });
        let place = &mut self.places[at as usize];
        place.end = Some(end);
        place.tenant << PLACE_BITS | at
    }

    /// What `handle` stands for, or what became of it.
    #[inline]
    fn at(&mut self, handle: u32) -> Result<&mut End, Status> {
        let Some(place) = self.places.get_mut((handle & PLACE_MASK) as usize) else {
            return Err(Status::NotFound);
        };
        match (place.tenant.wrapping_sub(handle >> PLACE_BITS), &mut place.end) {
            (0, Some(end)) => Ok(end),
            (1, _) => Err(place.before),
            _ => Err(Status::Destroyed),
        }
    }

    /// Forgets what is behind `handle`, which returns `status` from now on.
    fn remove(&mut self, handle: u32, status: Status) {
        if self.at(handle).is_ok() {
            self.empty((handle & PLACE_MASK) as usize, status);
        }
    }

    fn empty(&mut self, at: usize, status: Status) {
        let place = &mut self.places[at];
        place.end = None;
        place.before = status;
        place.tenant += 1;
        if place.tenant < TENANTS_MAX {
            self.free.push_back(at as u32);
        }
    }

    /// A handle of its own for a mailbox of `service`.
    pub(crate) fn add_mailbox(&mut self, service: &str, mailbox: Arc<PortQueue>) -> u32 {
        self.push(End { queue: Some(mailbox), ..End::new(What::Mailbox, service) })
    }

    /// A handle to receive from a subscription to `topic`.
    pub(crate) fn add_subscription(&mut self, topic: &str, queue: Arc<PortQueue>) -> u32 {
        self.push(End { queue: Some(queue), ..End::new(What::Subscription, topic) })
    }

    /// The handle to send to a subscription to `topic`.
    pub(crate) fn add_target(&mut self, topic: &str, queue: Arc<PortQueue>) -> u32 {
        let same = |end: &End| {
            end.what == What::Target && end.queue.as_ref().is_some_and(|known| known.is_same(&queue))
        };
        match self.find(same) {
            Some((handle, _)) => handle,
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
        self.drop_ended();
        let topic = options.map(|options| manager.topic(name, options)).transpose()?;
        if let Some((handle, end)) = self.find(|end| end.what == What::Topic && end.name == name) {
            end.topic = end.topic.take().or(topic);
            return Ok(handle);
        }
        Ok(self.push(End { topic, ..End::new(What::Topic, name) }))
    }

    /// The topic behind `handle`, as [`HandleTable::queue`].
    #[inline]
    pub(crate) fn topic(&mut self, manager: &ShmManager, handle: u32) -> Result<&Arc<Topic>, Failure> {
        self.topic_by(handle, |name| manager.find_topic(name))
    }

    /// The same for a publisher: a topic that nobody has created, and somebody subscribes to, is made.
    #[inline]
    pub(crate) fn topic_to_publish(
        &mut self,
        manager: &ShmManager,
        handle: u32,
    ) -> Result<&Arc<Topic>, Failure> {
        self.topic_by(handle, |name| manager.awaited_topic(name))
    }

    #[inline]
    fn topic_by(
        &mut self,
        handle: u32,
        find: impl FnOnce(&str) -> millrace::Result<Option<Arc<Topic>>>,
    ) -> Result<&Arc<Topic>, Failure> {
        let end = self.at(handle)?;
        if end.topic.is_none() {
            end.topic = find(&end.name)?;
        }
        end.topic.as_ref().ok_or(Failure::Status(Status::NotFound))
    }

    /// Which topic `handle` is a subscription to.
    pub(crate) fn subscribed_topic(&mut self, handle: u32) -> Option<&str> {
        let end = self.at(handle).ok().filter(|end| end.what == What::Subscription);
        end.map(|end| end.name.as_str())
    }

    /// Ends a subscription for whoever receives by this handle; returns its queue.
    pub(crate) fn end_subscription(&mut self, handle: u32) -> Option<Arc<PortQueue>> {
        let end = self.at(handle).ok().filter(|end| end.what == What::Subscription)?;
        let queue = end.queue.take();
        self.remove(handle, Status::Closed);
        queue
    }

    /// The queue behind `handle`, resolved if it exists by now. The status `NotFound` if it does not, `Destroyed` or `Closed` if it has
    /// ended.
    #[inline]
    pub(crate) fn queue(&mut self, manager: &ShmManager, handle: u32) -> Result<&Arc<PortQueue>, Failure> {
        let end = self.at(handle)?;
        end.resolve(manager)?;
        end.queue.as_ref().ok_or(Failure::Status(Status::NotFound))
    }

    /// The same for a sender: who sends to a port queue that nobody has made makes it, with options that are nobody's wish.
    #[inline]
    pub(crate) fn queue_to_send(
        &mut self,
        manager: &ShmManager,
        handle: u32,
    ) -> Result<&Arc<PortQueue>, Failure> {
        let end = self.at(handle)?;
        if end.queue.is_none() {
            end.make(manager)?;
        }
        end.queue.as_ref().ok_or(Failure::Status(Status::NotFound))
    }

    /// Whether `handle` is for a topic. Whoever waits for one waits for nothing but that it exists.
    pub(crate) fn is_topic(&mut self, handle: u32) -> bool {
        self.at(handle).is_ok_and(|end| end.what == What::Topic)
    }

    /// The end behind `handle` if it has been resolved.
    pub(crate) fn resolved(&self, handle: u32) -> Option<&PortQueue> {
        let place = self.places.get((handle & PLACE_MASK) as usize)?;
        let end = place.end.as_ref().filter(|_| place.tenant == handle >> PLACE_BITS)?;
        end.queue.as_deref()
    }

    /// Forgets the handle.
    pub(crate) fn detach(&mut self, handle: u32) {
        self.remove(handle, Status::NotFound);
    }

    /// Lets go of rings of queues that have been destroyed, or replaced, so that their memory is free. Called at every wake, since both wake
    /// everybody who waits there, and when [`ShmManager::remaps`] has been raised.
    pub(crate) fn drop_ended(&mut self) {
        for at in 0..self.places.len() {
            let Some(end) = &mut self.places[at].end else { continue };
            if end.is_destroyed() {
                self.empty(at, Status::Destroyed);
            } else if let Some(topic) = &end.topic {
                topic.forget_ended();
            } else if let Some(next) = end.queue.as_ref().and_then(|queue| queue.instead()) {
                end.queue = Some(next);
            }
        }
    }
}

/// The queue that is `what` and `name`, if there is one.
fn find(manager: &ShmManager, what: What, name: &str) -> millrace::Result<Option<Arc<PortQueue>>> {
    match what {
        What::Work => manager.find_work_queue(name),
        What::Requests => manager.find_requests(name),
        _ => manager.find_queue(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_never_means_something_else() {
        let mut table = HandleTable::default();
        let handles: Vec<_> = (0..5000)
            .map(|i| {
                let handle = table.push(End::new(What::Queue, &i.to_string()));
                assert_eq!(table.at(handle).unwrap().name, i.to_string());
                table.remove(handle, Status::Closed);
                assert_eq!(table.at(handle).unwrap_err(), Status::Closed);
                handle
            })
            .collect();
        let mut distinct = handles.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), handles.len());
        assert!(table.places.len() <= 3, "{} places for one end at a time", table.places.len());
        assert!(!handles.contains(&crate::block::QUEUE_POOL));
        assert!(handles.iter().all(|handle| table.at(*handle).is_err()));
        assert_eq!(table.at(handles[0]).unwrap_err(), Status::Destroyed);
        assert_eq!(table.at(PLACE_MASK).unwrap_err(), Status::NotFound);
    }
}
