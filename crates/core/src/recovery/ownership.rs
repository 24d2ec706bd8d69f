//! What ends with its owner: mailboxes, links, and subscriptions without a name. In an orderly leave the owner ends it; after a death
//! recovery does.

use crate::layout::{NameEntry, RingHeader};
use crate::queue::QueueCache;
use crate::registry::{EntryRef, Kind};
use crate::sync::Ordering;
use crate::topic::JoinState;
use std::sync::Arc;

/// Whether nobody is left for whom the ring behind `entry` is. A subscription with a name outlives its maker, once it has begun.
/// `lives` tells whether a tenant of a slot does.
pub(super) fn is_orphan(
    entry: &NameEntry,
    header: &RingHeader,
    lives: impl FnOnce(usize, u32) -> bool,
) -> bool {
    let is_unfinished = || entry.is_kind(Kind::Subscription) && !JoinState(&header.start).has_begun();
    let (slot, epoch) = entry.owner();
    (ends_with_owner(entry) || is_unfinished()) && !lives(slot, epoch)
}

fn ends_with_owner(entry: &NameEntry) -> bool {
    let is_owned = entry.is_kind(Kind::Mailbox) || entry.is_kind(Kind::Link);
    is_owned || entry.is_kind(Kind::Subscription) && entry.label.is("")
}

/// Destroys what ends with this participant. Before it retires.
pub(crate) fn end_owned(cache: &Arc<QueueCache>) {
    let participant = &cache.participant;
    let me = (participant.slot, participant.shared().epoch.load(Ordering::Relaxed));
    let is_ours =
        |(at, entry): (EntryRef, &NameEntry)| (ends_with_owner(entry) && entry.owner() == me).then_some(at);
    let all: Vec<_> = participant.domain.entries().filter_map(is_ours).collect();
    for entry in all {
        // What cannot be attached now is an orphan from now on.
        if let Ok(Some(queue)) = cache.open(entry) {
            queue.destroy();
        }
    }
}
