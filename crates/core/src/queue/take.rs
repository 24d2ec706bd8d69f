//! Taking messages out of the ring, or over from those that wait to be delivered again. The caller has pinned.

use super::options::Delivery;
use super::port_queue::{PortQueue, Received};
use super::ring::{Ring, Taken};
use crate::buffer::too_many_references;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::{TakeIntent, cell_of, split_id};
use crate::limits::{BATCH_MAX, RING_TRIES_MAX};
use crate::pool::{Freed, Pool};
use crate::registry::Pin;
use crate::sync::Ordering;
use std::mem::MaybeUninit;

impl PortQueue {
    /// Takes messages for good.
    pub(super) fn take(&self, out: &mut [Received], pin: &Pin<'_>) -> (usize, Result<()>) {
        let (ring, me) = (self.ring(), self.participant.slot);
        let mut head = ring.head();
        let (mut count, mut known, mut result) = (0, None, Ok(()));
        let out_len = out.len().min(BATCH_MAX);
        for into in &mut out[..out_len] {
            let admit = |pool: &Pool, id, result: &mut _| self.can_hold(pool, id, result);
            let Some((taken, pool)) = self.pop(&ring, &mut head, &mut known, &mut result, admit) else {
                break;
            };
            // The next to be touched, by who reads and releases the message.
            pool.prefetch(taken.id());
            // Ledger before the slot is free: killed in between, the slot names the dead taker and is rolled forward.
            fault::hit(Point::PopTaken);
            let index = split_id(taken.id()).1;
            if cell_of(taken.id()) == 0 {
                pool.ledger_add(me, index, true);
                fault::hit(Point::PopAdded);
                ring.recycle(taken);
            } else {
                let intent = || TakeIntent::new(taken.id(), pool.entry(me, index).received());
                pin.with_intent(intent, || {
                    fault::hit(Point::PopBegun);
                    pool.ledger_add(me, index, true);
                    fault::hit(Point::PopAdded);
                    ring.recycle(taken);
                });
            }
            fault::hit(Point::PopRecycled);
            *into = Received::new(taken.id(), None);
            count += 1;
        }
        ring.help_head(head);
        fault::hit(Point::PopHelped);
        (count, result)
    }

