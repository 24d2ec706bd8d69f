//! Receiving and peeking.

use super::port_queue::{Interest, PortQueue, Received, TakeOutcome};
use crate::buffer::{Buffer, not_held};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{RING_CLOSED, RING_DESTROYED, split_id};
use crate::limits::BATCH_MAX;
use crate::sync::{Ordering, fence};

impl PortQueue {
    /// Takes up to `out.len()` (at most 256) messages and answers how many.
    ///
    /// # Errors
    /// `Role`; `NoSpace` or `Io` when the message's segment cannot be attached (it stays in the queue); `Corrupt` when a slot named
    /// no buffer (it is skipped). Messages taken before an error are returned without it; the next call meets it again.
    pub fn receive(&self, out: &mut [Received]) -> Result<(usize, TakeOutcome)> {
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
        let ring = self.ring();
        let slot = self.participant.slot;
        let mut head = ring.head();
        let (mut count, mut result) = (0, Ok(()));
        for into in out.iter_mut().take(BATCH_MAX) {
            // Attaching to the message's segment may fail (full memory, no descriptors): then the message stays in the queue.
            let mut pool = None;
            let taken = ring.pop(&mut head, slot as u32, |id| match self.participant.pool(split_id(id).0) {
                Ok(found) => {
                    pool = found;
                    true
                }
                Err(e) => {
                    result = Err(e);
                    false
                }
            });
            let Some(taken) = taken else { break };
            let index = split_id(taken.id()).1;
            let pool = pool.filter(|p| p.header(index).is_some() && p.can_note(slot, index, true));
            let Some(pool) = pool else {
                ring.recycle(taken);
                result = Err(Error::new(
                    ErrorKind::Corrupt,
                    format!(
                        "queue {:?} carried buffer {}, which does not exist or cannot be held",
                        self.name,
                        taken.id()
                    ),
                ));
                break;
            };
            // Ledger before the slot is free: killed in between, the slot names the dead taker and is rolled forward.
            pool.note(slot, index, true);
            ring.recycle(taken);
            *into = Received { buffer: Buffer { id: taken.id(), received: true }, gap: 0 };
            count += 1;
        }
        ring.help_head(head);
        if count > 0 {
            self.participant.shared().counters.received.fetch_add(count as u64, Ordering::Relaxed);
            if self.header().gap.load(Ordering::Relaxed) != 0 {
                out[0].gap = self.header().gap.swap(0, Ordering::Relaxed);
            }
        }
        drop(pin);
        if count > 0 {
            self.wake(&self.header().space_waiters, count);
        }
        match (count, state) {
            (0, _) if result.is_err() => result.map(|()| (0, TakeOutcome::Empty)),
            (0, RING_CLOSED) => Ok((0, TakeOutcome::Closed)),
            (0, _) => Ok((0, TakeOutcome::Empty)),
            _ => Ok((count, TakeOutcome::Done)),
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
                self.participant.release(buffer)?;
            }
        }
        Ok(None)
    }
}
