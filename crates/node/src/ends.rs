//! Queue handles of one manager, and the leases of messages that JavaScript has.

use crate::block::Status;
use millrace::{PortQueue, QueueOptions, ShmManager};
use std::sync::Arc;

/// The queue handles of a manager.
#[derive(Debug, Default)]
pub(crate) struct Ends(Vec<End>);

/// A queue handle: an open end, or the wish for one.
#[derive(Debug)]
struct End {
    name: String,
    queue: Option<Arc<PortQueue>>,
    state: State,
}

/// What has become of a queue handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In use, whether its queue exists or not.
    Wanted,
    /// Its queue was destroyed; it stays destroyed, whoever makes a new one of that name.
    Destroyed,
    /// Forgotten; the handle may be given out again.
    Detached,
}

impl Ends {
    /// A handle for queue `name`, created with `options` if they are given.
    pub(crate) fn add(
        &mut self,
        manager: &ShmManager,
        name: &str,
        options: Option<&QueueOptions>,
    ) -> millrace::Result<u32> {
        self.drop_destroyed();
        let queue = match options {
            Some(options) => Some(manager.port_queue(name, options)?),
            None => manager.find_queue(name)?,
        };
        let same = |end: &End| match (end.state, &end.queue, &queue) {
            (State::Wanted, Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (State::Wanted, None, _) => end.name == name,
            _ => false,
        };
        if let Some(known) = self.0.iter().position(same) {
            let end = &mut self.0[known];
            end.queue = end.queue.take().or(queue);
            return Ok(known as u32);
        }
        let end = End { name: name.to_owned(), queue, state: State::Wanted };
        if let Some(free) = self.0.iter().position(|end| end.state == State::Detached) {
            self.0[free] = end;
            return Ok(free as u32);
        }
        self.0.push(end);
        Ok(self.0.len() as u32 - 1)
    }

    /// The end behind `handle`, resolved if its queue exists by now; `NotFound` or `Destroyed` if there is none.
    #[inline]
    pub(crate) fn get(
        &mut self,
        manager: &ShmManager,
        handle: u32,
    ) -> millrace::Result<Result<&Arc<PortQueue>, Status>> {
        let Some(end) = self.0.get_mut(handle as usize) else { return Ok(Err(Status::NotFound)) };
        match end.state {
            State::Detached => return Ok(Err(Status::NotFound)),
            State::Destroyed => return Ok(Err(Status::Destroyed)),
            State::Wanted if end.queue.is_none() => end.queue = manager.find_queue(&end.name)?,
            State::Wanted => {}
        }
        Ok(end.queue.as_ref().ok_or(Status::NotFound))
    }

    /// The end behind `handle` if it has been resolved.
    pub(crate) fn resolved(&self, handle: u32) -> Option<&PortQueue> {
        self.0.get(handle as usize).and_then(|end| end.queue.as_deref())
    }

    /// Forgets the handle.
    pub(crate) fn detach(&mut self, handle: u32) {
        if let Some(end) = self.0.get_mut(handle as usize) {
            end.state = State::Detached;
            end.queue = None;
        }
    }

    /// Lets go of queues that have been destroyed, so that their memory is free. Called at every ring; destroying rings everybody.
    pub(crate) fn drop_destroyed(&mut self) {
        for end in &mut self.0 {
            if end.queue.as_ref().is_some_and(|queue| queue.is_destroyed()) {
                end.queue = None;
                end.state = State::Destroyed;
            }
        }
    }
}

/// Lease numbers below this one stand for "own reference" (0) and "received, nothing to acknowledge" (1).
pub(crate) const FIRST_LEASE: u32 = 2;

/// Leases of messages that JavaScript has, by number.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    kept: Vec<Option<(Arc<PortQueue>, u32)>>,
    free: Vec<u32>,
}

impl Leases {
    /// Remembers a lease and answers its number.
    #[inline]
    pub(crate) fn keep(&mut self, queue: &Arc<PortQueue>, lease: u32) -> u32 {
        let kept = Some((Arc::clone(queue), lease));
        let at = self.free.pop().unwrap_or_else(|| {
            self.kept.push(None);
            self.kept.len() as u32 - 1
        });
        self.kept[at as usize] = kept;
        at + FIRST_LEASE
    }

    /// The queue and lease behind `number`, which is forgotten. `None` for a number that stands for no lease.
    #[inline]
    pub(crate) fn take(&mut self, number: u32) -> Option<(Arc<PortQueue>, u32)> {
        let at = number.checked_sub(FIRST_LEASE)?;
        let kept = self.kept.get_mut(at as usize).and_then(Option::take)?;
        self.free.push(at);
        Some(kept)
    }
}
