//! Repairing a death exactly: stop the world for a moment, recount, go on.
//!
//! Taking a dead participant's life lock is the right to recover it; the recovery lock makes sure that one process does so at a time.
//! Both are file locks: if the recoverer dies the kernel drops them and the next one starts over, which is harmless because
//! everything here is recomputed from the ground truth.
//!
//! The rules, each of which breaks the protocol when it is dropped (see docs/internals/recovery.md): look only when all the living
//! are outside their operations; roll TAKEN slots of the dead forward; whoever dies *during* a recovery is not in its set of the
//! dead and still counts as a holder until a recovery of its own.

mod evict;
mod fsck;
mod ownership;
mod recount;
mod report;
mod sentinel;
mod stalled;

pub(crate) use evict::evict;
pub(crate) use fsck::fsck;
pub use fsck::{Finding, FindingKind};
pub(crate) use ownership::end_owned;
pub use report::RecoveryReport;
pub(crate) use report::reports_since;
pub(crate) use sentinel::Sentinel;
pub use stalled::{Place, StallReport};
pub(crate) use stalled::{stalled, stalled_at};

use crate::error::Result;
use crate::fault::{self, Point};
use crate::layout::{PARTICIPANT_ACTIVE, PARTICIPANT_FREE, RECOVERING_FOR_GOOD};
use crate::limits::{MAX_PARTICIPANTS, QUIESCE_NS};
use crate::liveness::LifeLock;
use crate::registry::Domain;
use crate::sync::{Ordering, fence};
use crate::wait::futex_wake_all;
use std::time::{Duration, Instant};

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

/// Why a recovery could not be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// Somebody else recovers (or looks).
    Recovery,
    /// The participant in this slot lives and did not leave its operation.
    Inside(usize),
}

impl Hindrance {
    /// In words, for an error.
    fn describe(self, domain: &Domain) -> String {
        let slot = match self {
            Self::Inside(slot) => Some(slot),
            Self::Recovery => domain.recoverer().or_else(|| {
                let stalled = stalled(domain).into_iter().find(|s| s.place == Place::Recovering);
                stalled.map(|s| s.slot)
            }),
        };
        let who = slot.and_then(|slot| domain.participants().get(slot).map(|p| (slot, p))).map_or_else(
            || "somebody".to_owned(),
            |(slot, p)| {
                let pid = p.pid.load(Ordering::Relaxed);
                format!("participant {slot} ({:?}, process {pid})", p.name.get())
            },
        );
        match self {
            Self::Inside(_) => format!("{who} stays inside an operation: it is stopped"),
            Self::Recovery => format!("{who} recovers, or looks, and does not come to an end"),
        }
    }
}

/// How [`with_world_stopped`] ended.
pub(crate) enum World<T> {
    Stopped(T),
    Moving(Hindrance),
}

/// A dead participant: its slot is ours as long as this exists.
pub(crate) struct Dead {
    pub(crate) slot: usize,
    pub(crate) epoch: u32,
    _life: LifeLock,
}

/// Looks for dead participants and recovers them.
pub(crate) fn sweep(domain: &Domain) -> Result<Sweep> {
    let Some(_lock) = try_lock(domain)? else { return Ok(Sweep::Later(Hindrance::Recovery)) };
    fault::hit(Point::RecoverLocked);
    let mut dead = Vec::new();
    for (slot, _) in domain.active() {
        dead.extend(find_dead(domain, slot)?);
    }
    if dead.is_empty() {
        // We hold the lock, so a raised word was left by a recoverer that died after it had freed the slots of its dead.
        if resume(domain) {
            domain.notify_all();
        }
        return Ok(Sweep::Nothing);
    }
    let started = Instant::now();
    match with_world_stopped(domain, &mut dead, |dead| recover(domain, dead, started))? {
        World::Stopped(recovered) => recovered?,
        World::Moving(hindrance) => return Ok(Sweep::Later(hindrance)),
    }
    fault::hit(Point::RecoverResumed);
    // A ring may have died with the ringer; whoever waits looks again.
    domain.notify_all();
    Ok(Sweep::Recovered(dead.len()))
}

/// The right to stop the world; `None` while somebody else has it.
fn try_lock(domain: &Domain) -> Result<Option<std::fs::File>> {
    let lock = domain.dir.lock_file("recovery.lock", true)?;
    Ok(lock.try_lock().is_ok().then_some(lock))
}

