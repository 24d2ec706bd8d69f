//! Topics and subscriptions at one moment.

use super::queues::{QueueSnapshot, queue};
use super::{of_kind, ring};
use crate::layout::RING_OPEN;
use crate::registry::{Domain, EntryRef, Kind};
use crate::sync::Ordering;
use serde::Serialize;
use std::collections::BTreeMap;

/// A topic at one moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicSnapshot {
    /// Name.
    pub name: String,
    /// Whether it has been created; else somebody has subscribed to a topic that is yet to come, and the rest is zero.
    pub exists: bool,
    /// Messages it keeps for those who subscribe later.
    pub history: u32,
    /// Of these, there now.
    pub kept: u64,
    /// Number of the message type, 0 = none.
    pub type_id: u32,
    /// Name of the codec, empty = none.
    pub codec: String,
    /// Whether it takes no more messages.
    pub closed: bool,
    /// Messages published. A publisher that was killed in a batch leaves it short.
    pub published: u64,
    /// Ends that are open.
    pub attached: u32,
    /// Who gets its messages.
    pub subscriptions: Vec<SubscriptionSnapshot>,
}

/// A subscription at one moment. `queue.name` is its own name, empty = none.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionSnapshot {
    /// Slot of the participant that made it.
    pub participant: usize,
    /// Which tenant of the slot.
    pub epoch: u32,
    /// Its queue.
    #[serde(flatten)]
    pub queue: QueueSnapshot,
}

/// Every topic that exists or is subscribed to, by name.
pub(super) fn topics(domain: &Domain) -> Vec<TopicSnapshot> {
    let all = of_kind(domain, Kind::Topic).filter_map(|(at, _)| topic(domain, at));
    let mut topics = BTreeMap::new();
    all.for_each(|topic| _ = topics.insert(topic.name.clone(), topic));
    for (at, entry) in of_kind(domain, Kind::Subscription) {
        let (participant, epoch) = entry.owner();
        let (topic, label) = (entry.name.get(), entry.label.get());
        // Looked at last: then what was read before is of the same subscription.
        let Some(queue) = queue(domain, at) else { continue };
        let queue = QueueSnapshot { name: label, ..queue };
        let topic = topics.entry(topic).or_insert_with_key(|name| yet_to_come(name));
        topic.subscriptions.push(SubscriptionSnapshot { participant, epoch, queue });
    }
    topics.into_values().collect()
}

fn topic(domain: &Domain, entry: EntryRef) -> Option<TopicSnapshot> {
    let (view, options) = ring(domain, entry)?;
    let header = view.header();
    let history = header.history.load(Ordering::Relaxed);
    let topic = TopicSnapshot {
        name: domain.entry(entry).name.get(),
        exists: true,
        history,
        kept: if history == 0 { 0 } else { view.ring().depth() },
        type_id: options.type_id,
        codec: options.codec,
        closed: header.state.load(Ordering::Relaxed) != RING_OPEN,
        published: header.published.load(Ordering::Relaxed),
        attached: header.attached.count() as u32,
        subscriptions: Vec::new(),
    };
    // Read while it was still this topic, or not at all.
    domain.is_current(entry).then_some(topic)
}

fn yet_to_come(name: &str) -> TopicSnapshot {
    TopicSnapshot {
        name: name.to_owned(),
        exists: false,
        history: 0,
        kept: 0,
        type_id: 0,
        codec: String::new(),
        closed: false,
        published: 0,
        attached: 0,
        subscriptions: Vec::new(),
    }
}
