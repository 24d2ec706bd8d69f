//! The leases of messages that JavaScript has.

use crate::block::FIRST_LEASE;
use millrace::{PortQueue, Settle};
use std::sync::Arc;

/// Leases of messages that JavaScript has, by number.
#[derive(Debug, Default)]
pub(crate) struct LeaseTable {
    kept: Vec<Option<(Arc<PortQueue>, u32)>>,
    free: Vec<u32>,
}

impl LeaseTable {
    /// Remembers a lease and returns its number.
    #[inline]
    pub(crate) fn keep(&mut self, queue: &Arc<PortQueue>, lease: u32) -> u32 {
        let kept = Some((Arc::clone(queue), lease));
        let at = self.free.pop().unwrap_or_else(|| {
            self.kept.push(None);
            self.kept.len() as u32 - 1
        });
        self.kept[at as usize] = kept;
        at + FIRST_LEASE
    }

    /// The queue and lease behind `number`, which is forgotten. `None` for a number that stands for no lease.
    #[inline]
    pub(crate) fn take(&mut self, number: u32) -> Option<(Arc<PortQueue>, u32)> {
        let at = number.checked_sub(FIRST_LEASE)?;
        let kept = self.kept.get_mut(at as usize).and_then(Option::take)?;
        self.free.push(at);
        Some(kept)
    }

    /// Ends the lease behind `number` for good, if it is one, of message `id`.
    #[inline]
    pub(crate) fn acknowledge(&mut self, number: u32, id: u32) {
        if let Some((queue, lease)) = self.take(number) {
            queue.ack(lease, id);
        }
    }
}
