//! Stopped is not dead: a participant that is stalled keeps what it holds, and is reported.
//!
//! A stalled participant cannot say so, and nobody can see everybody (pid namespaces), so each sentinel looks after the participants behind
//! it in the table up to the first one that certainly runs, and writes what it sees into their slots, for all to read. One look per
//! participant and sweep, however many take part. Who goes on wipes its own slot.

use crate::layout::ParticipantSlot;
use crate::limits::{LOOK_AGAIN_NS, SWEEP_NS};
use crate::liveness::Tenant;
use crate::registry::{Domain, Hindrance, Participant, StallPhase, stalled_at};
use crate::sync::Ordering;
use serde::Serialize;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Where participant `slot` is. `tenant`: its process, if that can be had; it may hold the recovery lock and have raised nothing.
fn phase_of(
    domain: &Domain,
    slot: usize,
    participant: &ParticipantSlot,
    tenant: Option<&Tenant>,
) -> StallPhase {
    let holds_lock = || tenant.is_some_and(|tenant| tenant.holds_lock(&domain.dir, "recovery.lock"));
    if domain.recoverer() == Some(slot) || holds_lock() {
        StallPhase::Recovering
    } else if is_inside(participant) {
        StallPhase::Inside
    } else {
        StallPhase::Outside
    }
}

fn is_inside(participant: &ParticipantSlot) -> bool {
    participant.lanes.iter().any(|lane| lane.inside.load(Ordering::Acquire) != 0)
}

/// A participant that is stalled. It is alive, so it keeps what it holds until it goes on or dies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StallReport {
    /// The participant's slot.
    pub slot: usize,
    /// Which tenant of the slot it is.
    pub epoch: u32,
    /// Process id, as its own namespace numbers it.
    pub pid: u32,
    /// Name it gave itself.
    pub name: String,
    /// Where it is stalled.
    pub phase: StallPhase,
}

/// Everybody who is stalled.
pub(crate) fn stalled(domain: &Domain) -> Vec<StallReport> {
    let report = |(slot, p): (usize, &ParticipantSlot)| {
        Some(StallReport {
            slot,
            epoch: p.epoch.load(Ordering::Relaxed),
            pid: p.pid.load(Ordering::Relaxed),
            name: p.name.get(),
            phase: stalled_at(p)?,
        })
    };
    domain.active().filter_map(report).collect()
}

/// Writes where participant `slot` is stalled (`None`: it goes on), and tells everybody if that is news.
fn mark(domain: &Domain, slot: usize, participant: &ParticipantSlot, phase: Option<StallPhase>) {
    let bits = phase.map_or(0, |phase| phase as u32);
    // SYNC STALL (release), pairs with `stalled_at`; then the counter, then the notification: whoever is notified sees both.
    if participant.stalled.swap(bits, Ordering::AcqRel) == bits {
        return;
    }
    domain.registry().stalls.fetch_add(1, Ordering::Release);
    if phase.is_some() {
        // It finds the byte when it goes on, and looks at once.
        domain.notify_sentinel(slot);
    }
    domain.notify_all();
}

/// What a sentinel knows of the processes it looks after.
#[derive(Debug, Default)]
pub(super) struct StallWatch {
    /// By slot and epoch. `None`: cannot be told apart from here.
    tenants: HashMap<(usize, u32), Option<Tenant>>,
    looked: Option<Instant>,
    /// Who has been in the way of recoveries, and since when.
    hindrance: Option<((usize, u32), Instant)>,
}

impl StallWatch {
    /// Looks, if it is time to. `hindrance`: why a recovery was not possible just now. Returns in how long to look again at the latest.
    pub(super) fn look(&mut self, me: &Participant, hindrance: Option<Hindrance>) -> Duration {
        let domain = &*me.domain;
        // We run: whoever took us for stopped was right then, and is not any more.
        let stuck = is_inside(me.shared()) || domain.recoverer() == Some(me.slot);
        if stalled_at(me.shared()).is_some() {
            if stuck {
                // A thread of ours may be what is stalled, or be in the middle of something.
                return Duration::from_nanos(LOOK_AGAIN_NS);
            }
            mark(domain, me.slot, me.shared(), None);
        }
        self.look_at_hindrance(domain, hindrance);
        if self.looked.is_none_or(|at| at.elapsed() >= Duration::from_nanos(SWEEP_NS)) {
            self.looked = Some(Instant::now());
            self.look_around(me);
        }
        Duration::from_nanos(SWEEP_NS)
    }

    /// Looks at those behind us in the table, up to the first that certainly runs: it looks after the next.
    fn look_around(&mut self, me: &Participant) {
        let domain = &*me.domain;
        let slots = domain.participants().len();
        self.tenants.retain(|(slot, epoch), _| domain.is_tenant(*slot, *epoch));
        for slot in (1..slots).map(|step| (me.slot + step) % slots) {
            let Some(participant) = domain.active_at(slot) else { continue };
            match self.tenant(domain, slot, participant) {
                Some(tenant) if !tenant.is_stopped() => return,
                Some(tenant) => {
                    let phase = phase_of(domain, slot, participant, Some(tenant));
                    mark(domain, slot, participant, Some(phase));
                }
                None => {}
            }
        }
    }

    /// Looks at whoever is in the way: at its process, if that can be had, else at how long it has been there.
    fn look_at_hindrance(&mut self, domain: &Domain, hindrance: Option<Hindrance>) {
        let slot = match hindrance {
            None => None,
            Some(Hindrance::Inside(slot)) => Some(slot),
            Some(Hindrance::Recovery) => domain.recoverer(),
        };
        let Some((slot, participant)) = slot.and_then(|slot| Some((slot, domain.active_at(slot)?))) else {
            self.hindrance = None;
            return;
        };
        let key = (slot, participant.epoch.load(Ordering::Relaxed));
        let since = match self.hindrance {
            Some((same, since)) if same == key => since,
            _ => {
                self.hindrance = Some((key, Instant::now()));
                return;
            }
        };
        if since.elapsed() < Duration::from_nanos(LOOK_AGAIN_NS) {
            return;
        }
        let tenant = self.tenant(domain, slot, participant);
        // An operation takes microseconds: who has been in one for so long is stalled, whatever the kernel calls it.
        if tenant.is_some_and(Tenant::is_stopped) || since.elapsed() >= Duration::from_nanos(SWEEP_NS) {
            mark(domain, slot, participant, Some(phase_of(domain, slot, participant, tenant)));
        }
    }

    /// The process of this participant, if it can be told from here.
    fn tenant(&mut self, domain: &Domain, slot: usize, participant: &ParticipantSlot) -> Option<&Tenant> {
        let pid = participant.pid.load(Ordering::Relaxed);
        let key = (slot, participant.epoch.load(Ordering::Relaxed));
        let found = self.tenants.entry(key);
        found.or_insert_with(|| Tenant::find(&domain.dir, slot, pid).ok().flatten()).as_ref()
    }
}
