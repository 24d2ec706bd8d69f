//! Waiting for data and for space; see [`crate::wait`] for why no wake is lost.

use super::port_queue::{Interest, PortQueue};
use crate::layout::{RING_CLOSED, RING_OPEN, WaiterMask};
use crate::sync::Ordering;
use crate::wait::Waits;
use std::time::{Duration, Instant};

impl PortQueue {
    /// Announces that this participant will sleep until `interest` holds; `false`: it holds already, do not sleep.
    /// Each call that returns `true` wants one [`PortQueue::disarm`].
    pub fn arm(&self, interest: Interest) -> bool {
        // Pinned, so that no bit is raised after we have left.
        let Ok(pin) = self.participant.pin() else { return false }; // whoever looks now is told
        if self.has_been_replaced() {
            drop(pin);
            return self.instead().is_some_and(|queue| queue.arm(interest));
        }
        let mask = self.mask(interest);
        self.waits(interest).begin(mask, self.participant.slot);
        if self.is_ready_here(interest) {
            self.end_wait(interest);
            return false;
        }
        mask.waits.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Whether nobody has notified for `interest` since it was armed. Costs a load, where [`PortQueue::rearm`] looks at the queue; but a
    /// sender that died between sending and notifying shows only there, so after a recovery look there.
    pub fn is_unrung(&self, interest: Interest) -> bool {
        if self.has_been_replaced() {
            // What waits at this ring has been notified when it was replaced.
            return !self.waits(interest).any()
                && self.instead().is_some_and(|queue| queue.is_unrung(interest));
        }
        self.mask(interest).is_set(self.participant.slot)
    }

    /// Raises the bit again after a wake that brought nothing; `true`: it holds now (and the wait has ended).
    pub fn rearm(&self, interest: Interest) -> bool {
        let Ok(pin) = self.participant.pin() else { return true };
        if self.has_been_replaced() {
            let is_here = self.waits(interest).any();
            if is_here {
                self.end_wait(interest);
            }
            drop(pin);
            return is_here || self.instead().is_none_or(|queue| queue.rearm(interest));
        }
        self.mask(interest).set(self.participant.slot);
        let ready = self.is_ready_here(interest);
        if ready {
            self.end_wait(interest);
        }
        ready
    }

    /// Ends a wait without consuming (timeout, abort): a wake that was meant for us goes to somebody else.
    pub fn disarm(&self, interest: Interest) {
        let Ok(pin) = self.participant.pin() else { return };
        if self.has_been_replaced() && !self.waits(interest).any() {
            drop(pin);
            return self.instead().iter().for_each(|queue| queue.disarm(interest));
        }
        let passes_on = self.end_wait(interest) && self.is_ready_here(interest);
        drop(pin);
        if passes_on {
            self.wake(self.mask(interest), 1);
        }
    }

    /// Ends every wait, of an end that retires: whoever still waits is told when it looks.
    pub(super) fn end_waits(&self) {
        for interest in Interest::ALL {
            while self.waits(interest).any() {
                if self.end_wait(interest) && self.is_ready_here(interest) {
                    self.wake(self.mask(interest), 1);
                }
            }
        }
    }

    /// Ends a wait of somebody who looks at the queue next; whether a waker had notified for it.
    fn end_wait(&self, interest: Interest) -> bool {
        let (domain, slot) = (&self.participant.domain, self.participant.slot);
        self.waits(interest).end(self.mask(interest), slot, || domain.notify(slot))
    }

    /// Whether whoever waits for `interest` should look now: a message, room, idleness, or the end.
    pub fn is_ready(&self, interest: Interest) -> bool {
        self.instead().map_or_else(|| self.is_ready_here(interest), |queue| queue.is_ready(interest))
    }

    /// The same of this ring: whoever waits at one that has been replaced should look.
    fn is_ready_here(&self, interest: Interest) -> bool {
        match (self.state(), interest) {
            (RING_OPEN, _) => self.is_ready_for(interest),
            (RING_CLOSED, Interest::Data) => self.is_ready_for(interest) || self.is_drained(),
            (RING_CLOSED, Interest::Idle) => self.is_ready_for(interest),
            _ => true,
        }
    }

    /// A message that can be taken; room for one; nothing to do.
    pub(super) fn is_ready_for(&self, interest: Interest) -> bool {
        match interest {
            Interest::Data => {
                self.leases().any_pending() || (self.can_lease() && self.ring().front().is_some())
            }
            Interest::Space => self.ring().has_room(self.options.limit, self.leases().pending()),
            Interest::Idle => self.is_idle_here(),
        }
    }

    /// Whether a receiver may take a message: on an at-least-once queue as many can be out as the queue holds.
    fn can_lease(&self) -> bool {
        let leases = self.leases();
        // Messages are taken back from a queue that has ended, so there the count may be wrong.
        !leases.is_any()
            || (leases.has_room(self.ring().taken()) && (self.state() == RING_OPEN || leases.any_free()))
    }

    /// Blocks this thread until `interest` holds (`true`) or `timeout` passes.
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// # use std::time::Duration;
    /// let queue = shm.port_queue("wait", &QueueOptions::default())?;
    /// assert!(!queue.wait(Interest::Data, Duration::from_millis(1)));
    /// queue.try_send(shm.allocate(10)?).unwrap();
    /// assert!(queue.wait(Interest::Data, Duration::from_secs(1)));
    /// # Ok::<(), Error>(())
    /// ```
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
        self.wake(&self.header().settled.idle_waiters, usize::MAX);
    }

    fn mask(&self, interest: Interest) -> &WaiterMask {
        match interest {
            Interest::Data => &self.header().data_waiters,
            Interest::Space => &self.header().space_waiters,
            Interest::Idle => &self.header().settled.idle_waiters,
        }
    }

    fn waits(&self, interest: Interest) -> &Waits {
        &self.waits[interest as usize]
    }

    #[inline]
    pub(crate) fn wake(&self, mask: &WaiterMask, count: usize) {
        mask.wake(count, self.participant.slot + 1, |slot| self.participant.domain.notify(slot));
    }
}
