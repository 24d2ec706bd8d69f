//! What a recovery came to, as data that every participant can read.

use super::recount::Counts;
use crate::layout::ReportRecord;
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

/// Writes a report. The caller holds the recovery lock.
pub(super) fn publish(domain: &Domain, dead: &Dead, counts: &Counts, duration: Duration) {
    let registry = domain.registry();
    let participant = &registry.participants[dead.slot];
    let before = registry.recoveries.load(Ordering::Relaxed);
    let sequence = before.wrapping_add(1);
    let totals = totals_at(domain, before).unwrap_or_default();
    let record = record(domain, sequence);
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
    let totals = [
        (&record.freed_total, totals.freed, counts.freed),
        (&record.lost_total, totals.lost, counts.lost),
        (&record.redelivered_total, totals.redelivered, counts.redelivered),
    ];
    for (field, before, more) in totals {
        field.store(before.wrapping_add(more.into()), Ordering::Relaxed);
    }
    record.duration_ns.store(duration.as_nanos() as u64, Ordering::Relaxed);
    record.at_ms.store(now_ms(), Ordering::Relaxed);
    record.name.set(&participant.name.get());
    // SYNC REPORT (release), pairs with `read` (acquire).
    record.sequence.store(sequence, Ordering::Release);
    registry.recoveries.store(sequence, Ordering::Release);
}

/// The reports after number `seen`. What the domain remembers no more is counted in `missed` of the next that it does.
pub(crate) fn reports_since(domain: &Domain, seen: u64) -> Vec<RecoveryReport> {
    let newest = domain.registry().recoveries.load(Ordering::Acquire);
    let first = seen.saturating_add(1).max(newest.saturating_sub(MAX_REPORTS as u64 - 1));
    let mut told = seen;
    let with_gap = |report: RecoveryReport| {
        let missed = report.sequence.saturating_sub(told).saturating_sub(1);
        told = report.sequence;
        RecoveryReport { missed, ..report }
    };
    (first..=newest).filter_map(|sequence| read(domain, sequence, report_of)).map(with_gap).collect()
}

/// What all recoveries so far came to.
pub(crate) fn totals(domain: &Domain) -> RecoveredTotals {
    loop {
        let newest = domain.registry().recoveries.load(Ordering::Acquire);
        let totals = if newest == 0 { Some(RecoveredTotals::default()) } else { totals_at(domain, newest) };
        // Overwritten while we read: then there is a newer one. If there is not, the record is damaged.
        let is_newest = domain.registry().recoveries.load(Ordering::Acquire) == newest;
        if totals.is_some() || is_newest {
            return totals.unwrap_or_default();
        }
    }
}

fn totals_at(domain: &Domain, sequence: u64) -> Option<RecoveredTotals> {
    read(domain, sequence, |_, record| RecoveredTotals {
        freed: record.freed_total.load(Ordering::Relaxed),
        lost: record.lost_total.load(Ordering::Relaxed),
        redelivered: record.redelivered_total.load(Ordering::Relaxed),
    })
}

fn record(domain: &Domain, sequence: u64) -> &ReportRecord {
    &domain.registry().reports[(sequence % MAX_REPORTS as u64) as usize]
}

/// Reads from the record of number `sequence`, if that is there from the beginning to the end.
fn read<T>(domain: &Domain, sequence: u64, f: impl FnOnce(u64, &ReportRecord) -> T) -> Option<T> {
    let record = record(domain, sequence);
    // SYNC REPORT (acquire), pairs with `publish` (release).
    let is_intact = || record.sequence.load(Ordering::Acquire) == sequence;
    let value = is_intact().then(|| f(sequence, record))?;
    // Overwritten while we read: a newer recovery has taken the place.
    fence(Ordering::Acquire);
    is_intact().then_some(value)
}

fn report_of(sequence: u64, record: &ReportRecord) -> RecoveryReport {
    RecoveryReport {
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
        missed: 0,
    }
}
