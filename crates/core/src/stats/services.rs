//! Services at one moment.

use super::of_kind;
use super::queues::{QueueSnapshot, queue};
use crate::registry::{Domain, Kind};
use serde::Serialize;
use std::collections::BTreeMap;

/// A service at one moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSnapshot {
    /// Name.
    pub name: String,
    /// Its queue of requests, unless that has been destroyed; its `name` is the service's.
    pub requests: Option<QueueSnapshot>,
    /// Mailboxes of its clients and servers.
    pub mailboxes: Vec<MailboxSnapshot>,
}

/// A mailbox at one moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MailboxSnapshot {
    /// `client` or `server`.
    pub role: String,
    /// Slot of its owner.
    pub participant: usize,
    /// Which tenant of the slot.
    pub epoch: u32,
    /// Its queue; its `name` is the service's.
    #[serde(flatten)]
    pub queue: QueueSnapshot,
}

/// Every service that has a queue of requests or a mailbox, by name.
pub(super) fn services(domain: &Domain) -> Vec<ServiceSnapshot> {
    let mut services = BTreeMap::<String, ServiceSnapshot>::new();
    let service =
        |name: &str| ServiceSnapshot { name: name.to_owned(), requests: None, mailboxes: Vec::new() };
    for (at, _) in of_kind(domain, Kind::Requests) {
        let Some(queue) = queue(domain, at) else { continue };
        let service = services.entry(queue.name.clone()).or_insert_with_key(|name| service(name));
        service.requests = Some(queue);
    }
    for (at, entry) in of_kind(domain, Kind::Mailbox) {
        let ((participant, epoch), role) = (entry.owner(), entry.label.get());
        // Looked at last: then what was read before is of the same mailbox.
        let Some(queue) = queue(domain, at) else { continue };
        let service = services.entry(queue.name.clone()).or_insert_with_key(|name| service(name));
        service.mailboxes.push(MailboxSnapshot { role, participant, epoch, queue });
    }
    services.into_values().collect()
}
