//! Waiting for data and for space; see [`crate::wait`] for why no wake is lost.

use super::port_queue::{Interest, PortQueue};
use crate::layout::{RING_CLOSED, RING_OPEN, WaiterMask};
use crate::sync::Ordering;
use crate::wait::Waits;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What came of an attempt to arm an end.
enum Armed {
    Sleeps,
    IsReady,
    /// Another ring has taken the place of its ring.
    Replaced,
}

impl PortQueue {
    /// Announces that this participant will sleep until `interest` holds, and returns the end at which it did; `None`: it holds already, do not
    /// sleep. Each end that is returned wants one [`PortQueue::disarm`], or a [`PortQueue::rearm`] that returns `true`. It is another one than
    /// this if another ring has taken the place of this one's.
    pub fn arm(self: &Arc<Self>, interest: Interest) -> Option<Arc<Self>> {
        let mut end = Arc::clone(self);
        loop {
            match end.arm_here(interest) {
                Armed::Sleeps => return Some(end),
                Armed::IsReady => return None,
                // Whoever looks at one that has ended meanwhile is told.
                Armed::Replaced => end = end.instead()?,
            }
        }
    }

    fn arm_here(&self, interest: Interest) -> Armed {
        // Pinned, so that no bit is raised after we have left, or after everybody has been woken whose bit is in a ring that is replaced.
        let Ok(_pin) = self.participant.pin() else { return Armed::IsReady };
        if self.has_been_replaced() {
            return Armed::Replaced;
        }
        let mask = self.mask(interest);
        self.waits(interest).begin(mask, self.participant.slot);
        if self.is_ready_here(interest) {
            self.end_wait(interest);
            return Armed::IsReady;
        }
        mask.waits.fetch_add(1, Ordering::Relaxed);
        Armed::Sleeps
    }

    /// Whether nobody has notified for `interest` since this end was armed for it. Costs two loads, where [`PortQueue::rearm`] looks at the
    /// queue; but a sender that died between sending and notifying shows only there, so after a recovery look there.
    pub fn is_unrung(&self, interest: Interest) -> bool {
        // Of a ring that is replaced everybody is woken; who does it may not have come to it yet.
        self.mask(interest).is_set(self.participant.slot) && !self.has_been_replaced()
    }

    /// Raises the bit of an armed end again after a wake that brought nothing; `true`: look at the queue now (and the wait has ended).
    pub fn rearm(&self, interest: Interest) -> bool {
        let Ok(_pin) = self.participant.pin() else { return true };
        self.mask(interest).set(self.participant.slot);
        let ready = self.is_ready_here(interest);
        if ready {
            self.end_wait(interest);
        }
        ready
    }

    /// Ends the wait of an armed end without consuming (timeout, abort): a wake that was meant for us goes to somebody else.
    pub fn disarm(&self, interest: Interest) {
        let Ok(pin) = self.participant.pin() else { return };
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
    pub fn wait(self: &Arc<Self>, interest: Interest, timeout: Duration) -> bool {
        let deadline = crate::os::deadline(timeout);
        let mut sequence = self.participant.wake_sequence();
        while let Some(end) = self.arm(interest) {
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    end.disarm(interest);
                    return false;
                }
                self.participant.park(sequence, left);
                sequence = self.participant.wake_sequence();
                if end.rearm(interest) {
                    break;
                }
            }
            // Unless it is only that the queue has another ring now.
            if !end.has_been_replaced() {
                break;
            }
        }
        true
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
