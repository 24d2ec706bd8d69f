//! Queues at one moment.

use super::{of_kind as entries_of_kind, ring};
use crate::layout::{ParticipantSlot, RING_OPEN, RingHeader};
use crate::queue::{PortQueue, ResolvedOptions, RingView};
use crate::registry::{Domain, EntryRef, Kind};
use crate::sync::{Ordering, fence};
use serde::Serialize;

/// A queue at one moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueSnapshot {
    /// Name.
    pub name: String,
    /// Messages it can hold.
    pub capacity: u32,
    /// Messages a send may leave in it, 0 = as many as it can hold.
    pub limit: u32,
    /// Overflow policy, as its number.
    pub overflow: u32,
    /// Delivery mode, as its number.
    pub delivery: u32,
    /// 0 = many, 1 = one.
    pub producers: u32,
    /// 0 = many, 1 = one.
    pub consumers: u32,
    /// Number of the message type, 0 = none.
    pub type_id: u32,
    /// Name of the codec, empty = none.
    pub codec: String,
    /// Whether it takes no more messages.
    pub closed: bool,
    /// Deliveries of one message before it is given up, 0 = no limit.
    pub max_deliveries: u32,
    /// Messages in it, those that wait to be delivered again included.
    pub depth: u64,
    /// Of an at-least-once queue: messages that receivers have, or are just taking, and have not acknowledged.
    pub leased: u64,
    /// Messages that wait to be delivered again.
    pub pending: u64,
    /// Deliveries that were not the first.
    pub redelivered: u64,
    /// Messages moved to the dead-letter queue.
    pub dead_lettered: u64,
    /// Messages ever accepted, or missed for want of room. At rest: `sent = received + dropped + depth - pending`.
    pub sent: u64,
    /// Messages receivers have taken (for the first time).
    pub received: u64,
    /// Messages an overflow policy dropped, in the queue or before it, and those a publisher passed over. A sender killed in the middle of a drop may leave one uncounted.
    pub dropped: u64,
    /// Times a receiver had to wait.
    pub receive_waits: u64,
    /// Times a sender had to wait.
    pub send_waits: u64,
    /// Deepest it has been when a sender looked.
    pub high_water: u32,
    /// Ends that are open.
    pub attached: u32,
    /// Who has it open.
    pub users: Vec<QueueUser>,
}

/// A participant that has a queue open, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueUser {
    /// Its slot.
    pub participant: usize,
    /// Which tenant of the slot.
    pub epoch: u32,
    /// Whether it has sent here, or tried to.
    pub sends: bool,
    /// Whether it has received here, or tried to.
    pub receives: bool,
}

impl PortQueue {
    /// The queue at one moment; `None` when it has been destroyed. Costs no look at anything else of the domain.
    pub fn stats(&self) -> Option<QueueSnapshot> {
        queue(self.domain(), self.domain().current(self.listed)?)
    }

    /// The queue at one moment, or as it ended, if it has been destroyed: then nobody but us is said to be attached.
    pub fn last_stats(&self) -> QueueSnapshot {
        let last = || match self.instead() {
            Some(queue) => queue.last_stats(),
            None => describe(self.view(), self.options_meant(), self.name().to_owned(), 1, Vec::new()),
        };
        self.stats().unwrap_or_else(last)
    }
}

/// All queues of a kind.
pub(super) fn of_kind(domain: &Domain, kind: Kind) -> Vec<QueueSnapshot> {
    entries_of_kind(domain, kind).filter_map(|(at, _)| queue(domain, at)).collect()
}

/// The queue behind an entry.
pub(super) fn queue(domain: &Domain, mut entry: EntryRef) -> Option<QueueSnapshot> {
    loop {
        let described = queue_in(domain, entry);
        // Read while it was still this queue, or not at all; once more where another ring has taken the place of this one meanwhile.
        let now = domain.current(entry)?;
        if now == entry {
            return described;
        }
        entry = now;
    }
}

fn queue_in(domain: &Domain, entry: EntryRef) -> Option<QueueSnapshot> {
    let (view, options) = ring(domain, entry)?;
    let (name, header) = (domain.entry(entry).name.get(), view.header());
    let options = view.meant(&options);
    let attached = header.attached.count() as u32;
    let users = users(domain, header);
    Some(describe(&view, options, name, attached, users))
}

fn users(domain: &Domain, header: &RingHeader) -> Vec<QueueUser> {
    let user = |(slot, participant): (usize, &ParticipantSlot)| {
        let epoch = participant.epoch.load(Ordering::Relaxed);
        let is_there = header.attached.contains(slot);
        let (sends, receives) = (header.sending.contains(slot), header.receiving.contains(slot));
        // SYNC JOIN (acquire fence): what was read is the tenant's, unless the slot has been given to another meanwhile.
        fence(Ordering::Acquire);
        let user = QueueUser { participant: slot, epoch, sends, receives };
        (is_there && domain.is_tenant(slot, epoch)).then_some(user)
    };
    domain.active().filter_map(user).collect()
}

fn describe(
    view: &RingView,
    options: ResolvedOptions,
    name: String,
    attached: u32,
    users: Vec<QueueUser>,
) -> QueueSnapshot {
    let header = view.header();
    let (counts, tail) = (view.counts(), view.ring().published());
    let depth = counts.ready as u64;
    let head = tail.saturating_sub(depth);
    let (dropped, missed) = (header.dropped.load(Ordering::Relaxed), header.missed.load(Ordering::Relaxed));
    let pending = counts.pending as u64;
    QueueSnapshot {
        name,
        capacity: options.capacity,
        limit: options.limit,
        overflow: options.overflow as u32,
        delivery: options.delivery as u32,
        producers: options.producers,
        consumers: options.consumers,
        type_id: options.type_id,
        codec: options.codec,
        closed: header.state.load(Ordering::Relaxed) != RING_OPEN,
        max_deliveries: options.max_deliveries,
        depth: depth + pending,
        leased: counts.leased as u64,
        pending,
        redelivered: header.redelivered.load(Ordering::Relaxed),
        dead_lettered: header.dead_lettered.load(Ordering::Relaxed),
        sent: tail.saturating_add(missed),
        received: head.saturating_sub(dropped),
        dropped: dropped.saturating_add(missed),
        receive_waits: header.data_waiters.waits.load(Ordering::Relaxed),
        send_waits: header.space_waiters.waits.load(Ordering::Relaxed),
        high_water: header.high_water.load(Ordering::Relaxed).max(depth as u32),
        attached,
        users,
    }
}
