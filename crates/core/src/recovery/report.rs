//! What a recovery came to, as data that every participant can read.

use super::log::{read, remembered};
use crate::layout::{EVENT_DIED, EventRecord};
use crate::registry::Domain;
use crate::sync::Ordering;
use serde::Serialize;

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
    /// Messages of at-most-once queues it had taken and not released, and what was in its links.
    pub lost: u32,
    /// Messages that were put back for somebody else.
    pub redelivered: u32,
    /// Time the others were kept out, in ns.
    pub duration_ns: u64,
    /// Wall clock in ms since 1970.
    pub at_ms: u64,
    /// Recoveries right before this one whose reports are gone, because nobody asked here while the domain remembered them. What they
    /// came to is in [`RecoveredTotals`].
    pub missed: u64,
}

/// What all recoveries of a domain so far came to: the sums over their reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveredTotals {
    /// Buffers that went back to the pool.
    pub freed: u64,
    /// Messages of at-most-once queues that the dead had taken and not released, and what was in their links.
    pub lost: u64,
    /// Messages that were put back for somebody else.
    pub redelivered: u64,
}

/// The reports of the recoveries after number `seen`. What the domain remembers no more is counted in `missed` of the next that it does.
pub(crate) fn reports_since(domain: &Domain, seen: u64) -> Vec<RecoveryReport> {
    let is_death = |record: &EventRecord| record.kind.load(Ordering::Relaxed) == EVENT_DIED;
    let report = |_: u64, record: &EventRecord| is_death(record).then(|| report_of(record));
    let mut told = seen;
    let with_gap = |report: RecoveryReport| {
        let missed = report.sequence.saturating_sub(told).saturating_sub(1);
        told = report.sequence;
        RecoveryReport { missed, ..report }
    };
    let reports = remembered(domain, 0).filter_map(|sequence| read(domain, sequence, report).flatten());
    reports.filter(|report| report.sequence > seen).map(with_gap).collect()
}

/// What all recoveries so far came to.
pub(crate) fn totals(domain: &Domain) -> RecoveredTotals {
    loop {
        let newest = domain.registry().events.load(Ordering::Acquire);
        let totals = if newest == 0 { Some(RecoveredTotals::default()) } else { totals_at(domain, newest) };
        // Overwritten while we read: then there is a newer one. If there is not, the record is damaged.
        let is_newest = domain.registry().events.load(Ordering::Acquire) == newest;
        if totals.is_some() || is_newest {
            return totals.unwrap_or_default();
        }
    }
}

/// What all recoveries up to event `sequence` came to.
pub(super) fn totals_at(domain: &Domain, sequence: u64) -> Option<RecoveredTotals> {
    read(domain, sequence, |_, record| RecoveredTotals {
        freed: record.freed_total.load(Ordering::Relaxed),
        lost: record.lost_total.load(Ordering::Relaxed),
        redelivered: record.redelivered_total.load(Ordering::Relaxed),
    })
}

/// The report that the event of a death carries.
pub(super) fn report_of(record: &EventRecord) -> RecoveryReport {
    RecoveryReport {
        sequence: record.recoveries.load(Ordering::Relaxed),
        slot: record.slot.load(Ordering::Relaxed),
        epoch: record.epoch.load(Ordering::Relaxed),
        pid: record.pid.load(Ordering::Relaxed),
        name: record.name.get(),
        freed: record.freed.load(Ordering::Relaxed),
        lost: record.lost.load(Ordering::Relaxed),
        redelivered: record.redelivered.load(Ordering::Relaxed),
        duration_ns: record.duration_ns.load(Ordering::Relaxed),
        at_ms: record.at_ms.load(Ordering::Relaxed),
        missed: 0,
    }
}
