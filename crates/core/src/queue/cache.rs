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

    /// The end of a listed ring; `None` when it has been destroyed meanwhile. `over` gets the end that was known before, which may be the last
    /// reference to it: to be let go of by whoever is not inside.
    pub(crate) fn get(
        self: &Arc<Self>,
        listed: EntryRef,
        pin: &Pin<'_>,
        over: &mut Option<Arc<PortQueue>>,
    ) -> Result<Option<Arc<PortQueue>>> {
        let mut open = self.lock();
        let known = open.get(&listed).and_then(Weak::upgrade);
        // One that was destroyed is attached anew, which takes it out of the name table if its destroyer has not come to that; of one that was
        // replaced another ring is listed by now.
        if let Some(queue) = known.as_ref().filter(|queue| !queue.is_over()) {
            return Ok(Some(Arc::clone(queue)));
        }
        *over = known;
        let attached = attach_listed(self, listed, pin)?;
        Ok(attached.map(|queue| remember(&mut open, queue)))
    }

    /// As [`QueueCache::get`], for whoever has not pinned.
    pub(crate) fn open(self: &Arc<Self>, listed: EntryRef) -> Result<Option<Arc<PortQueue>>> {
        self.open_inside(listed, self.participant.pin()?)
    }

    /// The same with a pin that ends with it.
    pub(super) fn open_inside(
        self: &Arc<Self>,
        listed: EntryRef,
        pin: Pin<'_>,
    ) -> Result<Option<Arc<PortQueue>>> {
        let mut over = None;
        let opened = self.get(listed, &pin, &mut over);
        drop(pin);
        drop(over);
        opened
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

    /// Ends that are open.
    pub(super) fn open_ends(&self) -> Vec<Arc<PortQueue>> {
        self.lock().values().filter_map(Weak::upgrade).collect()
    }

    /// Adds the end of a ring that was just made.
    pub(super) fn add(&self, queue: PortQueue) -> Arc<PortQueue> {
        remember(&mut self.lock(), queue)
    }

    /// Runs `last` unless the participant has another end of the queue open by now, of whatever ring, and keeps others from being opened
    /// meanwhile. Whether it did.
    pub(super) fn unless_open(&self, listed: EntryRef, last: impl FnOnce()) -> bool {
        let open = self.lock();
        let is_open =
            |(at, known): (&EntryRef, &Weak<_>)| at.is_same_name(listed) && known.strong_count() > 0;
        let is_last = !open.iter().any(is_open);
        if is_last {
            last();
        }
        is_last
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
