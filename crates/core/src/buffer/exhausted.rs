//! The error of an allocation that found nothing.

use crate::error::{Error, ErrorKind};
use crate::layout::ParticipantSlot;
use crate::pool::Pool;
use crate::registry::Domain;
use crate::sync::Ordering;

/// Says why an allocation of `bytes` bytes found nothing: the budget, and who holds what of that size.
pub(super) fn exhausted(domain: &Domain, bytes: usize) -> Error {
    let mut pools = domain.all_pools().unwrap_or_default();
    pools.retain(|pool| pool.geometry.buffer_bytes >= bytes);
    let used: u64 = pools.iter().map(|pool| u64::from(pool.used())).sum();
    let buffers: usize = pools.iter().map(|pool| pool.geometry.count).sum();
    let held = |slot: usize| pools.iter().map(|pool: &&Pool| pool.held_by(slot)).sum::<u64>();
    let mut in_hands = 0;
    let mut parts = Vec::new();
    for (slot, participant) in domain.active() {
        let held = held(slot);
        in_hands += held;
        if held > 0 {
            parts.push(holder(participant, held));
        }
    }
    let queued = used.saturating_sub(in_hands);
    if queued > 0 {
        parts.push(format!("{queued} are in queues"));
    }
    let max_bytes = domain.registry().max_bytes.load(Ordering::Relaxed);
    Error::new(
        ErrorKind::Exhausted,
        format!(
            "domain {:?} has no buffer of {bytes} bytes left: {used} of {buffers} large enough are in use, and maxBytes {max_bytes} allows no more; {}",
            domain.name,
            parts.join(", "),
        ),
    )
}

fn holder(participant: &ParticipantSlot, held: u64) -> String {
    let pid = participant.pid.load(Ordering::Relaxed);
    format!("{:?} (process {pid}) holds {held}", participant.name.get())
}
