//! What opening a domain has found.

use crate::stats::{QueueSnapshot, Snapshot};
use serde::Serialize;

/// How a participant came into its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "opened", content = "discarded", rename_all = "camelCase")]
pub enum Opened {
    /// There was none, so it was made.
    Created,
    /// Others are in it.
    Attached,
    /// All who were in it had died, so it was made anew. What that has ended; `None` where it could not be read.
    Recreated(Option<Discarded>),
    /// Nobody was in it, and it persists or has work queues: what is in it was kept.
    Resumed,
}

/// What was in a domain that was made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Discarded {
    /// Participants that had died.
    pub participants: u64,
    /// Port queues and topics.
    pub queues: u64,
    /// Messages in queues and subscriptions, those that had been received and not acknowledged included.
    pub messages: u64,
    /// Buffers in use.
    pub buffers: u64,
}

impl Discarded {
    pub(super) fn of(domain: &Snapshot) -> Self {
        let subscriptions = domain.topics.iter().flat_map(|topic| &topic.subscriptions).map(|one| &one.queue);
        let messages = |queue: &QueueSnapshot| queue.depth + queue.leased;
        Self {
            participants: domain.participants.len() as u64,
            queues: (domain.queues.len() + domain.topics.len()) as u64,
            messages: domain.queues.iter().chain(subscriptions).map(messages).sum(),
            buffers: domain.pools.iter().map(|pool| pool.used.saturating_sub(pool.rings)).sum(),
        }
    }
}
