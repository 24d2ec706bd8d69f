//! Mailboxes: queues that one participant reads, and that end with it.

use super::ParticipantId;
use crate::error::Result;
use crate::queue::{PortQueue, QueueCache, QueueOptions, create};
use crate::registry::{Domain, EntryKey, EntryRef, Kind};
use crate::segment::validate_name;
use crate::sync::Ordering;
use std::sync::Arc;

/// What a mailbox is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Of somebody who asks: replies come into it.
    Client,
    /// Of somebody who serves: cancellations and credit for streams come into it. That it exists says that its owner serves.
    Server,
}

impl Role {
    fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// The mailbox of `participant`, made if there is none.
pub(crate) fn create_mailbox(
    cache: &Arc<QueueCache>,
    service: &str,
    role: Role,
    capacity: u32,
) -> Result<Arc<PortQueue>> {
    validate_name("service", service)?;
    let participant = &cache.participant;
    let epoch = participant.shared().epoch.load(Ordering::Relaxed);
    let owner = ParticipantId { slot: participant.slot, epoch };
    let options = QueueOptions { capacity: Some(capacity), ..QueueOptions::default() }.resolve(service)?;
    let _lock = participant.lock_names(service)?;
    if let Some(mailbox) = find_mailbox(cache, service, role, owner)? {
        return Ok(mailbox);
    }
    let key = EntryKey { kind: Kind::Mailbox, name: service, label: role.label() };
    create(cache, key, options, |_| {})
}

/// The mailbox of `owner`, if it has one.
pub(crate) fn find_mailbox(
    cache: &Arc<QueueCache>,
    service: &str,
    role: Role,
    owner: ParticipantId,
) -> Result<Option<Arc<PortQueue>>> {
    cache.find_where(Kind::Mailbox, service, |entry| {
        entry.label.is(role.label()) && entry.owner() == (owner.slot, owner.epoch)
    })
}

/// Owners of the mailboxes of servers.
pub(crate) fn servers(domain: &Domain, service: &str) -> Vec<ParticipantId> {
    let is_server = |entry: &crate::layout::NameEntry| entry.label.is(Role::Server.label());
    let mailboxes = domain.find_where(Kind::Mailbox, service, is_server);
    let owner = |at: EntryRef| {
        let (slot, epoch) = domain.entry(at).owner();
        // Of another tenant of the entry by now, or of somebody who is about to be recovered.
        let is_there = domain.is_current(at) && domain.is_tenant(slot, epoch);
        is_there.then_some(ParticipantId { slot, epoch })
    };
    mailboxes.filter_map(owner).collect()
}

/// Removes every mailbox of `service`, whosever it is; returns how many.
pub(crate) fn destroy_mailboxes(cache: &Arc<QueueCache>, service: &str) -> Result<usize> {
    let all: Vec<_> = cache.participant.domain.find_all(Kind::Mailbox, service).collect();
    let mut destroyed = 0;
    for entry in all {
        if let Some(mailbox) = cache.open(entry)? {
            mailbox.destroy();
            destroyed += 1;
        }
    }
    Ok(destroyed)
}
