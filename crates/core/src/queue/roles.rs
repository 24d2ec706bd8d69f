//! Who sends to a queue and who receives from it: one bit per participant and role, from its first operation on until its end goes.

use super::Interest;
use super::PortQueue;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::{CLOSES_BEGUN, ParticipantSet, ParticipantSlot, RING_CLOSED, RING_OPEN, RingHeader};
use crate::sync::{AtomicU64, Ordering};

/// Bit of an end that has sent.
const SENDS: u32 = 1;
/// Bit of an end that has received.
const RECEIVES: u32 = 2;

impl ParticipantSet {
    fn bit(&self, slot: usize) -> (&AtomicU64, u64) {
        (&self.words[slot / 64 % self.words.len()], 1 << (slot % 64))
    }

    pub(super) fn add(&self, slot: usize) {
        let (word, bit) = self.bit(slot);
        // SYNC ROLE (seq-cst): see `is_empty`.
        word.fetch_or(bit, Ordering::SeqCst);
    }

    /// Takes `slot` out; whether it was in.
    pub(crate) fn remove(&self, slot: usize) -> bool {
        let (word, bit) = self.bit(slot);
        // SYNC ROLE (seq-cst): see `is_empty`.
        word.fetch_and(!bit, Ordering::SeqCst) & bit != 0
    }

    /// Whether nobody is in it.
    pub(crate) fn is_empty(&self) -> bool {
        // SYNC ROLE (seq-cst), pairs with `remove`: of two who take themselves out of different words and look then, the one that is second
        // in the single order of these accesses finds both words empty.
        self.words.iter().all(|word| word.load(Ordering::SeqCst) == 0)
    }

    /// Whether `slot` is in it.
    pub(crate) fn contains(&self, slot: usize) -> bool {
        let (word, bit) = self.bit(slot);
        // Relaxed: so it is at this moment.
        word.load(Ordering::Relaxed) & bit != 0
    }

    pub(crate) fn count(&self) -> usize {
        // Relaxed: a number of this moment.
        self.words.iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum()
    }
}

impl RingHeader {
    /// Closes the queue if that is to be when the last producer has gone, and it has. Whether it did.
    pub(crate) fn close_without_producers(&self) -> bool {
        // Acquire: whoever has said that it begins has its bit, or goes on to look at the state after it has set it.
        self.closes.load(Ordering::Acquire) == CLOSES_BEGUN
            && self.sending.is_empty()
            // SYNC CLOSE (seq-cst), as `PortQueue::close`.
            && self.state.compare_exchange(RING_OPEN, RING_CLOSED, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

impl PortQueue {
    /// Participants that have sent here, or tried to, and still have the queue open.
    pub fn producers(&self) -> usize {
        self.instead().map_or_else(|| self.header().sending.count(), |queue| queue.producers())
    }

    /// Participants that have received here, or tried to, and still have the queue open.
    pub fn consumers(&self) -> usize {
        self.instead().map_or_else(|| self.header().receiving.count(), |queue| queue.consumers())
    }

    /// Says that we send (receive), and makes sure that we may where there is to be one. The caller has pinned.
    #[inline]
    pub(super) fn take_role(&self, interest: Interest) -> Result<()> {
        let role = if interest == Interest::Space { SENDS } else { RECEIVES };
        // Relaxed: what follows from it was done by this participant, under a pin.
        if self.roles.load(Ordering::Relaxed) & role != 0 { Ok(()) } else { self.begin_role(role) }
    }

    #[cold]
    fn begin_role(&self, role: u32) -> Result<()> {
        let (header, slot) = (self.header(), self.participant.slot);
        let (limit, token, set, what) = match role {
            SENDS => (self.options.producers, &header.producer, &header.sending, "producer"),
            _ => (self.options.consumers, &header.consumer, &header.receiving, "consumer"),
        };
        let me = slot as u32 + 1;
        if limit != 0
            && let Err(other) = token.compare_exchange(0, me, Ordering::AcqRel, Ordering::Relaxed)
            && other != me
        {
            let domain = self.domain();
            let who =
                domain.active_at(other as usize - 1).map_or_else(String::new, ParticipantSlot::described);
            let message =
                format!("queue {:?} has one {what}, and participant {}, {who}, is it", self.name, other - 1);
            return Err(Error::new(ErrorKind::Role, message));
        }
        if role == SENDS && self.options.close_with_producers {
            // Before the bit: killed between the two, we were a producer.
            header.closes.store(CLOSES_BEGUN, Ordering::Release);
        }
        set.add(slot);
        self.roles.fetch_or(role, Ordering::Relaxed);
        Ok(())
    }

    /// Gives up what [`PortQueue::take_role`] took.
    pub(super) fn leave_roles(&self) {
        let (header, slot) = (self.header(), self.participant.slot);
        let me = slot as u32 + 1;
        for token in [&header.producer, &header.consumer] {
            let _ = token.compare_exchange(me, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        // Inside: a recovery sees the bit, or that the queue is closed if it is to be.
        let pin = self.participant.enter();
        header.attached.remove(slot);
        header.receiving.remove(slot);
        let has_sent = header.sending.remove(slot);
        fault::hit(Point::ProducerLeft);
        let closed = has_sent && header.close_without_producers();
        if closed {
            fault::hit(Point::CloseMarked);
        }
        drop(pin);
        if closed {
            self.wake_all();
        }
    }
}