    /// Takes and copies messages; whether that freed any buffer. Two rounds: the first asks for the cache lines the second works on.
    pub(super) fn take_copies(
        &self,
        out: &mut [u8],
        lengths: &mut [u32],
        pin: &Pin<'_>,
    ) -> (usize, bool, Result<()>) {
        let ring = self.ring();
        let mut head = ring.head();
        let (mut count, mut used, mut known, mut result) = (0, 0, None, Ok(()));
        let mut taken = [const { MaybeUninit::<(Taken, &Pool)>::uninit() }; BATCH_MAX];
        for (into, length) in taken.iter_mut().zip(lengths.iter_mut()) {
            let (left, mut bytes) = (out.len() - used, 0);
            let fits = |pool: &Pool, id, _: &mut _| {
                bytes = pool.content(id).map_or(0, |content| content.length());
                bytes <= left
            };
            let Some(message) = self.pop(&ring, &mut head, &mut known, &mut result, fits) else {
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
        if count > 0 {
            // No ledger says that we have them: this does, until we are outside again.
            pin.begin_copies(count);
        }
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
        let freed = freed.flush();
        if count > 0 {
            pin.end_copies(count);
        }
        (count, freed, result)
    }

    /// Leases messages: those to be delivered again first.
    pub(super) fn lease(&self, out: &mut [Received]) -> (usize, Result<()>) {
        let (ring, leases, me) = (self.ring(), self.leases(), self.participant.slot);
        let out_len = out.len().min(BATCH_MAX);
        let (out, mut result) = (&mut out[..out_len], Ok(()));
        let mut count = if leases.any_pending() { self.lease_again(out, &mut result) } else { 0 };
        if result.is_err() {
            return (count, result);
        }
        let (mut head, mut known) = (ring.head(), None);
        for into in &mut out[count..] {
            // A place for the lease first: a message that has been taken is never without one.
            let cursor = self.lease_cursor.load(Ordering::Relaxed) as usize;
            let reserved = if leases.has_room(head) { leases.reserve(cursor, me as u32) } else { None };
            let Some(entry) = reserved else { break };
            fault::hit(Point::LeaseReserved);
            let admit = |pool: &Pool, id, result: &mut _| self.can_hold(pool, id, result);
            let Some((taken, pool)) = self.pop(&ring, &mut head, &mut known, &mut result, admit) else {
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

    /// Leases messages that wait to be delivered again, in order.
    #[cold]
    fn lease_again(&self, out: &mut [Received], result: &mut Result<()>) -> usize {
        for (count, into) in out.iter_mut().enumerate() {
            let Some(received) = self.retake(result) else { return count };
            *into = received;
        }
        out.len()
    }

    /// Leases the first message that waits to be delivered again. What keeps it from that is left in `result`.
    fn retake(&self, result: &mut Result<()>) -> Option<Received> {
        let (leases, me) = (self.leases(), self.participant.slot);
        // Each round somebody else was faster.
        for _ in 0..RING_TRIES_MAX {
            let pending = self.pending.first(&leases)?;
            let (id, index) = (pending.id(), split_id(pending.id()).1);
            let (mut known, mut pool) = (None, None);
            if !self.find_pool(id, &mut known, &mut pool, result) {
                return None;
            }
            let Some(pool) = pool else {
                // What is not sound must not block the queue.
                if leases.drop_pending(pending) {
                    *result = Err(self.carries_none(id));
                    return None;
                }
                continue;
            };
            if !self.can_hold(pool, id, result) {
                return None;
            }
            if let Some(retaken) = leases.retake(pending, me as u32) {
                fault::hit(Point::LeaseRetaken);
                // Killed before the ledger: the lease names us, which is enough for recovery.
                pool.ledger_add(me, index, false);
                let received = Received::new(id, Some(retaken.entry as u32));
                return Some(Received { attempt: retaken.deliveries, ..received });
            }
        }
        None
    }

    /// Takes the first message of the ring and finds its pool; the slot is still TAKEN. `None`: empty, or `admit` refused it, or `result`
    /// tells why not. `known` is the pool of the message before.
    #[inline]
    fn pop<'a>(
        &'a self,
        ring: &Ring<'_>,
        head: &mut u64,
        known: &mut Option<&'a Pool>,
        result: &mut Result<()>,
        mut admit: impl FnMut(&Pool, u32, &mut Result<()>) -> bool,
    ) -> Option<(Taken, &'a Pool)> {
        let mut pool: Option<&Pool> = None;
        let taken = ring.pop(head, self.participant.slot as u32, |id| {
            // What is not sound is taken all the same: it must not block the queue.
            self.find_pool(id, known, &mut pool, result) && pool.is_none_or(|pool| admit(pool, id, result))
        })?;
        if pool.is_none() {
            ring.recycle(taken);
            self.settle(1);
            *result = Err(self.carries_none(taken.id()));
        }
        Some((taken, pool?))
    }

    /// Finds the pool of message `id` before it is taken, `None` if there is no such message. `false`: its segment cannot be attached (full
    /// memory, no descriptors), and the message stays. `known` is the pool of the message before, as a rule the same.
    #[inline(always)]
    fn find_pool<'a>(
        &'a self,
        id: u32,
        known: &mut Option<&'a Pool>,
        pool: &mut Option<&'a Pool>,
        result: &mut Result<()>,
    ) -> bool {
        let segment = split_id(id).0;
        if known.is_none_or(|known| known.index != segment) && !self.look_up_pool(segment, known, result) {
            return false;
        }
        *pool = known.filter(|pool| pool.has(id));
        true
    }

    #[inline(always)]
    fn look_up_pool<'a>(
        &'a self,
        segment: usize,
        known: &mut Option<&'a Pool>,
        result: &mut Result<()>,
    ) -> bool {
        match self.participant.pool(segment) {
            Ok(found) => {
                *known = found;
                true
            }
            Err(e) => refuse(result, e),
        }
    }

    /// Whether the ledger has room for another reference to the buffer of message `id`; if not, the message stays.
    #[inline(always)]
    fn can_hold(&self, pool: &Pool, id: u32, result: &mut Result<()>) -> bool {
        let received = self.options.delivery == Delivery::AtMostOnce;
        let can = pool.ledger_has_room(self.participant.slot, split_id(id).1, received);
        can || refuse(result, too_many_references(id))
    }

    #[cold]
    fn carries_none(&self, id: u32) -> Error {
        let what = format!("queue {:?} carried buffer {id}, which does not exist", self.name);
        Error::new(ErrorKind::Corrupt, what)
    }
}

/// Leaves in `result` why a message stays in the queue.
#[cold]
fn refuse(result: &mut Result<()>, why: Error) -> bool {
    *result = Err(why);
    false
}
