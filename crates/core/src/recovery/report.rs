//! What a recovery came to, as data that every participant can read.

use super::recount::Counts;
use crate::limits::MAX_REPORTS;
use crate::registry::{Dead, Domain, now_ms};
use crate::sync::{Ordering, fence};
use serde::Serialize;
use std::time::Duration;

/// The recovery of one dead participant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryReport {
    /// Number of this recovery in its domain, from 1.
    pub sequence: u64,
    /// The participant's slot.
    pub slot: u32,
    /// Which tenant of the slot it was.
    pub epoch: u32,
    /// Process id, as its own namespace numbered it.
    pub pid: u32,
    /// Name it had given itself.
    pub name: String,
    /// Buffers that went back to the pool. Of several participants recovered at once the first report carries them all.
    pub freed: u32,
    /// Messages of at-most-once queues it had taken and not released.
    pub lost: u32,
    /// Messages that were put back for somebody else.
    pub redelivered: u32,
    /// Time the others were kept out, in ns.
    pub duration_ns: u64,
    /// Wall clock in ms since 1970.
    pub at_ms: u64,
}

/// Writes a report. The caller holds the recovery lock.
pub(super) fn publish(domain: &Domain, dead: &Dead, counts: &Counts, duration: Duration) {
    let registry = domain.registry();
    let participant = &registry.participants[dead.slot];
    let sequence = registry.recoveries.load(Ordering::Relaxed) + 1;
    let record = &registry.reports[sequence as usize % MAX_REPORTS];
    // Readers skip a record whose sequence is not the one they look for.
    record.sequence.store(0, Ordering::Relaxed);
    fence(Ordering::Release);
    let fields = [
        (&record.slot, dead.slot as u32),
        (&record.epoch, dead.epoch),
        (&record.pid, participant.pid.load(Ordering::Relaxed)),
        (&record.freed, counts.freed),
        (&record.lost, counts.lost),
        (&record.redelivered, counts.redelivered),
    ];
    for (field, value) in fields {
        field.store(value, Ordering::Relaxed);
    }
    record.duration_ns.store(duration.as_nanos() as u64, Ordering::Relaxed);
    record.at_ms.store(now_ms(), Ordering::Relaxed);
    record.name.set(&participant.name.get());
    // SYNC REPORT (release), pairs with `reports_since` (acquire).
    record.sequence.store(sequence, Ordering::Release);
    registry.recoveries.store(sequence, Ordering::Release);
}

/// The reports after number `seen`; of very many only the newest.
pub(crate) fn reports_since(domain: &Domain, seen: u64) -> Vec<RecoveryReport> {
    let registry = domain.registry();
    let newest = registry.recoveries.load(Ordering::Acquire);
    let first = (seen + 1).max(newest.saturating_sub(MAX_REPORTS as u64 - 1));
    let read = |sequence: u64| {
        let record = &registry.reports[sequence as usize % MAX_REPORTS];
        let intact = || record.sequence.load(Ordering::Acquire) == sequence;
        let report = intact().then(|| RecoveryReport {
            sequence,
            slot: record.slot.load(Ordering::Relaxed),
            epoch: record.epoch.load(Ordering::Relaxed),
            pid: record.pid.load(Ordering::Relaxed),
            name: record.name.get(),
            freed: record.freed.load(Ordering::Relaxed),
            lost: record.lost.load(Ordering::Relaxed),
            redelivered: record.redelivered.load(Ordering::Relaxed),
            duration_ns: record.duration_ns.load(Ordering::Relaxed),
            at_ms: record.at_ms.load(Ordering::Relaxed),
        })?;
        // Overwritten while we read: a newer recovery has taken the place.
        fence(Ordering::Acquire);
        intact().then_some(report)
    };
    (first..=newest).filter_map(read).collect()
}
