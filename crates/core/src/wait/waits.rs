//! Waits of one participant for one thing.

use crate::layout::WaiterMask;
use crate::sync::{AtomicU32, Ordering};

/// How many threads of this participant wait: its one bit in the mask stays up while any does.
#[derive(Debug, Default)]
pub(crate) struct Waits(AtomicU32);

impl Waits {
    /// Whether anybody waits.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// Begins a wait. The caller must look at the state before it sleeps, and end the wait if it need not.
    pub(crate) fn begin(&self, mask: &WaiterMask, slot: usize) {
        self.0.fetch_add(1, Ordering::Relaxed);
        mask.set(slot);
    }

    /// Ends a wait, if there is one; whether the last one had been notified. `notify` wakes this participant.
    pub(crate) fn end(&self, mask: &WaiterMask, slot: usize, notify: impl FnOnce()) -> bool {
        if self.take_one() != Some(1) {
            return false;
        }
        let notified = !mask.clear(slot);
        if self.0.load(Ordering::Acquire) > 0 {
            // Another thread of ours has begun in between, and we may have lowered its bit.
            mask.set(slot);
            notify();
        }
        notified
    }

    /// How many there were, one of which has ended now; `None`: others have ended them all.
    fn take_one(&self) -> Option<u32> {
        let mut seen = self.0.load(Ordering::Relaxed);
        while seen > 0 {
            match self.0.compare_exchange(seen, seen - 1, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(seen),
                Err(now) => seen = now,
            }
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;

    #[test]
    fn the_bit_stays_until_the_last_wait_has_ended() {
        let mask = WaiterMask { words: [AtomicU64::new(0), AtomicU64::new(0)], waits: AtomicU64::new(0) };
        let waits = Waits::default();
        let end = || waits.end(&mask, 3, || panic!("nobody has begun meanwhile"));
        waits.begin(&mask, 3);
        waits.begin(&mask, 3);
        assert!(!end() && mask.is_set(3) && waits.any());
        assert!(!end() && !mask.is_set(3) && !waits.any());
        assert!(!end() && !waits.any(), "never below zero");
        waits.begin(&mask, 3);
        assert!(mask.clear(3), "a waker takes it");
        assert!(end(), "it was notified for");
    }
}
