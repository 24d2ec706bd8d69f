//! The error of an allocation that found nothing.

use super::SharedBufferAllocator;
use super::growth::{Next, Shortage};
use super::size_class::class_of;
use crate::error::{Error, ErrorKind};
use crate::limits::SHM_RESERVE_PERCENT;
use crate::registry::Domain;
use crate::sync::Ordering;

impl SharedBufferAllocator {
    /// Why an allocation of `bytes` bytes found nothing: `Exhausted`, who holds what, where the budget is used up; `NoSpace` where the
    /// budget would allow more, but the machine has no memory left for it; `TooLarge`. Costs a look at everything.
    pub fn exhausted(&self, bytes: usize) -> Error {
        let class = match class_of(bytes) {
            Ok(class) => class,
            Err(too_large) => return too_large,
        };
        match self.next_segment(class, 1) {
            Next::OverBudget => over_budget(&self.participant.domain, bytes),
            Next::NoSpace(shortage) => no_space(&self.participant.domain, bytes, Some(shortage)),
            // There is memory again.
            Next::Segment(..) => no_space(&self.participant.domain, bytes, None),
        }
    }
}

fn no_space(domain: &Domain, bytes: usize, shortage: Option<Shortage>) -> Error {
    let shm = shortage.map_or_else(
        || "/dev/shm was full when it was asked for more".to_owned(),
        |Shortage { free, total, needed }| {
            format!(
                "/dev/shm has {free} of {total} bytes free, {needed} are needed (and {SHM_RESERVE_PERCENT} % stay free)"
            )
        },
    );
    Error::new(
        ErrorKind::NoSpace,
        format!(
            "domain {:?} has no buffer of {bytes} bytes left: {shm}; enlarge it (Docker: --shm-size) or lower maxBytes",
            domain.name
        ),
    )
}

fn over_budget(domain: &Domain, bytes: usize) -> Error {
    let (mut pools, _) = domain.readable_pools().unwrap_or_default();
    pools.retain(|pool| pool.geometry.buffer_bytes >= bytes);
    let used: u64 = pools.iter().map(|pool| u64::from(pool.used())).sum();
    let buffers: usize = pools.iter().map(|pool| pool.geometry.count).sum();
    let held = |slot: usize| pools.iter().map(|pool| pool.references_of(slot)).sum::<u64>();
    let mut in_hands = 0;
    let mut parts = Vec::new();
    for (slot, participant) in domain.active() {
        let held = held(slot);
        in_hands += held;
        if held > 0 {
            parts.push(format!("{} holds {held}", participant.described()));
        }
    }
    let queued = used.saturating_sub(in_hands);
    if queued > 0 {
        parts.push(format!("{queued} are in queues"));
    }
    if parts.is_empty() {
        parts.push("smaller buffers in use take up the budget".to_owned());
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
