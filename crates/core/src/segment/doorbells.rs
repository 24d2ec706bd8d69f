//! The far ends of everybody's doorbells.

use super::{DomainDir, DoorbellKind};
use crate::limits::MAX_PARTICIPANTS;
use crate::os::Doorbell;
use std::sync::OnceLock;

/// Doorbells of event loops, each opened when it is first used and kept: that of a slot stays the same as long as the domain lives.
#[derive(Debug)]
pub(crate) struct Doorbells([OnceLock<Doorbell>; MAX_PARTICIPANTS]);

impl Doorbells {
    pub(crate) fn new() -> Self {
        Self([const { OnceLock::new() }; MAX_PARTICIPANTS])
    }

    /// Notifies participant `slot`. `false`: its doorbell could not be opened (no descriptors left); the next attempt tries again, and
    /// the sleeper's own sentinel looks after it now and then.
    pub(crate) fn notify(&self, dir: &DomainDir, slot: usize) -> bool {
        let Some(end) = self.0.get(slot) else { return false };
        if end.get().is_none() {
            let Ok(doorbell) = dir.doorbell(DoorbellKind::EventLoop, slot, false) else { return false };
            let _ = end.set(doorbell);
        }
        end.get().map(Doorbell::notify).is_some()
    }
}
