//! What a block sends.

use super::Input;
use crate::link::End;
use millrace::{Buffer, Error, ErrorKind, Result, SendOutcome, SharedBufferAllocator, ShmManager};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a block is to send to one queue.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) end: Arc<End>,
    staged: VecDeque<Buffer>,
    /// Nobody takes anything any more.
    pub(crate) closed: bool,
    /// Messages that nobody took.
    pub(crate) undelivered: u64,
}

/// How [`Outlet::flush`] ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flushed {
    /// Messages that were sent.
    pub(crate) sent: usize,
    /// Whether nothing is left.
    pub(crate) all: bool,
}

impl Outlet {
    pub(crate) fn new(end: Arc<End>) -> Self {
        Self { end, staged: VecDeque::new(), closed: false, undelivered: 0 }
    }

    pub(crate) fn stage(&mut self, buffer: Buffer) {
        self.staged.push_back(buffer);
    }

    /// Messages that the queue has room for.
    pub(crate) fn room(&self, shm: &ShmManager) -> Result<usize> {
        if self.closed {
            return Ok(usize::MAX);
        }
        let Some(queue) = self.end.queue(shm)? else { return Ok(0) };
        let options = queue.options();
        // A queue whose capacity follows its load grows when that is sent for which it has no room.
        let most = if options.limit > 0 { options.limit } else { options.capacity.max(options.capacities.1) };
        let most = most as usize;
        let waits = matches!(options.overflow, millrace::Overflow::Block | millrace::Overflow::Reject);
        Ok(if waits { most.saturating_sub(queue.len()) } else { most })
    }

    /// Whether everything has been sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.staged.is_empty()
    }

    /// Whether the block cannot go on because of this queue: something is staged, or could not be sent.
    pub(crate) fn is_blocked(&self, shm: &ShmManager) -> bool {
        // An error shows when the block is stepped.
        !self.staged.is_empty() || matches!(self.room(shm), Ok(0))
    }

    /// Sends what is staged, as far as there is room. What nobody takes any more is let go of.
    pub(crate) fn flush(&mut self, shm: &ShmManager, allocator: &SharedBufferAllocator) -> Result<Flushed> {
        let mut sent = 0;
        while !self.staged.is_empty() && !self.closed {
            let Some(queue) = self.end.queue(shm)? else { return Ok(Flushed { sent, all: false }) };
            let slice = self.staged.as_slices().0;
            let (accepted, outcome) = queue.send(slice);
            self.staged.drain(..accepted);
            sent += accepted;
            match outcome? {
                SendOutcome::Done => {}
                SendOutcome::Full if queue.options().overflow == millrace::Overflow::Reject => {
                    self.undelivered += self.drop_staged(1, allocator)?;
                }
                SendOutcome::Full => return Ok(Flushed { sent, all: false }),
                SendOutcome::Closed | SendOutcome::Destroyed => self.closed = true,
            }
        }
        // Of a closed queue.
        self.undelivered += self.drop_staged(self.staged.len(), allocator)?;
        Ok(Flushed { sent, all: true })
    }

    /// The block has ended: lets go of what is staged. Returns how many messages that were.
    pub(crate) fn leave(&mut self, shm: &ShmManager, allocator: &SharedBufferAllocator) -> u64 {
        self.end.leave(shm);
        // Held until now; fails only when the domain has been left, and then they are released.
        self.drop_staged(self.staged.len(), allocator).unwrap_or(0)
    }

    fn drop_staged(&mut self, count: usize, allocator: &SharedBufferAllocator) -> Result<u64> {
        if count == 0 {
            return Ok(0);
        }
        let released = allocator.release_all(self.staged.drain(..count)).1;
        released.map(|()| count as u64)
    }
}

/// What a block sends at one output, and the queues it is linked to.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) outlets: Vec<Outlet>,
    /// Sent by the work under way.
    pending: Vec<Pending>,
    /// The work under way has been told that there is no room. It was called as there was some: others that send there have taken it.
    pub(crate) was_full: Cell<bool>,
}

/// A message that is sent when the work has ended.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Own(Buffer),
    /// One of an input, by its place there.
    Input {
        input: usize,
        at: usize,
    },
    /// One that stays in its input.
    Kept {
        input: usize,
        at: usize,
    },
}

impl Output {
    pub(crate) fn new(outlets: Vec<Outlet>) -> Self {
        Self { outlets, pending: Vec::new(), was_full: Cell::new(false) }
    }

    /// Messages that the work under way has sent.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn send(&mut self, buffer: Buffer) {
        self.pending.push(Pending::Own(buffer));
    }

    pub(crate) fn forward(&mut self, input: usize, at: usize) {
        self.pending.push(Pending::Input { input, at });
    }

    pub(crate) fn forward_kept(&mut self, input: usize, at: usize) {
        self.pending.push(Pending::Kept { input, at });
    }

    /// Messages that every queue has room for.
    pub(crate) fn room(&self, shm: &ShmManager) -> Result<usize> {
        self.outlets
            .iter()
            .map(|outlet| outlet.room(shm))
            .try_fold(usize::MAX, |least, room| Ok(least.min(room?)))
    }

    /// Whether there is anybody left to send to.
    pub(crate) fn is_closed(&self) -> bool {
        self.outlets.iter().all(|outlet| outlet.closed)
    }

    /// The work has succeeded: its messages go to the outlets, each of which gets a reference of its own. New ones get `stamp`, unless it is 0.
    pub(crate) fn commit(
        &mut self,
        inputs: &mut [Input],
        allocator: &SharedBufferAllocator,
        stamp: u64,
    ) -> Result<()> {
        let (first, others) = match self.outlets.split_first_mut() {
            Some(outlets) => outlets,
            None => return Err(Error::new(ErrorKind::Internal, "an output without a queue")),
        };
        for pending in self.pending.drain(..) {
            let buffer = match pending {
                Pending::Own(buffer) => {
                    if stamp != 0 {
                        allocator.message(buffer)?.set_origin(stamp);
                    }
                    buffer
                }
                Pending::Input { input, at } => inputs[input].reference(at, allocator)?,
                Pending::Kept { input, at } => inputs[input].share(at, allocator)?,
            };
            for other in &mut *others {
                other.stage(allocator.share(buffer)?);
            }
            first.stage(buffer);
        }
        Ok(())
    }

    /// The work has failed: nothing of it is sent.
    pub(crate) fn rollback(&mut self, allocator: &SharedBufferAllocator) {
        let own = self.pending.drain(..).filter_map(|pending| match pending {
            Pending::Own(buffer) => Some(buffer),
            Pending::Input { .. } | Pending::Kept { .. } => None,
        });
        // Held until now; fails only when the domain has been left, and then they are released.
        let _ = allocator.release_all(own);
    }
}
