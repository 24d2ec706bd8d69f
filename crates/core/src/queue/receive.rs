//! Receiving and peeking.

use super::lease::Pending;
use super::options::Delivery;
use super::port_queue::{Interest, PortQueue, Received, TakeOutcome};
use super::ring::{Ring, Taken};
use crate::buffer::{Buffer, not_held};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::{RING_CLOSED, RING_DESTROYED, Taking, cell_of, split_id};
use crate::limits::{BATCH_MAX, RING_TRIES_MAX};
use crate::pool::{Freed, Pool};
use crate::registry::Pin;
use crate::sync::{Ordering, fence};
use std::mem::MaybeUninit;

impl PortQueue {
    /// Takes up to `out.len()` (at most 256) messages and answers how many.
    ///
    /// # Errors
    /// `Role`; `NoSpace` or `Io` when the message's segment cannot be attached (it stays in the queue); `Corrupt` when a slot named
    /// no buffer (it is skipped). Messages taken before an error are returned without it; the next call meets it again.
    pub fn receive(&self, out: &mut [Received]) -> Result<(usize, TakeOutcome)> {
        self.receive_after(None, out)
    }

    /// The same after giving `done` back, a reference without a lease: half of what the two cost apart, for loops.
    ///
    /// # Errors
    /// `NotHeld` when this participant has no such reference, and nothing is taken; as [`PortQueue::receive`] otherwise, and `done` has
    /// been given back.
    pub fn receive_after(
        &self,
        mut done: Option<Buffer>,
        out: &mut [Received],
    ) -> Result<(usize, TakeOutcome)> {
        loop {
            let (count, outcome) = self.receive_once(done.take(), out)?;
            let kept = if self.buries() { self.bury(&mut out[..count]) } else { count };
            // All that came was to be buried, each message once: there may be others behind it.
            if kept > 0 || count == 0 {
                self.count_deliveries(&out[..kept]);
                return Ok((kept, outcome));
            }
        }
    }

    /// Whether messages that were delivered too often are buried: then what was taken is not what is received.
    fn buries(&self) -> bool {
        self.options.max_deliveries > 0
    }

    /// Statistics of what a receiver got.
    fn count_deliveries(&self, delivered: &[Received]) {
        if self.buries() {
            self.participant.enter().count_received(delivered.len());
        }
        if self.options.delivery == Delivery::AtLeastOnce {
            let again = delivered.iter().filter(|received| received.attempt > 1).count();
            if again > 0 {
                self.header().redelivered.fetch_add(again as u64, Ordering::Relaxed);
            }
        }
    }

    fn receive_once(&self, done: Option<Buffer>, out: &mut [Received]) -> Result<(usize, TakeOutcome)> {
        let mut freed = false;
        let before = || {
            if let Some(done) = done {
                let mut last = Freed::default();
                self.participant.release_data(done, 1, &mut last)?;
                freed = last.flush();
            }
            Ok(())
        };
        let taken = self.take_with(before, |pin| match self.options.delivery {
            Delivery::AtMostOnce => self.take(out, pin),
            Delivery::AtLeastOnce => self.lease(out),
        });
        if freed {
            self.participant.wake_pool();
        }
        let (count, gap, outcome) = taken?;
        if count > 0 {
            out[0].gap = gap;
        }
        Ok((count, outcome))
    }

    /// Takes messages of an at-most-once queue, copies them to `out`, one after the other, and frees them; answers how many, and the
    /// messages dropped before them. At most `lengths.len()` and 256; each one's bytes are left in `lengths`.
    ///
    /// Nobody holds a message that is copied out, so no ledger is written: this is the fastest way for small ones. A message that is
    /// longer than what is left of `out` stays in the queue: `TooLarge` if it is the first.
    ///
    /// # Errors
    /// As [`PortQueue::receive`]; `TooLarge`; `InvalidArgument` on an at-least-once queue, whose messages are to be acknowledged.
    pub fn get(&self, out: &mut [u8], lengths: &mut [u32]) -> Result<(usize, u32, TakeOutcome)> {
        if self.options.delivery == Delivery::AtLeastOnce {
            let what = format!("queue {:?} is at-least-once: receive from it and acknowledge", self.name);
            return Err(Error::new(ErrorKind::InvalidArgument, what));
        }
        let mut freed = false;
        let (count, gap, outcome) = self.take_with(
            || Ok(()),
            |_| {
                let (count, any, result) = self.take_copies(out, lengths);
                freed = any;
                (count, result)
            },
        )?;
        if freed {
            self.participant.wake_pool();
        }
        Ok((count, gap, outcome))
    }

