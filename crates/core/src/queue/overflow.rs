//! Publishing a message into a queue that may have no room for it.

use super::options::{Overflow, ResolvedOptions};
use super::port_queue::PortQueue;
use super::ring::{Ring, Taken};
use crate::fault::{self, Point};
use crate::limits::{BATCH_MAX, RING_TRIES_MAX};
use crate::sync::Ordering;

/// What a queue's options say about who may send, as one thing to ask.
#[derive(Clone, Copy, Debug)]
pub(super) enum Admission {
    /// Whoever finds a free slot.
    Capacity,
    /// Whoever leaves no more messages than the limit.
    Limit,
    /// Everybody: the oldest message makes room.
    DropOldest,
    /// Everybody: the oldest message makes room within the limit.
    DropOldestWithin,
    /// Everybody: all older messages go.
    Latest,
}

impl Admission {
    pub(super) fn of(options: &ResolvedOptions) -> Self {
        match (options.overflow, options.limit) {
            (Overflow::Latest, _) => Self::Latest,
            (Overflow::DropOldest, 0) => Self::DropOldest,
            (Overflow::DropOldest, _) => Self::DropOldestWithin,
            (Overflow::Block | Overflow::Reject | Overflow::DropNewest, 0) => Self::Capacity,
            (Overflow::Block | Overflow::Reject | Overflow::DropNewest, _) => Self::Limit,
        }
    }
}

impl PortQueue {
    /// Publishes one message, making room first if the policy says so.
    #[inline]
    pub(super) fn push(&self, ring: &Ring<'_>, tail: &mut u64, id: u32, dropped: &mut u32) -> Option<u64> {
        match self.admission {
            Admission::Capacity => ring.push(tail, id),
            Admission::Limit => ring.push_within(tail, id, self.options.limit, || self.leases().pending()),
            Admission::DropOldest => ring.push(tail, id).or_else(|| self.push_over(ring, tail, id, dropped)),
            Admission::DropOldestWithin => self.push_over(ring, tail, id, dropped),
            Admission::Latest => {
                let at = ring.push(tail, id).or_else(|| self.push_over(ring, tail, id, dropped))?;
                *dropped += self.drop_before(ring, at, u32::MAX);
                Some(at)
            }
        }
    }

    /// Publishes a message, instead of those that are older and in the way (by a whole lap, or by the limit), unless receivers have
    /// taken them. `None`: receivers that have taken theirs have not freed the slots yet, or other senders were faster every time.
    #[cold]
    pub(super) fn push_over(
        &self,
        ring: &Ring<'_>,
        tail: &mut u64,
        id: u32,
        dropped: &mut u32,
    ) -> Option<u64> {
        let mut tries = BATCH_MAX;
        // What has room, in the end, unless others are faster: of a queue that was made smaller, after as many as there are too many.
        for _ in 0..RING_TRIES_MAX {
            let before = *dropped;
            let (limit, pending) = (self.options.limit, self.leases().pending());
            let at = match limit {
                0 => ring.push(tail, id),
                limit => ring.push_within(tail, id, limit, || self.leases().pending()),
            };
            if at.is_some() {
                return at;
            }
            if limit > 0 && pending > 0 {
                // What waits to be delivered again is older than all that is in the ring.
                *dropped += u32::from(self.drop_pending_by_policy());
            } else {
                let room = if limit == 0 { self.options.capacity } else { limit };
                let old = tail.checked_sub(room.into());
                *dropped += old.map_or(0, |old| self.drop_before(ring, old + 1, u32::MAX));
            }
            if *dropped == before {
                tries -= 1;
                if tries == 0 {
                    break;
                }
            }
        }
        None
    }

    fn drop_pending_by_policy(&self) -> bool {
        let done = self.drop_pending();
        if done {
            self.header().dropped.fetch_add(1, Ordering::Relaxed);
        }
        done
    }

    /// Drops up to `most` messages whose positions are before `end`, the oldest first; returns how many. What is dropped depends on the
    /// position alone, never on what has become the oldest meanwhile. The caller has pinned.
    pub(crate) fn drop_before(&self, ring: &Ring<'_>, end: u64, most: u32) -> u32 {
        let mut dropped = 0;
        // Each round somebody has taken a message, so the bound is for damaged rings.
        for _ in 0..RING_TRIES_MAX {
            if dropped == most {
                break;
            }
            let Some(front) = ring.front().filter(|front| front.position < end) else { break };
            if let Some(taken) = ring.remove(front, self.participant.slot as u32) {
                ring.help_head(taken.position.wrapping_add(1));
                self.discard(ring, taken);
                dropped += 1;
            }
        }
        dropped
    }

    /// Frees the slot of a message that was removed, and drops the queue's reference to it. Killed in between: refs too high, repaired by
    /// recount.
    pub(super) fn discard(&self, ring: &Ring<'_>, removed: Taken) {
        fault::hit(Point::DropTaken);
        ring.recycle(removed);
        // Killed right here, one drop goes uncounted: the only count that a death can make inexact.
        self.header().dropped.fetch_add(1, Ordering::Relaxed);
        self.settle(1);
        fault::hit(Point::DropRecycled);
        self.forget(removed.id());
    }
}
