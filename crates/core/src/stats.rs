//! Read-only view of a domain as plain data. Numbers are read without stopping anybody: each is right for some moment.

mod topics;

pub use topics::{SubscriptionSnapshot, TopicSnapshot};

use crate::error::Result;
use crate::layout::{LeaseState, NameEntry, RING_OPEN, SEGMENT_READY};
use crate::limits::MAX_SEGMENTS;
use crate::pool::Pool;
use crate::queue::{Overflow, ResolvedOptions, RingView};
use crate::recovery::{Place, stalled_at};
use crate::registry::{Domain, EntryRef, Kind};
use crate::sync::Ordering;
use serde::Serialize;
use std::collections::BTreeMap;

/// A domain at one moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Name of the domain.
    pub domain: String,
    /// Its directory.
    pub directory: String,
    /// Wall clock of its creation, in ms since 1970.
    pub created_at_ms: u64,
    /// Version of the package that created it.
    pub version: String,
    /// Pool budget in bytes.
    pub max_bytes: u64,
    /// Payload bytes of all segments.
    pub used_bytes: u64,
    /// Whether it outlives its last participant.
    pub persist: bool,
    /// Recoveries so far.
    pub recoveries: u64,
    /// Everybody who takes part.
    pub participants: Vec<ParticipantSnapshot>,
    /// Buffers, by size.
    pub pools: Vec<PoolSnapshot>,
    /// Queues.
    pub queues: Vec<QueueSnapshot>,
    /// Topics, with their subscriptions.
    pub topics: Vec<TopicSnapshot>,
}

/// A participant at one moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantSnapshot {
    /// Slot number.
    pub slot: usize,
    /// Which tenant of the slot.
    pub epoch: u32,
    /// Process id as its own namespace numbers it.
    pub pid: u32,
    /// Name it gave itself.
    pub name: String,
    /// Wall clock of its joining, in ms since 1970.
    pub started_at_ms: u64,
    /// Messages it has sent.
    pub sent: u64,
    /// Messages it has received.
    pub received: u64,
    /// References to buffers it holds (those to rings of queues it uses included).
    pub held: u64,
    /// Where it stands still, if it has been seen to.
    pub stalled: Option<Place>,
}

/// All buffers of one size at one moment.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolSnapshot {
    /// Bytes of one buffer.
    pub buffer_bytes: u64,
    /// Buffers there are.
    pub buffers: u64,
    /// Buffers in use, rings of queues included.
    pub used: u64,
    /// Of these, rings of queues.
    pub rings: u64,
    /// Segments they lie in.
    pub segments: u64,
    /// Most buffers in use anybody has seen.
    pub high_water: u64,
}

/// A queue at one moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueSnapshot {
    /// Name.
    pub name: String,
    /// Messages it can hold.
    pub capacity: u32,
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
    /// Messages ever accepted. At rest: `sent = received + dropped + depth - pending`.
    pub sent: u64,
    /// Messages receivers have taken (for the first time).
    pub received: u64,
    /// Messages an overflow policy dropped. A sender killed in the middle of a drop may leave one uncounted.
    pub dropped: u64,
    /// Times a receiver had to wait.
    pub receive_waits: u64,
    /// Times a sender had to wait.
    pub send_waits: u64,
    /// Deepest it has been when a sender looked.
    pub high_water: u32,
    /// Ends that are open.
    pub attached: u32,
}

/// Reads everything.
pub(crate) fn snapshot(domain: &Domain) -> Result<Snapshot> {
    let registry = domain.registry();
    let pools = domain.all_pools()?;
    let is_ready = |i: &usize| registry.segments[*i].state.load(Ordering::Acquire) == SEGMENT_READY;
    let used_bytes =
        (0..MAX_SEGMENTS).filter(is_ready).map(|i| registry.segments[i].bytes.load(Ordering::Relaxed)).sum();
    Ok(Snapshot {
        domain: domain.name.clone(),
        directory: domain.dir.path().display().to_string(),
        created_at_ms: registry.created_ms.load(Ordering::Relaxed),
        version: registry.version.get(),
        max_bytes: registry.max_bytes.load(Ordering::Relaxed),
        used_bytes,
        persist: registry.persist.load(Ordering::Relaxed) != 0,
        recoveries: registry.recoveries.load(Ordering::Acquire),
        participants: participants(domain, &pools),
        queues: of_kind(domain, Kind::Queue).filter_map(|(at, _)| queue(domain, at)).collect(),
        topics: topics::topics(domain),
        pools: size_classes(domain, &pools),
    })
}

