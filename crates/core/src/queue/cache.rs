//! The queues a participant has open.

use super::lifecycle::attach_listed;
use super::port_queue::PortQueue;
use crate::error::Result;
use crate::layout::NameEntry;
use crate::registry::{EntryRef, Kind, Participant, Pin};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// One end per ring, whoever asks for it and however it was found: a participant has one waiter bit per queue, and an end that goes
/// gives back every lease the participant has there.
pub(crate) struct QueueCache {
    pub(crate) participant: Arc<Participant>,
    ends: Mutex<HashMap<EntryRef, Weak<PortQueue>>>,
}

impl std::fmt::Debug for QueueCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "QueueCache({} queues)", self.lock().len())
    }
}

impl QueueCache {
    pub(crate) fn new(participant: Arc<Participant>) -> Arc<Self> {
        Arc::new(Self { participant, ends: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EntryRef, Weak<PortQueue>>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of a listed ring; `None` when it has been destroyed meanwhile.
    pub(crate) fn get(self: &Arc<Self>, listed: EntryRef, pin: &Pin<'_>) -> Result<Option<Arc<PortQueue>>> {
        // Outlives the lock: if it is the last of its end, letting go of it takes the lock.
        let known;
        let mut open = self.lock();
        known = open.get(&listed).and_then(Weak::upgrade);
        // One that was destroyed is attached anew, which takes it out of the name table if its destroyer has not come to that.
        if let Some(queue) = known.as_ref().filter(|queue| !queue.is_destroyed()) {
            return Ok(Some(Arc::clone(queue)));
        }
        let attached = attach_listed(self, listed, pin)?;
        Ok(attached.map(|queue| remember(&mut open, queue)))
    }

    /// As [`QueueCache::get`], for whoever has not pinned.
    pub(crate) fn open(self: &Arc<Self>, listed: EntryRef) -> Result<Option<Arc<PortQueue>>> {
        self.get(listed, &self.participant.pin()?)
    }

    /// The end of what is listed as `kind` and `name`, if there is one.
    pub(crate) fn find(self: &Arc<Self>, kind: Kind, name: &str) -> Result<Option<Arc<PortQueue>>> {
        self.find_where(kind, name, |_| true)
    }

    /// As [`QueueCache::find`], of those entries for which `is_it` holds.
    pub(crate) fn find_where(
        self: &Arc<Self>,
        kind: Kind,
        name: &str,
        is_it: impl Fn(&NameEntry) -> bool,
    ) -> Result<Option<Arc<PortQueue>>> {
        while let Some(listed) = self.participant.domain.find_where(kind, name, &is_it).next() {
            if let Some(queue) = self.open(listed)? {
                return Ok(Some(queue));
            }
        }
        Ok(None)
    }

    /// Adds the end of a ring that was just made.
    pub(super) fn add(&self, queue: PortQueue) -> Arc<PortQueue> {
        remember(&mut self.lock(), queue)
    }

    /// Runs `last` unless the participant has another end of the ring open by now, and keeps others from being opened meanwhile.
    pub(super) fn unless_open(&self, listed: EntryRef, last: impl FnOnce()) {
        let open = self.lock();
        if open.get(&listed).is_none_or(|known| known.strong_count() == 0) {
            last();
        }
    }

    /// Gives up waits and leases of all; see [`PortQueue::retire`].
    pub(crate) fn retire(&self) {
        let open = std::mem::take(&mut *self.lock());
        open.values().filter_map(Weak::upgrade).for_each(|queue| queue.retire());
    }
}

fn remember(open: &mut HashMap<EntryRef, Weak<PortQueue>>, queue: PortQueue) -> Arc<PortQueue> {
    let queue = Arc::new(queue);
    open.retain(|_, known| known.strong_count() > 0);
    open.insert(queue.listed, Arc::downgrade(&queue));
    queue
}
