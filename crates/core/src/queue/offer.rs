//! What a topic does to the queue of one subscriber.

use super::options::Overflow;
use super::port_queue::{Interest, PortQueue, SendOutcome};
use crate::layout::RING_OPEN;
use crate::sync::{Ordering, dekker_fence};

/// What became of a message that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// The queue has it, and its reference.
    Taken,
    /// Dropped by the queue's policy, and counted.
    Dropped,
    /// The queue is full, and senders wait.
    Full,
    /// The queue takes no more messages.
    Ended,
}

impl PortQueue {
    /// Puts `id` in, by the queue's policy. A reference for it has been counted; it stays the caller's unless it is `Taken`.
    /// The caller has pinned, and wakes receivers afterwards: [`PortQueue::announce`].
    #[inline]
    pub(crate) fn offer(&self, id: u32) -> Offer {
        if self.state() != RING_OPEN {
            return Offer::Ended;
        }
        // Who waits here has an older message: the order of our own messages is kept.
        if self.options.overflow == Overflow::Block && self.waits[Interest::Space as usize].any() {
            return Offer::Full;
        }
        let ring = self.ring();
        let first = ring.tail();
        let (mut tail, mut dropped) = (first, 0);
        let Some(position) = self.push(&ring, &mut tail, id, &mut dropped) else {
            self.note_depth(first, tail, &Ok(SendOutcome::Full));
            if self.options.overflow == Overflow::Block {
                return Offer::Full;
            }
            self.count_missed(dropped);
            return Offer::Dropped;
        };
        ring.help_tail(tail);
        if dropped > 0 {
            self.header().gap.fetch_add(dropped, Ordering::Relaxed);
        }
        self.note_depth(first, tail, &Ok(SendOutcome::Done));
        // SYNC CLOSE: as in `send`.
        dekker_fence();
        if self.state() != RING_OPEN
            && let Some(taken) = ring.retract(position, id, self.participant.slot as u32)
        {
            ring.recycle(taken);
            self.settle(1);
            return Offer::Ended;
        }
        Offer::Taken
    }

    /// Wakes receivers for `count` messages that were offered.
    #[inline]
    pub(crate) fn announce(&self, count: usize) {
        self.wake(&self.header().data_waiters, count);
    }

    /// Counts a message that the queue's receivers will never see, and tells them with the next one. `before`: others that were
    /// dropped already and not told.
    pub(crate) fn count_missed(&self, before: u32) {
        self.header().missed.fetch_add(1, Ordering::Relaxed);
        self.header().gap.fetch_add(before + 1, Ordering::Relaxed);
    }

    /// Puts `id` in, whatever its policy, the oldest making room: for a queue that nobody else sends to yet. Its reference has been
    /// counted. The caller has pinned.
    pub(crate) fn fill(&self, id: u32) -> bool {
        let ring = self.ring();
        let (mut tail, mut dropped) = (ring.tail(), 0);
        let at = self.push_over(&ring, &mut tail, id, &mut dropped);
        ring.help_tail(tail);
        at.is_some()
    }
}
