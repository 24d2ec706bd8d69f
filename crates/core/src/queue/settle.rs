//! Ending a lease: acknowledge, give back, or move to the dead letters.

use super::lifecycle::attach_or_create_naming;
use super::options::{Delivery, QueueOptions, ROOM, ResolvedOptions, dead_letter_name};
use super::port_queue::{PortQueue, Received};
use crate::buffer::{Buffer, Settle, not_held};
use crate::error::Result;
use crate::fault::{self, Point};
use crate::layout::{RING_DESTROYED, RING_OPEN, split_id};
use crate::registry::{Kind, Pin};
use crate::sync::{Ordering, dekker_fence};
use std::sync::{Arc, PoisonError};

impl Settle for PortQueue {
    fn ack(&self, lease: u32, id: u32) -> bool {
        let Ok(pin) = self.participant.pin() else { return false };
        if self.has_been_replaced() {
            drop(pin);
            return self.instead().is_some_and(|queue| queue.ack(lease, id));
        }
        let done = self.leases().ack(lease as usize, self.participant.slot as u32, id);
        fault::hit(Point::LeaseAcked);
        if done {
            self.leases().settle(1);
            fault::hit(Point::LeaseSettled);
            // Where the next message finds room at once, in lines that are here.
            self.lease_cursor.store(lease, Ordering::Relaxed);
        }
        drop(pin);
        if done {
            self.wake_after_settling();
        }
        done
    }

    fn nack(&self, lease: u32, id: u32) -> Result<()> {
        let pin = self.participant.pin()?;
        if self.has_been_replaced() {
            drop(pin);
            let gone = || not_held(Buffer { id, received: false });
            return self.successor()?.ok_or_else(gone)?.nack(lease, id);
        }
        let done = self.state() != RING_DESTROYED && self.give_back(&pin, lease, id);
        drop(pin);
        self.wake_after_giving_back();
        if done { Ok(()) } else { Err(not_held(Buffer { id, received: false })) }
    }
}

impl PortQueue {
    /// Counts messages of an at-least-once queue that are over. Others do not count theirs.
    #[inline]
    pub(super) fn settle(&self, count: u64) {
        if self.options.delivery == Delivery::AtLeastOnce {
            self.leases().settle(count);
        }
    }

    /// Wakes whoever waits for messages to be settled.
    #[inline]
    pub(super) fn wake_after_settling(&self) {
        let header = self.header();
        if header.settled.idle_waiters.any() {
            self.wake_if_idle();
        }
        // There may have been no room for another lease; and receivers of a closed queue wait for the last one.
        if header.data_waiters.any() {
            if self.state() != RING_OPEN {
                self.wake_all();
            } else if self.ring().front().is_some() {
                self.wake(&header.data_waiters, 1);
            }
        }
    }

    #[cold]
    fn wake_if_idle(&self) {
        if self.is_idle_here() {
            self.wake(&self.header().settled.idle_waiters, usize::MAX);
        }
    }

    /// Drops a message that waits to be delivered again; `false`: there is none. The caller has pinned.
    pub(super) fn drop_pending(&self) -> bool {
        while let Some(pending) = self.pending.first(&self.leases()) {
            if self.leases().drop_pending(pending) {
                self.forget(pending.id());
                return true;
            }
        }
        false
    }

    /// Ends a lease and leaves its reference to the queue; `false`: there is no such lease of ours.
    pub(super) fn give_back(&self, _pin: &Pin<'_>, lease: u32, id: u32) -> bool {
        let (segment, index) = split_id(id);
        let (me, leases) = (self.participant.slot, self.leases());
        if self.has_been_replaced() {
            // The lease has gone along.
            return false;
        }
        let Ok(Some(pool)) = self.participant.pool_without_row(segment) else { return false };
        if !pool.holds(me, index, false) {
            return false;
        }
        let Some(before) = leases.give_back(lease as usize, me as u32, id) else { return false };
        fault::hit(Point::LeaseGivenBack);
        // Entry first: killed in between, the message counts as pending and held, which a recount repairs.
        pool.ledger_remove(me, index, false);
        self.pending.add(&leases, lease as usize, before);
        // SYNC CLOSE: as in `send`, against a destroyer that drained before our message was pending.
        dekker_fence();
        if self.state() == RING_DESTROYED {
            while self.drop_pending() {}
        }
        true
    }

    /// Wakes whoever waits for what was given back: as a message or, if the queue was destroyed meanwhile, as a free buffer.
    pub(super) fn wake_after_giving_back(&self) {
        self.wake_all();
        if self.state() == RING_DESTROYED {
            self.participant.wake_pool();
        }
    }

    /// Moves messages that have been delivered too often to the dead-letter queue and compacts the rest; returns how many are left.
    /// While that queue takes no more (or cannot be made), they are delivered once more instead: nothing is lost.
    #[cold]
    pub(super) fn dead_letter(&self, out: &mut [Received]) -> usize {
        let mut kept = 0;
        for at in 0..out.len() {
            let received = out[at];
            if received.attempt > self.options.max_deliveries && self.dead_letter_one(&received) {
                continue;
            }
            out[kept] = received;
            kept += 1;
        }
        kept
    }

    fn dead_letter_one(&self, received: &Received) -> bool {
        let (allocator, one) = (&self.allocator, [received.buffer]);
        let Ok(dead_letters) = self.dead_letters() else { return false };
        if allocator.share_for_send(&one, |_| true).is_err() {
            return false;
        }
        let send = || dead_letters.send(&one).0 == 1;
        let sent = send() || (dead_letters.grow_unless_asked() && send());
        if sent {
            // Killed before this: it is delivered again and sent there twice, which at-least-once allows.
            self.ack(received.lease.unwrap_or_default(), received.buffer.id);
            self.count(|header| &header.dead_lettered, 1);
        }
        // The reference that was leased, or the one that was not sent.
        allocator.release_unsent(&one, 0, |_| true);
        sent
    }

    /// The queue of dead letters, which is made when it is first needed, and again when it has ended meanwhile.
    fn dead_letters(&self) -> Result<Arc<PortQueue>> {
        let mut known = self.dead_letters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = known.as_ref().filter(|queue| !queue.is_destroyed()) {
            return Ok(Arc::clone(queue));
        }
        let name = dead_letter_name(&self.name);
        let ResolvedOptions { capacity, type_id, codec, .. } = self.options.clone();
        let like_this = QueueOptions { codec: Some(codec), ..QueueOptions::default() };
        let (kind, options) = if self.domain().entry(self.listed).is_kind(Kind::Work) {
            // The rest is for whoever gets from it to say, as of every SageQueue.
            (Kind::Work, QueueOptions { delivery: Some(Delivery::AtLeastOnce), ..like_this })
        } else {
            let (capacity, type_id) = (Some(capacity), Some(type_id));
            (Kind::Queue, QueueOptions { capacity, type_id, ..like_this })
        };
        // Whoever made one beforehand knows what they want of it; how much ours holds is nobody's wish.
        let named = options.named() & !ROOM;
        let queue = attach_or_create_naming(&self.cache, kind, &name, &options, named)?;
        *known = Some(Arc::clone(&queue));
        Ok(queue)
    }

    /// Whether a receiver of a closed queue has nothing more to expect.
    pub(super) fn is_drained(&self) -> bool {
        // Idle is quick to know, and the end of it.
        self.ring().front().is_none()
            && (self.is_idle_here() || !self.leases().more_may_come(self.participant.slot))
    }
}
