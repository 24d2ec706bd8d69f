//! Options of topics and subscriptions.

use crate::error::{Error, ErrorKind, Result};
use crate::layout::RingHeader;
use crate::limits::{MAX_QUEUE_CAPACITY, MAX_SUBSCRIPTION_NAME_BYTES};
use crate::queue::{Delivery, Overflow, PortQueue, QueueOptions, ResolvedOptions};
use crate::segment::validate_name;
use crate::sync::Ordering;

/// Options of a topic. `None` means: the default when creating, whatever it is when attaching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicOptions {
    /// Messages kept for those who subscribe later, 0 to 1 Mi; rounded up to a power of two. Default 0.
    pub history: Option<u32>,
    /// Number of the message type, compared at attach. Default 0: none.
    pub type_id: Option<u32>,
    /// Name of the codec, compared at attach. Default empty: none.
    pub codec: Option<String>,
}

/// Options of a subscription. `None` means: the default when creating, whatever it is when it exists by that name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// A subscription with a name, of up to 31 bytes, outlives its subscriber and goes on collecting; whoever subscribes by that name
    /// later goes on with it, and several at a time share its messages. Default: none, it ends with the subscriber.
    pub name: Option<String>,
    /// Messages its queue holds, 1 to 1 Mi; rounded up to a power of two. Default 1024.
    pub capacity: Option<u32>,
    /// What happens when it is full. `Block`: publishers wait. `Reject`: as `DropNewest`. Default `Block`.
    pub overflow: Option<Overflow>,
    /// Delivery mode. Default `AtMostOnce`.
    pub delivery: Option<Delivery>,
    /// Deliveries of one message before it goes to the queue `<topic>.<name>.dead`; needs `AtLeastOnce` and a name. Default 0: no limit.
    pub max_deliveries: Option<u32>,
}

impl TopicOptions {
    /// The ring of the topic, and how many messages it keeps.
    pub(super) fn resolve(&self, name: &str) -> Result<(ResolvedOptions, u32)> {
        let history = self.history.unwrap_or(0);
        if history as usize > MAX_QUEUE_CAPACITY {
            return Err(Error::invalid_argument(format!(
                "topic {name:?}: history is {history}, must be 0 to {MAX_QUEUE_CAPACITY}"
            )));
        }
        let ring = QueueOptions {
            capacity: Some(history.max(1)),
            type_id: self.type_id,
            codec: self.codec.clone(),
            ..QueueOptions::default()
        };
        Ok((ring.resolve(name)?, if history == 0 { 0 } else { history.next_power_of_two() }))
    }

    /// Compares what was asked for with what is; an error names the first difference.
    pub(super) fn check(&self, topic: &PortQueue) -> Result<()> {
        let (name, is) = (topic.name(), topic.options());
        let (asked, history) = self.resolve(name)?;
        let kept = kept_by(topic.view().header());
        let differs = |what: &str, asked: &dyn std::fmt::Debug, is: &dyn std::fmt::Debug| {
            Err(Error::new(
                ErrorKind::OptionsMismatch,
                format!("topic {name:?} exists with {what} {is:?}, {asked:?} was asked for"),
            ))
        };
        if let Some(asked) = self.history.filter(|_| history != kept) {
            return differs("history", &asked, &kept);
        }
        if self.type_id.is_some() && asked.type_id != is.type_id {
            return differs("type id", &asked.type_id, &is.type_id);
        }
        if self.codec.is_some() && asked.codec != is.codec {
            return differs("codec", &asked.codec, &is.codec);
        }
        Ok(())
    }
}

/// How many messages a topic keeps.
pub(super) fn kept_by(header: &RingHeader) -> u32 {
    header.history.load(Ordering::Relaxed)
}

impl SubscribeOptions {
    /// As options of the queue.
    pub(super) fn queue(&self) -> QueueOptions {
        QueueOptions {
            capacity: self.capacity,
            overflow: self.overflow,
            delivery: self.delivery,
            max_deliveries: self.max_deliveries,
            ..QueueOptions::default()
        }
    }

    /// The subscription's name, or the empty one; checked.
    pub(super) fn label(&self, topic: &str) -> Result<&str> {
        validate_name("topic", topic)?;
        let Some(name) = &self.name else {
            if self.max_deliveries.is_some_and(|limit| limit > 0) {
                return Err(Error::invalid_argument(format!(
                    "topic {topic:?}: maxDeliveries needs a subscription with a name, after which the dead-letter queue is called"
                )));
            }
            return Ok("");
        };
        validate_name("subscription", name)?;
        if name.len() > MAX_SUBSCRIPTION_NAME_BYTES {
            return Err(Error::new(
                ErrorKind::InvalidName,
                format!(
                    "subscription name {name:?} has {} bytes, {MAX_SUBSCRIPTION_NAME_BYTES} are possible",
                    name.len()
                ),
            ));
        }
        Ok(name)
    }
}
