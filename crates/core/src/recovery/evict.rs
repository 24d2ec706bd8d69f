//! Eviction: ends a participant that stands in the way, for certain that one, and waits until its death has been repaired.

use super::{RecoveryReport, Sweep, reports_since, sweep};
use crate::error::{Error, ErrorKind, Result};
use crate::liveness::{Tenant, unknown_process};
use crate::registry::{Domain, find_dead};
use crate::sync::Ordering;
use std::time::{Duration, Instant};

/// Kills the process of tenant `epoch` of `slot`, waits for its end, and recovers what it held (or waits until somebody has).
///
/// # Errors
/// `NotFound` when that participant has left or died already; `InvalidArgument` when it is one of this very process; `Unsupported` when
/// its process cannot be identified from here (another pid namespace, no pidfds); `Permission` when we may not kill it; `Timeout` when
/// it has not ended, or has not been recovered, in time.
pub(crate) fn evict(domain: &Domain, slot: usize, epoch: u32, timeout: Duration) -> Result<RecoveryReport> {
    let deadline = crate::os::deadline(timeout);
    let seen = domain.registry().recoveries.load(Ordering::Acquire);
    let gone = || {
        Error::new(
            ErrorKind::NotFound,
            format!("domain {:?} has no participant {slot} of epoch {epoch} (any more)", domain.name),
        )
    };
    let participant = domain.tenant(slot, epoch).ok_or_else(gone)?;
    let pid = participant.pid.load(Ordering::Relaxed);
    let tenant = Tenant::find(&domain.dir, slot, pid)?;
    // The lock is held by whoever is the tenant *now*: if that still is the one we mean, then so is the process.
    if !domain.is_tenant(slot, epoch) {
        return Err(gone());
    }
    match tenant {
        Some(_) if pid == std::process::id() => {
            return Err(Error::invalid_argument(format!(
                "participant {slot} is of this very process, {pid}: close its manager instead"
            )));
        }
        Some(tenant) => {
            tenant.kill()?;
            if !tenant.has_ended_within(deadline.saturating_duration_since(Instant::now())) {
                return Err(late(domain, slot, pid, "has been killed, and has not ended"));
            }
        }
        // Dead already: then its recovery is all that is left to do.
        None if find_dead(domain, slot)?.is_some() => {}
        None => return Err(unknown_process(slot, pid)),
    }
    loop {
        // Looked at before the reports: they are written before the slot is given away.
        let left = !domain.is_tenant(slot, epoch);
        let mut reports = reports_since(domain, seen).into_iter();
        if let Some(report) = reports.find(|report| (report.slot as usize, report.epoch) == (slot, epoch)) {
            return Ok(report);
        }
        if left {
            return Err(gone());
        }
        let why = match sweep(domain)? {
            Sweep::Later(hindrance) => hindrance.describe(domain),
            Sweep::Recovered(_) | Sweep::Nothing => "something still holds its life lock".to_owned(),
        };
        if Instant::now() >= deadline {
            return Err(late(domain, slot, pid, &format!("has ended, and has not been recovered: {why}")));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn late(domain: &Domain, slot: usize, pid: u32, what: &str) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!("participant {slot} of domain {:?} (process {pid}) {what}", domain.name),
    )
}
