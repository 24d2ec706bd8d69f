//! What a manager finds, and makes, by name.

use super::ShmManager;
use crate::error::Result;
use crate::queue::{PortQueue, QueueOptions, attach, attach_or_create, create};
use crate::registry::{EntryKey, Kind};
use crate::segment::validate_name;
use crate::service::{self, ParticipantId, Role};
use crate::topic::{self, SubscribeOptions, Topic, TopicOptions};
use std::sync::Arc;

impl ShmManager {
    /// Queue `name`, created with `options` if there is none.
    ///
    /// # Errors
    /// `InvalidName`, `InvalidArgument`, `OptionsMismatch`, `Exhausted`, `NoSpace`, `Limit`.
    pub fn port_queue(&self, name: &str, options: &QueueOptions) -> Result<Arc<PortQueue>> {
        attach_or_create(&self.queues, Kind::Queue, name, options)
    }

    /// Queue `name`, if there is one.
    ///
    /// # Errors
    /// `InvalidName`, `Corrupt`.
    pub fn find_queue(&self, name: &str) -> Result<Option<Arc<PortQueue>>> {
        attach(&self.queues, Kind::Queue, name)
    }

    /// The queue of `SageQueue` `name`, created with `options` if there is none. Port queues have names of their own.
    ///
    /// # Errors
    /// As [`ShmManager::port_queue`].
    pub fn work_queue(&self, name: &str, options: &QueueOptions) -> Result<Arc<PortQueue>> {
        attach_or_create(&self.queues, Kind::Work, name, options)
    }

    /// The queue of `SageQueue` `name`, if there is one.
    ///
    /// # Errors
    /// As [`ShmManager::find_queue`].
    pub fn find_work_queue(&self, name: &str) -> Result<Option<Arc<PortQueue>>> {
        attach(&self.queues, Kind::Work, name)
    }

    /// The queue of requests of service `name`, created with `options` if there is none; see [`service`](crate::service).
    ///
    /// # Errors
    /// As [`ShmManager::port_queue`].
    pub fn requests(&self, service: &str, options: &QueueOptions) -> Result<Arc<PortQueue>> {
        attach_or_create(&self.queues, Kind::Requests, service, options)
    }

    /// The queue of requests of service `name`, if there is one.
    ///
    /// # Errors
    /// As [`ShmManager::find_queue`].
    pub fn find_requests(&self, service: &str) -> Result<Option<Arc<PortQueue>>> {
        attach(&self.queues, Kind::Requests, service)
    }

    /// The mailbox of this participant in `service`, made for `capacity` messages if there is none. It ends when it is destroyed, and
    /// with its owner, in whatever way that goes.
    ///
    /// # Errors
    /// As [`ShmManager::port_queue`].
    pub fn create_mailbox(&self, service: &str, role: Role, capacity: u32) -> Result<Arc<PortQueue>> {
        service::create_mailbox(&self.queues, service, role, capacity)
    }

    /// A new queue between two blocks that this participant runs. It ends when it is destroyed, and with its owner, in whatever way that
    /// goes. `name` is for errors and statistics: nobody can find it, and there may be others of the same name.
    ///
    /// # Errors
    /// As [`ShmManager::port_queue`].
    pub fn create_link(&self, name: &str, options: &QueueOptions) -> Result<Arc<PortQueue>> {
        validate_name("link", name)?;
        let options = options.resolve(name)?;
        let _lock = self.participant.lock_names(name)?;
        create(&self.queues, EntryKey { kind: Kind::Link, name, label: "" }, options, |_| {})
    }

    /// The mailbox of another participant (or of this one) in `service`, if it has one.
    ///
    /// # Errors
    /// `Corrupt`, and when there is no memory or descriptor to attach it.
    pub fn find_mailbox(
        &self,
        service: &str,
        role: Role,
        owner: ParticipantId,
    ) -> Result<Option<Arc<PortQueue>>> {
        service::find_mailbox(&self.queues, service, role, owner)
    }

    /// Participants that serve `service` now.
    pub fn servers(&self, service: &str) -> Vec<ParticipantId> {
        service::servers(&self.participant.domain, service)
    }

    /// Removes `service` for everybody: its queue of requests, and the mailboxes of all its clients and servers; `false`: it has
    /// neither.
    ///
    /// # Errors
    /// `InvalidName`; `Corrupt`, and when there is no memory or descriptor to attach one of them: others stay then, too.
    pub fn destroy_service(&self, service: &str) -> Result<bool> {
        let requests = self.find_requests(service)?;
        // First, so that who comes meanwhile sees that there is nothing to come to.
        if let Some(queue) = &requests {
            queue.destroy();
        }
        let mailboxes = service::destroy_mailboxes(&self.queues, service)?;
        Ok(requests.is_some() || mailboxes > 0)
    }

    /// Topic `name`, created with `options` if there is none.
    ///
    /// # Errors
    /// `InvalidName`, `InvalidArgument`, `OptionsMismatch`, `Exhausted`, `NoSpace`, `Limit`.
    pub fn topic(&self, name: &str, options: &TopicOptions) -> Result<Arc<Topic>> {
        let make = || topic::attach_or_create(&self.queues, name, options);
        let topic = self.topics.get_or_open(name, make)?;
        topic.check(options).map(|()| topic)
    }

    /// Topic `name`, if there is one.
    ///
    /// # Errors
    /// `InvalidName`, `Corrupt`.
    pub fn find_topic(&self, name: &str) -> Result<Option<Arc<Topic>>> {
        let find = || topic::attach(&self.queues, name);
        self.topics.get_or_find(name, find)
    }

    /// Topic `name` for somebody who publishes to it: created with the default options if nobody has created it and somebody subscribes to
    /// it. `None`: nobody does either.
    ///
    /// # Errors
    /// As [`ShmManager::topic`].
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// assert!(shm.awaited_topic("topic-awaited")?.is_none());
    /// let queue = shm.subscribe("topic-awaited", &SubscribeOptions::default())?;
    /// let topic = shm.awaited_topic("topic-awaited")?.expect("somebody subscribes to it");
    /// topic.try_publish(shm.allocate(10)?).unwrap();
    /// assert_eq!(queue.try_receive()?.1, TakeOutcome::Done);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn awaited_topic(&self, name: &str) -> Result<Option<Arc<Topic>>> {
        let find = || topic::attach_if_awaited(&self.queues, name);
        self.topics.get_or_find(name, find)
    }

    /// Subscribes to topic `name`, which need not exist yet. The queue brings what the topic keeps for late comers, then all that is
    /// published from now on. Destroying it ends the subscription, and so does the end of this manager unless it has a name.
    ///
    /// # Errors
    /// `InvalidName`, `InvalidArgument`, `OptionsMismatch`, `Exhausted`, `NoSpace`, `Limit`.
    pub fn subscribe(&self, name: &str, options: &SubscribeOptions) -> Result<Arc<PortQueue>> {
        topic::subscribe(&self.queues, name, options)
    }

    /// Removes subscription `subscription` of topic `name`, whoever made it; `false`: there is none.
    ///
    /// # Errors
    /// `InvalidName`, `Corrupt`.
    pub fn unsubscribe(&self, name: &str, subscription: &str) -> Result<bool> {
        topic::unsubscribe(&self.queues, name, subscription)
    }
}
