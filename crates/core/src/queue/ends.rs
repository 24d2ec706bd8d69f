//! The ends of subscribers' queues that a participant has open.

use super::lifecycle::attach_listed;
use super::port_queue::PortQueue;
use crate::error::Result;
use crate::registry::{EntryRef, Participant, Pin};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// One end per ring, whether we publish to it, receive from it, or both: a participant has one waiter bit per queue, and an end that
/// goes gives back every lease the participant has there.
#[derive(Debug, Default)]
pub(crate) struct Ends(Mutex<HashMap<EntryRef, Weak<PortQueue>>>);

impl Ends {
    /// The end of a listed ring, called `name` in messages; `None` when it has been destroyed meanwhile.
    pub(crate) fn get(
        &self,
        participant: &Arc<Participant>,
        name: &str,
        listed: EntryRef,
        pin: &Pin<'_>,
    ) -> Result<Option<Arc<PortQueue>>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = open.get(&listed).and_then(Weak::upgrade) {
            return Ok(Some(queue));
        }
        let attached = attach_listed(participant, name, listed, pin)?;
        Ok(attached.map(|queue| remember(&mut open, queue)))
    }

    /// Adds the end of a ring that was just made.
    pub(crate) fn add(&self, queue: PortQueue) -> Arc<PortQueue> {
        remember(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), queue)
    }

    /// Gives up waits and leases of all; see [`PortQueue::retire`].
    pub(crate) fn retire(&self) {
        let open = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        open.values().filter_map(Weak::upgrade).for_each(|queue| queue.retire());
    }
}

fn remember(open: &mut HashMap<EntryRef, Weak<PortQueue>>, queue: PortQueue) -> Arc<PortQueue> {
    let queue = Arc::new(queue);
    open.retain(|_, known| known.strong_count() > 0);
    open.insert(queue.listed, Arc::downgrade(&queue));
    queue
}
