//! Receiving and peeking.

use super::options::Delivery;
use super::port_queue::{Interest, PortQueue, Received, TakeOutcome};
use super::ring::{Ring, Taken};
use crate::buffer::{Buffer, not_held};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::{RING_CLOSED, RING_DESTROYED, split_id};
use crate::limits::BATCH_MAX;
use crate::pool::Pool;
use crate::sync::{Ordering, fence};

impl PortQueue {
    /// Takes up to `out.len()` (at most 256) messages and answers how many.
    ///
    /// # Errors
    /// `Role`; `NoSpace` or `Io` when the message's segment cannot be attached (it stays in the queue); `Corrupt` when a slot named
    /// no buffer (it is skipped). Messages taken before an error are returned without it; the next call meets it again.
    pub fn receive(&self, out: &mut [Received]) -> Result<(usize, TakeOutcome)> {
        loop {
            let (count, outcome) = self.receive_once(out)?;
            let kept = if self.options.max_deliveries > 0 { self.bury(&mut out[..count]) } else { count };
            // All that came was to be buried, each message once: there may be others behind it.
            if kept > 0 || count == 0 {
                self.count_deliveries(&out[..kept]);
                return Ok((kept, outcome));
            }
        }
    }

    /// Statistics of what a receiver got.
    fn count_deliveries(&self, delivered: &[Received]) {
        if !delivered.is_empty() {
            self.participant.shared().counters.received.fetch_add(delivered.len() as u64, Ordering::Relaxed);
        }
        if self.options.delivery == Delivery::AtLeastOnce {
            let again = delivered.iter().filter(|received| received.attempt > 1).count();
            self.header().redelivered.fetch_add(again as u64, Ordering::Relaxed);
        }
    }

    fn receive_once(&self, out: &mut [Received]) -> Result<(usize, TakeOutcome)> {
        let pin = self.participant.pin()?;
        let state = self.state();
        if state == RING_DESTROYED {
            return Ok((0, TakeOutcome::Destroyed));
        }
        if state == RING_CLOSED {
            // SYNC CLOSE: the state was read first, the ring comes after. Pairs with the fence in `send`.
            fence(Ordering::SeqCst);
        }
        self.take_role(Interest::Data)?;
        let (count, result) = match self.options.delivery {
            Delivery::AtMostOnce => self.take(out),
            Delivery::AtLeastOnce => self.lease(out),
        };
        if count > 0 && self.header().gap.load(Ordering::Relaxed) != 0 {
            out[0].gap = self.header().gap.swap(0, Ordering::Relaxed);
        }
        let ended = count == 0 && state == RING_CLOSED && self.is_drained();
        drop(pin);
        if count > 0 {
            self.wake(&self.header().space_waiters, count);
            return Ok((count, TakeOutcome::Done));
        }
        result.map(|()| (0, if ended { TakeOutcome::Closed } else { TakeOutcome::Empty }))
    }

    /// Takes messages for good.
    fn take(&self, out: &mut [Received]) -> (usize, Result<()>) {
        let ring = self.ring();
        let mut head = ring.head();
        let (mut count, mut result) = (0, Ok(()));
        for into in out.iter_mut().take(BATCH_MAX) {
            let Some((taken, pool)) = self.pop(&ring, &mut head, &mut result) else { break };
            // Ledger before the slot is free: killed in between, the slot names the dead taker and is rolled forward.
            fault::hit(Point::PopTaken);
            pool.note(self.participant.slot, split_id(taken.id()).1, true);
            fault::hit(Point::PopNoted);
            ring.recycle(taken);
            fault::hit(Point::PopRecycled);
            *into = Received::new(taken.id(), None);
            count += 1;
        }
        ring.help_head(head);
        fault::hit(Point::PopHelped);
        (count, result)
    }

