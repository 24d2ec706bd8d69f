//! The queues under test, in every place where a domain has queues, and what their messages are.

use crate::support::Isolated;
use millrace::{
    Delivery, OpenOptions, Overflow, PortQueue, QueueOptions, ShmManager, SubscribeOptions, Topic,
    TopicOptions,
};
use std::sync::Arc;

/// What has the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Queue,
    Work,
    Requests,
    Subscription,
}

pub(crate) struct Tested {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) overflow: Overflow,
    pub(crate) delivery: Delivery,
    limit: u32,
}

const fn tested(
    name: &'static str,
    place: Place,
    overflow: Overflow,
    delivery: Delivery,
    limit: u32,
) -> Tested {
    Tested { name, place, overflow, delivery, limit }
}

pub(crate) const UNDER_TEST: [Tested; 11] = [
    tested("sure", Place::Queue, Overflow::Block, Delivery::AtLeastOnce, 0),
    tested("block", Place::Queue, Overflow::Block, Delivery::AtMostOnce, 0),
    tested("drop-oldest", Place::Queue, Overflow::DropOldest, Delivery::AtMostOnce, 0),
    tested("drop-newest", Place::Queue, Overflow::DropNewest, Delivery::AtMostOnce, 0),
    tested("latest", Place::Queue, Overflow::Latest, Delivery::AtMostOnce, 0),
    tested("copied", Place::Queue, Overflow::Block, Delivery::AtMostOnce, 0),
    tested("limited", Place::Queue, Overflow::Block, Delivery::AtLeastOnce, 10),
    tested("work", Place::Work, Overflow::Block, Delivery::AtLeastOnce, 12),
    tested("requests", Place::Requests, Overflow::Block, Delivery::AtLeastOnce, 0),
    tested("subscribed", Place::Subscription, Overflow::Block, Delivery::AtLeastOnce, 0),
    tested("newest", Place::Subscription, Overflow::DropOldest, Delivery::AtMostOnce, 0),
];
/// The queue whose consumers copy.
pub(crate) const COPIED: usize = 5;
/// What publishers publish to; the subscription after it gets the same messages.
pub(crate) const SUBSCRIBED: usize = 9;
/// Bytes of the largest message.
pub(crate) const BYTES: usize = 512;
/// The topic, and the service.
pub(crate) const NAME: &str = "chaos";

/// The queue under test.
pub(crate) fn queue(shm: &ShmManager, index: usize) -> Arc<PortQueue> {
    let Tested { name, place, overflow, delivery, limit } = UNDER_TEST[index];
    let (overflow, delivery, capacity) = (Some(overflow), Some(delivery), Some(32));
    let options =
        QueueOptions { capacity, overflow, delivery, limit: Some(limit), ..QueueOptions::default() };
    let subscription =
        SubscribeOptions { name: Some(name.into()), capacity, overflow, delivery, max_deliveries: None };
    match place {
        Place::Queue => shm.port_queue(name, &options),
        Place::Work => shm.work_queue(name, &options),
        Place::Requests => shm.requests(NAME, &options),
        Place::Subscription => shm.subscribe(NAME, &subscription),
    }
    .unwrap()
}

pub(crate) fn topic(shm: &ShmManager) -> Arc<Topic> {
    shm.topic(NAME, &TopicOptions { history: Some(8), ..TopicOptions::default() }).unwrap()
}

/// Where consumers pass on what they have received, for the account.
pub(crate) fn done(shm: &ShmManager, index: usize) -> Arc<PortQueue> {
    let options = QueueOptions { capacity: Some(64), ..QueueOptions::default() };
    shm.port_queue(&format!("done-{}", UNDER_TEST[index].name), &options).unwrap()
}

/// Opens the domain under a name that says which queue (if any) the participant works on.
pub(crate) fn open(isolated: &Isolated, name: &str) -> ShmManager {
    let options =
        OpenOptions { max_bytes: Some(12 << 20), name: Some(name.to_owned()), ..isolated.options() };
    ShmManager::open(&isolated.name, &options).unwrap()
}

/// Bytes of message `count` of a producer.
pub(crate) fn bytes_of(count: u64) -> usize {
    16 << (count % 6)
}

/// What a message begins with, unique for ever: which life of which producer, and which message of it.
pub(crate) fn number_of(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}
