//! Stopping the world: the counterpart of the pin. Whoever holds the recovery lock keeps everybody out of their operations for a
//! moment, and may change then what nobody may see half changed.

use super::Domain;
use crate::error::Result;
use crate::fault::{self, Point};
use crate::layout::{PARTICIPANT_ACTIVE, ParticipantSlot, RECOVERING_FOR_GOOD};
use crate::limits::{MAX_PARTICIPANTS, QUIESCE_NS, REST_AGAIN_NS};
use crate::liveness::LifeLock;
use crate::os::{deadline, wake_all};
use crate::segment::FileLock;
use crate::sync::{Ordering, fence};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Where a participant is stalled, and so who waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u32)]
pub enum StallPhase {
    /// Outside every operation: nobody waits for it, but whoever wants its messages.
    Outside = 1,
    /// Inside an operation: the dead are not recovered meanwhile, and a queue blocks when it comes round to a slot it has taken.
    Inside = 2,
    /// At a recovery: the dead are not recovered meanwhile, and if it has begun to change something everybody waits for it.
    Recovering = 3,
}

impl StallPhase {
    fn from_bits(bits: u32) -> Option<Self> {
        [Self::Outside, Self::Inside, Self::Recovering].into_iter().find(|phase| *phase as u32 == bits)
    }
}

/// Where this participant is stalled, if it is.
pub(crate) fn stalled_at(participant: &ParticipantSlot) -> Option<StallPhase> {
    StallPhase::from_bits(participant.stalled.load(Ordering::Acquire))
}

/// Why the world could not be stopped now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// Somebody else recovers (or looks).
    Recovery,
    /// The participant in this slot lives and did not leave its operation.
    Inside(usize),
}

impl Hindrance {
    /// In words, for an error.
    pub(crate) fn describe(self, domain: &Domain) -> String {
        let is_recovering = |p: &&ParticipantSlot| stalled_at(p) == Some(StallPhase::Recovering);
        let who = match self {
            Self::Inside(slot) => domain.participants().get(slot),
            Self::Recovery => {
                let recoverer = domain.recoverer().and_then(|slot| domain.participants().get(slot));
                recoverer.or_else(|| domain.active().map(|(_, p)| p).find(is_recovering))
            }
        };
        let who = who.map_or_else(|| "somebody".to_owned(), ParticipantSlot::described);
        match self {
            Self::Inside(_) => {
                format!("{who} stays inside an operation: it is stopped, or gets no processor time")
            }
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

/// The right to stop the world; `None` while somebody else has it.
pub(crate) fn lock_recovery(domain: &Domain) -> Result<Option<FileLock>> {
    domain.dir.try_lock("recovery.lock")
}

/// Runs `f` while all the living are outside their operations, unless one of them stays inside. Who dies inside meanwhile joins
/// `dead`. The caller holds the recovery lock.
pub(crate) fn with_world_stopped<T>(
    domain: &Domain,
    dead: &mut Vec<Dead>,
    f: impl FnOnce(&[Dead]) -> T,
) -> Result<World<T>> {
    let (mut f, mut value) = (Some(f), None);
    let hindrance = stop_the_world(domain, dead, &mut |dead| value = f.take().map(|f| f(dead)))?;
    // Without a hindrance it has run.
    let moving = || World::Moving(hindrance.unwrap_or(Hindrance::Recovery));
    Ok(value.map_or_else(moving, World::Stopped))
}

/// The same, compiled once for all; what was in the way, if anything was.
fn stop_the_world(
    domain: &Domain,
    dead: &mut Vec<Dead>,
    f: &mut dyn FnMut(&[Dead]),
) -> Result<Option<Hindrance>> {
    announce_abandoned(domain);
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
                Ok(_) => {
                    #[cfg(all(debug_assertions, not(loom)))]
                    STOPPED.set(&raw const *domain);
                    f(dead);
                    #[cfg(all(debug_assertions, not(loom)))]
                    STOPPED.set(std::ptr::null());
                    None
                }
                Err(_) => Some(Hindrance::Recovery),
            })
        }
        Ok(Some(slot)) => Ok(Some(Hindrance::Inside(slot))),
        Err(e) => Err(e),
    };
    resume(domain);
    result
}