    /// Leases messages: those to be delivered again first.
    fn lease(&self, out: &mut [Received]) -> (usize, Result<()>) {
        let (ring, leases, me) = (self.ring(), self.leases(), self.participant.slot);
        let mut head = ring.head();
        let (mut count, mut result) = (0, Ok(()));
        for into in out.iter_mut().take(BATCH_MAX) {
            if let Some(received) = self.retake(&mut result) {
                *into = received;
                count += 1;
                continue;
            }
            // A place for the lease first: a message that has been taken is never without one.
            let cursor = self.lease_cursor.load(Ordering::Relaxed) as usize;
            let Some(entry) = leases.reserve(cursor, me as u32) else { break };
            fault::hit(Point::LeaseReserved);
            let Some((taken, pool)) = self.pop(&ring, &mut head, &mut result) else {
                leases.abandon(entry);
                break;
            };
            self.lease_cursor.store(entry as u32 + 1, Ordering::Relaxed);
            fault::hit(Point::LeaseTaken);
            leases.grant(entry, me as u32, taken.id(), taken.position);
            fault::hit(Point::LeaseGranted);
            pool.note(me, split_id(taken.id()).1, false);
            // Last: killed before, slot and lease both name the message; recovery keeps the lease.
            ring.recycle(taken);
            *into = Received::new(taken.id(), Some(entry as u32));
            count += 1;
        }
        ring.help_head(head);
        (count, result)
    }

    /// Leases the first message that waits to be delivered again.
    fn retake(&self, result: &mut Result<()>) -> Option<Received> {
        let me = self.participant.slot;
        let mut pool = None;
        let retaken = self.leases().retake(me as u32, |id| self.attach_for(id, &mut pool, result))?;
        fault::hit(Point::LeaseRetaken);
        // Killed before the note: the lease names us, which is enough for recovery.
        let index = split_id(retaken.id).1;
        pool.filter(|p| p.header(index).is_some())?.note(me, index, false);
        let received = Received::new(retaken.id, Some(retaken.entry as u32));
        Some(Received { attempt: retaken.deliveries, ..received })
    }

    /// Takes the first message of the ring and finds its pool; the slot is still TAKEN. `None`: empty, or `result` tells why not.
    #[inline]
    fn pop<'a>(
        &'a self,
        ring: &Ring<'_>,
        head: &mut u64,
        result: &mut Result<()>,
    ) -> Option<(Taken, &'a Pool)> {
        let slot = self.participant.slot;
        let received = self.options.delivery == Delivery::AtMostOnce;
        let mut pool = None;
        let taken = ring.pop(head, slot as u32, |id| self.attach_for(id, &mut pool, result))?;
        let index = split_id(taken.id()).1;
        let pool = pool.filter(|p: &&Pool| p.header(index).is_some() && p.can_note(slot, index, received));
        if pool.is_none() {
            ring.recycle(taken);
            *result = Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "queue {:?} carried buffer {}, which does not exist or cannot be held",
                    self.name,
                    taken.id()
                ),
            ));
        }
        Some((taken, pool?))
    }

    /// Attaches to the segment of message `id` before it is taken: if that fails (full memory, no descriptors) the message stays.
    #[inline]
    fn attach_for<'a>(&'a self, id: u32, pool: &mut Option<&'a Pool>, result: &mut Result<()>) -> bool {
        match self.participant.pool(split_id(id).0) {
            Ok(found) => {
                *pool = found;
                true
            }
            Err(e) => {
                *result = Err(e);
                false
            }
        }
    }

    /// A reference to the next message, which stays in the queue.
    ///
    /// # Errors
    /// `Limit` when this participant has 65535 references to it already.
    pub fn peek(&self) -> Result<Option<Buffer>> {
        let _pin = self.participant.pin()?;
        let ring = self.ring();
        while let Some(front) = ring.front().filter(|_| !self.is_destroyed()) {
            let (segment, index) = split_id(front.id());
            let buffer = Buffer { id: front.id(), received: false };
            let pool = self.participant.pool(segment)?.filter(|p| p.header(index).is_some());
            let pool = pool.ok_or_else(|| not_held(buffer))?;
            if !pool.can_note(self.participant.slot, index, false) {
                return Err(Error::new(
                    ErrorKind::Limit,
                    format!("buffer {} has 65535 references here", buffer.id),
                ));
            }
            if pool.try_ref(index) {
                pool.note(self.participant.slot, index, false);
                // Our reference came first: if the message is still there, it is to this message.
                if ring.is_still_there(front) {
                    return Ok(Some(buffer));
                }
                if self.participant.release(buffer)? {
                    self.participant.wake_pool();
                }
            }
        }
        Ok(None)
    }
}
