//! Read-only view of a domain as plain data. Numbers are read without stopping anybody: each is right for some moment.

mod queues;
mod services;
mod topics;

pub use queues::{QueueSnapshot, QueueUser};
pub use services::{MailboxSnapshot, ServiceSnapshot};
pub use topics::{SubscriptionSnapshot, TopicSnapshot};

use crate::error::Result;
use crate::layout::{KIND_RING, NameEntry, ParticipantSlot, RING_REPLACED, SEGMENT_READY, ring_bytes};
use crate::limits::MAX_SEGMENTS;
use crate::pool::Pool;
use crate::queue::{ResolvedOptions, RingView};
use crate::recovery::{RecoveredTotals, totals};
use crate::registry::{Domain, EntryRef, Kind, StallPhase, stalled_at};
use crate::sync::{Ordering, fence};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// Segments that cannot be read, each with the reason: what lies in them is not counted here.
    pub damaged: Vec<String>,
    /// Buffers, by size.
    pub pools: Vec<PoolSnapshot>,
    /// Sums over all recoveries so far, exact however many reports were missed.
    pub recovered: RecoveredTotals,
    /// Port queues.
    pub queues: Vec<QueueSnapshot>,
    /// Queues of `SageQueue`s.
    pub work_queues: Vec<QueueSnapshot>,
    /// Services, with their mailboxes.
    pub services: Vec<ServiceSnapshot>,
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
    /// Where it is stalled, if it has been seen to be.
    pub stalled: Option<StallPhase>,
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
    /// Of these, rings of queues, and rings that queues had before they were resized, which somebody still has open.
    pub rings: u64,
    /// Segments they lie in.
    pub segments: u64,
    /// Most buffers in use anybody has seen.
    pub high_water: u64,
}

/// Reads everything.
pub(crate) fn snapshot(domain: &Domain) -> Result<Snapshot> {
    let registry = domain.registry();
    let (pools, unreadable) = domain.readable_pools()?;
    Ok(Snapshot {
        domain: domain.name.clone(),
        directory: domain.dir.path().display().to_string(),
        created_at_ms: registry.created_ms.load(Ordering::Relaxed),
        version: registry.header.version.get(),
        max_bytes: registry.max_bytes.load(Ordering::Relaxed),
        used_bytes: used_bytes(domain),
        persist: registry.header.persist.load(Ordering::Relaxed) != 0,
        recoveries: registry.recoveries.load(Ordering::Acquire),
        participants: participants(domain, &pools),
        recovered: totals(domain),
        queues: queues::of_kind(domain, Kind::Queue),
        work_queues: queues::of_kind(domain, Kind::Work),
        services: services::services(domain),
        topics: topics::topics(domain),
        damaged: unreadable.iter().map(|(_, reason)| reason.to_string()).collect(),
        pools: size_classes(domain, &pools),
    })
}

/// Payload bytes of all segments.
pub(crate) fn used_bytes(domain: &Domain) -> u64 {
    let segments = &domain.registry().segments;
    let is_ready = |i: &usize| segments[*i].state.load(Ordering::Acquire) == SEGMENT_READY;
    sum((0..MAX_SEGMENTS).filter(is_ready).map(|i| segments[i].bytes.load(Ordering::Relaxed)))
}

/// The sum of counts that may be damaged.
fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

fn participants(domain: &Domain, pools: &[Arc<Pool>]) -> Vec<ParticipantSnapshot> {
    let snapshot = |(slot, p): (usize, &ParticipantSlot)| {
        let epoch = p.epoch.load(Ordering::Relaxed);
        let snapshot = ParticipantSnapshot {
            slot,
            epoch,
            pid: p.pid.load(Ordering::Relaxed),
            name: p.name.get(),
            started_at_ms: p.started_ms.load(Ordering::Relaxed),
            sent: sum(p.lanes.iter().map(|lane| lane.sent.load(Ordering::Relaxed))),
            received: sum(p.lanes.iter().map(|lane| lane.received.load(Ordering::Relaxed))),
            held: pools.iter().map(|pool| pool.references_of(slot)).sum(),
            stalled: stalled_at(p),
        };
        // SYNC JOIN (acquire fence): what was read is the tenant's, unless the slot has been given to another meanwhile.
        fence(Ordering::Acquire);
        domain.is_tenant(slot, epoch).then_some(snapshot)
    };
    domain.active().filter_map(snapshot).collect()
}

fn size_classes(domain: &Domain, pools: &[Arc<Pool>]) -> Vec<PoolSnapshot> {
    let mut classes = BTreeMap::<u64, PoolSnapshot>::new();
    for pool in pools {
        let bytes = pool.geometry.buffer_bytes as u64;
        let class = classes.entry(bytes).or_default();
        class.buffer_bytes = bytes;
        class.buffers += pool.geometry.count as u64;
        class.used += u64::from(pool.used());
        class.segments += 1;
        class.high_water += u64::from(pool.high_water());
        class.rings += replaced_rings(pool);
    }
    for (listed, _) in domain.entries() {
        let pool = pools.iter().find(|p| p.index == crate::layout::split_id(listed.ring).0);
        if let Some(class) = pool.and_then(|p| classes.get_mut(&(p.geometry.buffer_bytes as u64))) {
            class.rings += 1;
        }
    }
    classes.into_values().collect()
}

/// Rings of a pool that others have taken the place of, and somebody still has open.
fn replaced_rings(pool: &Arc<Pool>) -> u64 {
    if pool.geometry.buffer_bytes < ring_bytes(1, 0) {
        return 0;
    }
    let is_replaced = |index: &usize| {
        let kind = pool.header(*index).map(|header| header.kind.load(Ordering::Acquire));
        let ring = || RingView::new(pool, *index).ok().flatten();
        pool.is_allocated(*index)
            && kind == Some(KIND_RING)
            && ring().is_some_and(|(ring, _)| ring.header().state.load(Ordering::Relaxed) == RING_REPLACED)
    };
    (0..pool.geometry.count).filter(is_replaced).count() as u64
}

/// What there is of a kind.
fn of_kind(domain: &Domain, kind: Kind) -> impl Iterator<Item = (EntryRef, &NameEntry)> {
    domain.entries().filter(move |(_, entry)| entry.is_kind(kind))
}

/// The ring of an entry.
fn ring(domain: &Domain, entry: EntryRef) -> Option<(RingView, ResolvedOptions)> {
    let (segment, at) = crate::layout::split_id(entry.ring);
    let pool = domain.pool(segment).ok().flatten()?;
    RingView::new(&pool, at).ok().flatten()
}