    /// Runs `before`, then `take` with everything that belongs around it; answers how many messages it took, and how many were dropped
    /// before.
    fn take_with(
        &self,
        before: impl FnOnce() -> Result<()>,
        take: impl FnOnce(&Pin<'_>) -> (usize, Result<()>),
    ) -> Result<(usize, u32, TakeOutcome)> {
        let pin = self.participant.pin()?;
        before()?;
        let state = self.state();
        if state == RING_DESTROYED {
            return Ok((0, 0, TakeOutcome::Destroyed));
        }
        if state == RING_CLOSED {
            // SYNC CLOSE: the state was read first, the ring comes after. Pairs with the fence in `send`.
            fence(Ordering::SeqCst);
        }
        self.take_role(Interest::Data)?;
        let (count, result) = take(&pin);
        let gap = &self.header().gap;
        let gap =
            if count > 0 && gap.load(Ordering::Relaxed) != 0 { gap.swap(0, Ordering::Relaxed) } else { 0 };
        let ended = count == 0 && state == RING_CLOSED && self.is_drained();
        if !self.buries() {
            pin.count_received(count);
        }
        drop(pin);
        if count > 0 {
            self.wake(&self.header().space_waiters, count);
            return Ok((count, gap, TakeOutcome::Done));
        }
        result.map(|()| (0, 0, if ended { TakeOutcome::Closed } else { TakeOutcome::Empty }))
    }

    /// Takes messages for good.
    fn take(&self, out: &mut [Received], pin: &Pin<'_>) -> (usize, Result<()>) {
        let ring = self.ring();
        let mut head = ring.head();
        let (mut count, mut result) = (0, Ok(()));
        for into in out.iter_mut().take(BATCH_MAX) {
            let Some((taken, pool)) = self.pop(&ring, &mut head, &mut result, |_, _| true) else { break };
            // The next to be touched, by who reads and releases the message.
            pool.prefetch(taken.id());
            // Ledger before the slot is free: killed in between, the slot names the dead taker and is rolled forward.
            fault::hit(Point::PopTaken);
            let (index, shares) = (split_id(taken.id()).1, cell_of(taken.id()) != 0);
            if shares {
                pin.begin_taking(Taking::new(
                    taken.id(),
                    pool.entry(self.participant.slot, index).received(),
                ));
                fault::hit(Point::PopBegun);
            }
            pool.ledger_add(self.participant.slot, index, true);
            fault::hit(Point::PopNoted);
            ring.recycle(taken);
            fault::hit(Point::PopRecycled);
            if shares {
                pin.end_taking();
            }
            *into = Received::new(taken.id(), None);
            count += 1;
        }
        ring.help_head(head);
        fault::hit(Point::PopHelped);
        (count, result)
    }

    /// Takes and copies messages; whether that freed any buffer. Two rounds: the first asks for the cache lines the second works on.
    fn take_copies(&self, out: &mut [u8], lengths: &mut [u32]) -> (usize, bool, Result<()>) {
        let ring = self.ring();
        let mut head = ring.head();
        let (mut count, mut used, mut result) = (0, 0, Ok(()));
        let mut taken = [const { MaybeUninit::<(Taken, &Pool)>::uninit() }; BATCH_MAX];
        for (into, length) in taken.iter_mut().zip(lengths.iter_mut()) {
            let (left, mut bytes) = (out.len() - used, 0);
            let fits = |pool: &Pool, id| {
                bytes = pool.content(id).map_or(0, |content| content.length());
                bytes <= left
            };
            let Some(message) = self.pop(&ring, &mut head, &mut result, fits) else {
                if bytes > left && count == 0 && result.is_ok() {
                    let what = format!(
                        "the next message on queue {:?} has {bytes} bytes, room is for {left}",
                        self.name
                    );
                    result = Err(Error::new(ErrorKind::TooLarge, what));
                }
                break;
            };
            message.1.prefetch(message.0.id());
            into.write(message);
            *length = bytes as u32;
            used += bytes;
            count += 1;
        }
        ring.help_head(head);
        let mut freed = Freed::default();
        let mut rest = out;
        for (message, length) in taken[..count].iter().zip(lengths) {
            // SAFETY: the first `count` entries have been written.
            let (taken, pool) = unsafe { message.assume_init_ref() };
            let (into, behind) = rest.split_at_mut(*length as usize);
            if let Some(content) = pool.content(taken.id()) {
                content.copy_to(into);
            }
            rest = behind;
            // Killed before: the slot names the dead taker and is rolled forward. After: counted by nobody, freed by recount.
            fault::hit(Point::PopTaken);
            ring.recycle(*taken);
            fault::hit(Point::PopRecycled);
            freed.unref(pool, split_id(taken.id()).1, 1);
        }
        (count, freed.flush(), result)
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
            let Some((taken, pool)) = self.pop(&ring, &mut head, &mut result, |_, _| true) else {
                leases.abandon(entry);
                break;
            };
            self.lease_cursor.store(entry as u32 + 1, Ordering::Relaxed);
            fault::hit(Point::LeaseTaken);
            leases.grant(entry, me as u32, taken.id(), taken.position);
            fault::hit(Point::LeaseGranted);
            pool.ledger_add(me, split_id(taken.id()).1, false);
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
        pool.filter(|p| p.has(retaken.id))?.ledger_add(me, index, false);
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
        mut admit: impl FnMut(&Pool, u32) -> bool,
    ) -> Option<(Taken, &'a Pool)> {
        let slot = self.participant.slot;
        let received = self.options.delivery == Delivery::AtMostOnce;
        let mut pool: Option<&Pool> = None;
        let taken = ring.pop(head, slot as u32, |id| {
            let attached = self.attach_for(id, &mut pool, result);
            // What is not sound is taken all the same: it must not block the queue.
            pool = pool.filter(|pool| pool.has(id) && pool.ledger_has_room(slot, split_id(id).1, received));
            attached && pool.is_none_or(|pool| admit(pool, id))
        })?;
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
        for _ in 0..RING_TRIES_MAX {
            let Some(front) = self.front().filter(|_| !self.is_destroyed()) else { break };
            let id = front.id();
            let (segment, index) = split_id(id);
            let buffer = Buffer { id, received: false };
            let pool = self.participant.pool(segment)?.filter(|p| p.has(id));
            let pool = pool.ok_or_else(|| not_held(buffer))?;
            if !pool.ledger_has_room(self.participant.slot, index, false) {
                return Err(Error::new(ErrorKind::Limit, format!("buffer {id} has 65535 references here")));
            }
            if pool.try_ref(index) {
                pool.ledger_add(self.participant.slot, index, false);
                // Our reference came first: if the message is still there, it is to this message.
                if self.is_still_there(front) {
                    return Ok(Some(buffer));
                }
                if self.participant.release(buffer)? {
                    self.participant.wake_pool();
                }
            }
        }
        Ok(None)
    }

    /// The message that is delivered next, wherever it waits.
    fn front(&self) -> Option<Front> {
        let pending = self.leases().front().map(Front::Again);
        pending.or_else(|| self.ring().front().map(Front::First))
    }

    fn is_still_there(&self, front: Front) -> bool {
        match front {
            Front::Again(pending) => self.leases().is_still_there(pending),
            Front::First(taken) => self.ring().is_still_there(taken),
        }
    }
}

/// The message at the front: to be delivered again, or for the first time.
#[derive(Clone, Copy)]
enum Front {
    Again(Pending),
    First(Taken),
}

impl Front {
    fn id(self) -> u32 {
        match self {
            Self::Again(pending) => pending.id(),
            Self::First(taken) => taken.id(),
        }
    }
}