fn participants(domain: &Domain, pools: &[&Pool]) -> Vec<ParticipantSnapshot> {
    let snapshot = |(slot, p): (usize, &crate::layout::ParticipantSlot)| ParticipantSnapshot {
        slot,
        epoch: p.epoch.load(Ordering::Relaxed),
        pid: p.pid.load(Ordering::Relaxed),
        name: p.name.get(),
        started_at_ms: p.started_ms.load(Ordering::Relaxed),
        sent: p.lanes.iter().map(|lane| lane.sent.load(Ordering::Relaxed)).sum(),
        received: p.lanes.iter().map(|lane| lane.received.load(Ordering::Relaxed)).sum(),
        held: pools.iter().map(|pool| pool.references_of(slot)).sum(),
        stalled: stalled_at(p),
    };
    domain.active().map(snapshot).collect()
}

fn size_classes(domain: &Domain, pools: &[&Pool]) -> Vec<PoolSnapshot> {
    let mut classes = BTreeMap::<u64, PoolSnapshot>::new();
    for pool in pools {
        let bytes = pool.geometry.buffer_bytes as u64;
        let class = classes.entry(bytes).or_default();
        class.buffer_bytes = bytes;
        class.buffers += pool.geometry.count as u64;
        class.used += u64::from(pool.used());
        class.segments += 1;
        class.high_water += u64::from(pool.high_water());
    }
    for (listed, _) in domain.entries() {
        let pool = pools.iter().find(|p| p.index == crate::layout::split_id(listed.ring).0);
        if let Some(class) = pool.and_then(|p| classes.get_mut(&(p.geometry.buffer_bytes as u64))) {
            class.rings += 1;
        }
    }
    classes.into_values().collect()
}

/// What there is of a kind.
fn of_kind(domain: &Domain, kind: Kind) -> impl Iterator<Item = (EntryRef, &NameEntry)> {
    domain.entries().filter(move |(_, entry)| entry.is_kind(kind))
}

/// The ring of an entry, with its pool and index there.
fn ring(domain: &Domain, entry: EntryRef) -> Option<(&Pool, usize, RingView, ResolvedOptions)> {
    let (segment, at) = crate::layout::split_id(entry.ring);
    let pool = domain.pool(segment).ok().flatten()?;
    let (view, options) = RingView::new(pool, at).ok().flatten()?;
    Some((pool, at, view, options))
}

/// The queue behind an entry.
fn queue(domain: &Domain, entry: EntryRef) -> Option<QueueSnapshot> {
    let (pool, at, view, options) = ring(domain, entry)?;
    let header = view.header();
    let (_, tail) = view.ring().positions();
    let depth = view.depth() as u64;
    let head = tail.saturating_sub(depth);
    let dropped = header.dropped.load(Ordering::Relaxed);
    // Drop-newest drops what it has not published; the others what they have.
    let (sent, received) = match options.overflow {
        Overflow::DropNewest => (tail + dropped, head),
        _ => (tail, head.saturating_sub(dropped)),
    };
    let pending = view.leases().count(LeaseState::Pending) as u64;
    let name = domain.entry(entry).name.get();
    let attached = pool.header(at)?.refs.load(Ordering::Relaxed).saturating_sub(1);
    // Read while it was still this queue, or not at all.
    domain.is_current(entry).then(|| QueueSnapshot {
        name,
        capacity: options.capacity,
        overflow: options.overflow as u32,
        delivery: options.delivery as u32,
        producers: options.producers,
        consumers: options.consumers,
        type_id: options.type_id,
        codec: options.codec,
        closed: header.state.load(Ordering::Relaxed) != RING_OPEN,
        max_deliveries: options.max_deliveries,
        depth: depth + pending,
        // Who has reserved an entry may have taken the message already.
        leased: (view.leases().count(LeaseState::Leased) + view.leases().count(LeaseState::Reserved)) as u64,
        pending,
        redelivered: header.redelivered.load(Ordering::Relaxed),
        dead_lettered: header.dead_lettered.load(Ordering::Relaxed),
        sent,
        received,
        dropped,
        receive_waits: header.data_waiters.waits.load(Ordering::Relaxed),
        send_waits: header.space_waiters.waits.load(Ordering::Relaxed),
        high_water: header.high_water.load(Ordering::Relaxed).max(depth as u32),
        attached,
    })
}
