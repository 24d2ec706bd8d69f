//! Repairing a death exactly: stop the world for a moment, recount, go on.
//!
//! Taking a dead participant's life lock is the right to recover it; the recovery lock makes sure that one process does so at a time.
//! Both are file locks: if the recoverer dies the kernel drops them and the next one starts over, which is harmless because
//! everything here is recomputed from the ground truth.
//!
//! The rules, each of which breaks the protocol when it is dropped (see docs/internals/recovery.md): look only when all the living
//! are outside their operations; roll TAKEN slots of the dead forward; whoever dies *during* a recovery is not in its set of the
//! dead and still counts as a holder until a recovery of its own.

mod assist;
mod event;
mod evict;
mod fsck;
mod log;
mod ownership;
mod recount;
mod report;
mod sentinel;
mod stalled;

pub(crate) use assist::assist;
pub use event::{Change, Event, EventCursor};
pub(crate) use evict::evict;
pub(crate) use fsck::fsck;
pub use fsck::{Finding, FindingKind};
pub(crate) use log::depart;
pub(crate) use ownership::end_owned;
pub use report::{RecoveredTotals, RecoveryReport};
pub(crate) use report::{reports_since, totals};
pub(crate) use sentinel::Sentinel;
pub use stalled::StallReport;
pub(crate) use stalled::stalled;

use crate::error::Result;
use crate::fault::{self, Point};
use crate::layout::PARTICIPANT_FREE;
use crate::registry::{
    Dead, Domain, Hindrance, World, find_dead, finish_abandoned, lock_recovery, with_world_stopped,
};
use crate::sync::Ordering;
use std::time::Instant;

/// How a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sweep {
    /// Everybody lives.
    Nothing,
    /// So many participants were dead and have been recovered.
    Recovered(usize),
    /// Not possible now: look again soon.
    Later(Hindrance),
}

/// Looks for dead participants and recovers them.
pub(crate) fn sweep(domain: &Domain) -> Result<Sweep> {
    let Some(_lock) = lock_recovery(domain)? else { return Ok(Sweep::Later(Hindrance::Recovery)) };
    fault::hit(Point::RecoverLocked);
    log::tell(domain, None);
    let mut dead = Vec::new();
    for (slot, _) in domain.active() {
        dead.extend(find_dead(domain, slot)?);
    }
    if dead.is_empty() {
        finish_abandoned(domain);
        return Ok(Sweep::Nothing);
    }
    let started = Instant::now();
    match with_world_stopped(domain, &mut dead, |dead| recover(domain, dead, started))? {
        World::Stopped(recovered) => recovered?,
        World::Moving(hindrance) => return Ok(Sweep::Later(hindrance)),
    }
    fault::hit(Point::RecoverResumed);
    Ok(Sweep::Recovered(dead.len()))
}

/// Recounts, reports, and gives the slots of the dead away.
fn recover(domain: &Domain, dead: &[Dead], started: Instant) -> Result<()> {
    let counts = recount::recount(domain, dead)?;
    fault::hit(Point::RecoverForgotten);
    for (dead, counts) in dead.iter().zip(&counts) {
        log::append_death(domain, dead, counts, started.elapsed());
        fault::hit(Point::RecoverReported);
        let participant = &domain.registry().participants[dead.slot];
        for lane in &participant.lanes {
            lane.inside.store(0, Ordering::Relaxed);
            lane.taking.store(0, Ordering::Relaxed);
        }
        participant.wake.sleepers.store(0, Ordering::Relaxed);
        participant.stalled.store(0, Ordering::Relaxed);
        // SYNC JOIN (release). Last: a recoverer that dies earlier leaves the slot to the next one.
        participant.state.store(PARTICIPANT_FREE, Ordering::Release);
        fault::hit(Point::RecoverVacated);
    }
    // While `recovering` is raised: if we die before the end of this, the next to sweep finds it raised, and announces again.
    // A notification may have died with the notifier, too: whoever waits looks again.
    domain.announce_departures();
    Ok(())
}
