//! Looking at the next message.

use super::lease::Pending;
use super::port_queue::PortQueue;
use super::ring::Taken;
use crate::buffer::{Buffer, not_held, too_many_references};
use crate::error::Result;
use crate::layout::{RING_DESTROYED, split_id};
use crate::limits::RING_TRIES_MAX;

impl PortQueue {
    /// A reference to the next message, which stays in the queue.
    ///
    /// # Errors
    /// `Limit` when this participant has 65280 references to it already.
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// let queue = shm.port_queue("peek", &QueueOptions::default())?;
    /// queue.try_send(shm.allocate(10)?).unwrap();
    /// let peeked = queue.peek()?.expect("there is one");
    /// assert_eq!(queue.len(), 1, "it stays");
    /// shm.allocator().release(peeked)?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn peek(&self) -> Result<Option<Buffer>> {
        let pin = self.participant.pin()?;
        if self.has_been_replaced() {
            drop(pin);
            return self.successor()?.map_or(Ok(None), |queue| queue.peek());
        }
        for _ in 0..RING_TRIES_MAX {
            let Some(front) = self.front().filter(|_| self.state() != RING_DESTROYED) else { break };
            let id = front.id();
            let (segment, index) = split_id(id);
            let buffer = Buffer { id, received: false };
            let pool = self.participant.pool(segment)?.filter(|p| p.has(id));
            let pool = pool.ok_or_else(|| not_held(buffer))?;
            if !pool.ledger_has_room(self.participant.slot, index, false) {
                return Err(too_many_references(id));
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
        let pending = self.pending.first(&self.leases()).map(Front::Again);
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