/// Runs `f` while all the living are outside their operations and nobody has died inside: who has is to be recovered first, which
/// counts as [`Hindrance::Recovery`], as one that is under way does.
pub(crate) fn with_world_at_rest<T>(domain: &Domain, f: impl FnOnce() -> T) -> Result<World<T>> {
    let Some(_lock) = lock_recovery(domain)? else { return Ok(World::Moving(Hindrance::Recovery)) };
    Ok(match with_world_stopped(domain, &mut Vec::new(), |dead| dead.is_empty().then(f))? {
        World::Stopped(Some(value)) => World::Stopped(value),
        World::Stopped(None) => World::Moving(Hindrance::Recovery),
        World::Moving(hindrance) => World::Moving(hindrance),
    })
}

/// The same, tried for as long as `patience_ns`, or until it is somebody who has been seen not to run that is in the way.
pub(crate) fn at_rest_within<T>(
    domain: &Domain,
    patience_ns: u64,
    mut f: impl FnMut() -> T,
) -> Result<World<T>> {
    let deadline = deadline(Duration::from_nanos(patience_ns));
    loop {
        let hindrance = match with_world_at_rest(domain, &mut f)? {
            World::Moving(hindrance) => hindrance,
            stopped => return Ok(stopped),
        };
        let is_stalled =
            |slot: usize| domain.participants().get(slot).is_some_and(|p| stalled_at(p).is_some());
        let in_vain = matches!(hindrance, Hindrance::Inside(slot) if is_stalled(slot));
        // A recovery, or a look for one, takes less; so does whoever was interrupted inside an operation, where processors are free.
        if in_vain || Instant::now() > deadline {
            return Ok(World::Moving(hindrance));
        }
        std::thread::sleep(Duration::from_nanos(REST_AGAIN_NS));
    }
}

/// Lets everybody in although somebody is about to recover: it has only begun to wait for the others, and has not come further for
/// long. It finds out when it goes on, and has changed nothing until then.
pub(crate) fn call_off(domain: &Domain, token: u32) {
    let word = &domain.registry().recovering;
    if token & RECOVERING_FOR_GOOD == 0
        && word.compare_exchange(token, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    {
        wake_all(word, MAX_PARTICIPANTS as u32);
    }
}

// The domain whose world this thread has stopped.
#[cfg(all(debug_assertions, not(loom)))]
thread_local!(static STOPPED: std::cell::Cell<*const Domain> = const { std::cell::Cell::new(std::ptr::null()) });

/// Whether it is this thread that has stopped the world: no segment is taken out until it lets the others in again.
#[cfg(all(debug_assertions, not(loom)))]
pub(super) fn has_stopped(domain: &Domain) -> bool {
    std::ptr::eq(STOPPED.get(), domain)
}

/// Finishes what a recoverer left that died after it had freed the slots of its dead. The caller holds the recovery lock.
pub(crate) fn finish_abandoned(domain: &Domain) {
    announce_abandoned(domain);
    resume(domain);
}

/// A raised word that nobody is behind may stand for dead that nobody knows of yet. It stays raised until they are announced: if we die
/// at it, the next does it.
fn announce_abandoned(domain: &Domain) {
    if domain.registry().recovering.load(Ordering::SeqCst) != 0 {
        domain.announce_departures();
    }
}

/// Lets everybody in again.
fn resume(domain: &Domain) {
    let word = &domain.registry().recovering;
    // SYNC PIN (seq-cst): whoever sees 0 sees the repairs.
    if word.swap(0, Ordering::SeqCst) != 0 {
        wake_all(word, MAX_PARTICIPANTS as u32);
    }
}

/// The tenant of `slot`, if it is dead.
pub(crate) fn find_dead(domain: &Domain, slot: usize) -> Result<Option<Dead>> {
    let Some(participant) = domain.participants().get(slot) else { return Ok(None) };
    let epoch = participant.epoch.load(Ordering::Acquire);
    let Some(life) = LifeLock::take_if_dead(&domain.dir, slot)? else { return Ok(None) };
    // It may have left, and another may have come, between our look at the slot and the lock.
    let same = participant.state.load(Ordering::Acquire) == PARTICIPANT_ACTIVE
        && participant.epoch.load(Ordering::Acquire) == epoch;
    Ok(same.then_some(Dead { slot, epoch, _life: life }))
}

/// Waits until all the living are outside; who dies inside meanwhile joins the dead. Returns who stays inside.
fn quiesce(domain: &Domain, dead: &mut Vec<Dead>) -> Result<Option<usize>> {
    let deadline = deadline(Duration::from_nanos(QUIESCE_NS));
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

#[cfg(all(test, not(loom)))]
mod tests;
