//! Waiting for data and for space; see [`crate::wait`] for why no wake is lost.

use super::options::Delivery;
use super::port_queue::{Interest, PortQueue};
use crate::layout::{RING_CLOSED, RING_OPEN, WaiterMask};
use crate::sync::Ordering;
use std::time::{Duration, Instant};

impl PortQueue {
    /// Announces that this participant will sleep until `interest` holds; `false`: it holds already, do not sleep.
    /// Each call that answers `true` wants one [`PortQueue::disarm`].
    pub fn arm(&self, interest: Interest) -> bool {
        if self.participant.has_left() {
            return false; // whoever looks now is told
        }
        self.waiting[interest as usize].fetch_add(1, Ordering::Relaxed);
        self.mask(interest).set(self.participant.slot);
        if self.is_ready(interest) {
            self.disarm_satisfied(interest);
            return false;
        }
        self.mask(interest).waits.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Whether nobody has rung for `interest` since it was armed. Costs a load, where [`PortQueue::rearm`] looks at the queue; but a
    /// sender that died between sending and ringing shows only there, so after a recovery look there.
    pub fn is_unrung(&self, interest: Interest) -> bool {
        self.mask(interest).is_set(self.participant.slot)
    }

    /// Raises the bit again after a ring that brought nothing; `true`: it holds now (and the bit is lowered).
    pub fn rearm(&self, interest: Interest) -> bool {
        if self.participant.has_left() {
            return true;
        }
        self.mask(interest).set(self.participant.slot);
        let ready = self.is_ready(interest);
        if ready {
            self.disarm_satisfied(interest);
        }
        ready
    }

    /// Ends a wait without consuming (timeout, abort): a ring that was meant for us goes to somebody else.
    pub fn disarm(&self, interest: Interest) {
        if self.participant.has_left() {
            return;
        }
        self.end_wait(interest);
    }

    /// As `disarm`, for an end that retires.
    pub(super) fn end_wait(&self, interest: Interest) {
        let rung = self.disarm_satisfied(interest);
        if rung && self.is_ready(interest) {
            self.wake(self.mask(interest), 1);
        }
    }

    /// Ends a wait of somebody who looks at the queue next; whether a waker had rung for it.
    fn disarm_satisfied(&self, interest: Interest) -> bool {
        let waiting = &self.waiting[interest as usize];
        if waiting.fetch_sub(1, Ordering::AcqRel) > 1 {
            return false;
        }
        let rung = !self.mask(interest).clear(self.participant.slot);
        if waiting.load(Ordering::Acquire) > 0 {
            // Another thread of ours has armed in between, and we may have lowered its bit.
            self.mask(interest).set(self.participant.slot);
            self.participant.domain.notify(self.participant.slot);
        }
        rung
    }

    /// Whether a receiver (sender) should look now: a message (room), or the end.
    pub fn is_ready(&self, interest: Interest) -> bool {
        match (self.state(), interest) {
            (RING_OPEN, _) => self.is_ready_for(interest),
            (RING_CLOSED, Interest::Data) => self.is_ready_for(interest) || self.is_drained(),
            _ => true,
        }
    }

    /// A message that can be taken; room for one.
    pub(super) fn is_ready_for(&self, interest: Interest) -> bool {
        match interest {
            Interest::Data => {
                self.leases().any_pending() || (self.can_lease() && self.ring().front().is_some())
            }
            Interest::Space => self.ring().has_room(),
        }
    }

    /// Whether a receiver may take a message: on an at-least-once queue as many can be out as the queue holds.
    fn can_lease(&self) -> bool {
        self.options.delivery == Delivery::AtMostOnce || self.leases().has_room()
    }

    /// Blocks this thread until `interest` holds (`true`) or `timeout` passes.
    pub fn wait(&self, interest: Interest, timeout: Duration) -> bool {
        let deadline = crate::os::deadline(timeout);
        let mut sequence = self.participant.wake_sequence();
        if !self.arm(interest) {
            return true;
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.disarm(interest);
                return false;
            }
            self.participant.park(sequence, left);
            sequence = self.participant.wake_sequence();
            if self.rearm(interest) {
                return true;
            }
        }
    }

    pub(super) fn wake_all(&self) {
        self.wake(&self.header().data_waiters, usize::MAX);
        self.wake(&self.header().space_waiters, usize::MAX);
    }

    fn mask(&self, interest: Interest) -> &WaiterMask {
        match interest {
            Interest::Data => &self.header().data_waiters,
            Interest::Space => &self.header().space_waiters,
        }
    }

    #[inline]
    pub(crate) fn wake(&self, mask: &WaiterMask, count: usize) {
        mask.wake(count, self.participant.slot + 1, |slot| self.participant.domain.notify(slot));
    }
}