/// Runs `f` while all the living are outside their operations, unless one of them stays inside. Who dies inside meanwhile joins
/// `dead`. The caller holds the recovery lock.
fn with_world_stopped<T>(
    domain: &Domain,
    dead: &mut Vec<Dead>,
    f: impl FnOnce(&[Dead]) -> T,
) -> Result<World<T>> {
    let token = domain.recoverer_token();
    let word = &domain.registry().recovering;
    // SYNC PIN (seq-cst), pairs with `Participant::enter`.
    word.store(token, Ordering::SeqCst);
    fence(Ordering::SeqCst);
    fault::hit(Point::RecoverRaised);
    let quiet = quiesce(domain, dead);
    let result = match quiet {
        Ok(None) => {
            // SYNC PIN (seq-cst), pairs with `call_off`: of the two exchanges one fails. If ours does, others are inside again.
            let claimed =
                word.compare_exchange(token, token | RECOVERING_FOR_GOOD, Ordering::SeqCst, Ordering::SeqCst);
            fault::hit(Point::RecoverQuiesced);
            Ok(match claimed {
                Ok(_) => World::Stopped(f(dead)),
                Err(_) => World::Moving(Hindrance::Recovery),
            })
        }
        Ok(Some(slot)) => Ok(World::Moving(Hindrance::Inside(slot))),
        Err(e) => Err(e),
    };
    resume(domain);
    result
}

/// Lets everybody in although somebody is about to recover: it has only begun to wait for the others, and has not come further for
/// long. It finds out when it goes on, and has changed nothing until then.
pub(crate) fn call_off(domain: &Domain, token: u32) {
    let word = &domain.registry().recovering;
    if token & RECOVERING_FOR_GOOD == 0
        && word.compare_exchange(token, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    {
        futex_wake_all(word);
    }
}

/// Recounts, reports, and gives the slots of the dead away.
fn recover(domain: &Domain, dead: &[Dead], started: Instant) -> Result<()> {
    let counts = recount::recount(domain, dead)?;
    fault::hit(Point::RecoverForgotten);
    for (dead, counts) in dead.iter().zip(&counts) {
        report::publish(domain, dead, counts, started.elapsed());
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
    Ok(())
}

/// Lets everybody in again; whether they had been kept out.
fn resume(domain: &Domain) -> bool {
    let word = &domain.registry().recovering;
    // SYNC PIN (seq-cst): whoever sees 0 sees the repairs.
    let raised = word.swap(0, Ordering::SeqCst) != 0;
    if raised {
        futex_wake_all(word);
    }
    raised
}

/// The tenant of `slot`, if it is dead.
fn find_dead(domain: &Domain, slot: usize) -> Result<Option<Dead>> {
    let Some(participant) = domain.participants().get(slot) else { return Ok(None) };
    let epoch = participant.epoch.load(Ordering::Acquire);
    let Some(life) = LifeLock::take_if_dead(&domain.dir, slot)? else { return Ok(None) };
    // It may have left, and another may have come, between our look at the slot and the lock.
    let same = participant.state.load(Ordering::Acquire) == PARTICIPANT_ACTIVE
        && participant.epoch.load(Ordering::Acquire) == epoch;
    Ok(same.then_some(Dead { slot, epoch, _life: life }))
}

/// Waits until all the living are outside; who dies inside meanwhile joins the dead. Answers who stays inside.
fn quiesce(domain: &Domain, dead: &mut Vec<Dead>) -> Result<Option<usize>> {
    let deadline = Instant::now() + Duration::from_nanos(QUIESCE_NS);
    let mut settled = [false; MAX_PARTICIPANTS];
    loop {
        let mut inside = None;
        for (slot, participant) in domain.active() {
            if settled[slot] || dead.iter().any(|d| d.slot == slot) {
                continue;
            }
            // SYNC PIN (acquire): what it did inside is visible. Once outside it stays outside, it sees `recovering`.
            settled[slot] = participant.lanes.iter().all(|lane| lane.inside.load(Ordering::SeqCst) == 0);
            if !settled[slot] {
                inside = Some(slot);
            }
        }
        let Some(slot) = inside else { return Ok(None) };
        if let Some(newly) = find_dead(domain, slot)? {
            dead.push(newly);
        } else if Instant::now() > deadline {
            return Ok(Some(slot));
        } else {
            std::thread::yield_now();
        }
    }
}
