//! What a block takes.

use super::BATCH;
use crate::link::End;
use crate::ports::PortSpec;
use crate::stats::Latencies;
use millrace::{Buffer, Received, Result, Settle, SharedBufferAllocator, ShmManager, TakeOutcome};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a block has taken of one queue.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) end: Arc<End>,
    pub(crate) min: usize,
    /// Messages to have ahead of the work, at least.
    prefetch: usize,
    items: VecDeque<Received>,
    /// Of them, how many the work under way has taken, or the last one that is not settled yet.
    taken: usize,
    /// What is known of those.
    known: Vec<Known>,
    /// The work that took them has succeeded, and what it sent may not be in queues yet.
    committed: bool,
    /// Nothing more comes.
    closed: bool,
    /// Messages worth taking ahead: twice what the last work took.
    ahead: usize,
    /// It has all that it wants: more may come, and is not taken before some of this is.
    sated: bool,
    /// Messages that were ever taken from the queue.
    received: u64,
    /// How old they were.
    pub(crate) latencies: Latencies,
    /// Messages that were dropped before they came, as the queue has told with those that came.
    gaps: u64,
}

/// What is known of a message that has been taken.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// An output has its reference.
    moved: bool,
    stamp: u64,
}

impl Input {
    pub(crate) fn new(end: Arc<End>, spec: &PortSpec) -> Self {
        Self {
            end,
            min: spec.min,
            prefetch: spec.prefetch,
            items: VecDeque::with_capacity(BATCH),
            taken: 0,
            known: Vec::new(),
            committed: false,
            closed: false,
            ahead: 8,
            sated: false,
            received: 0,
            latencies: Latencies::default(),
            gaps: 0,
        }
    }

    /// Messages that are there and not taken.
    pub(crate) fn len(&self) -> usize {
        self.items.len() - self.taken
    }

    /// Messages that were ever taken from the queue.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Messages that were dropped on their way to it: of a queue that nobody else receives from, also behind the last one that came.
    pub(crate) fn gaps(&self) -> u64 {
        let is_mine = self.end.local.is_some() || self.end.only;
        let untold = self.end.known().filter(|_| is_mine).map_or(0, |queue| queue.untold_gap());
        self.gaps + u64::from(untold)
    }

    /// Whether there is nothing, and nothing more comes.
    pub(crate) fn has_ended(&self) -> bool {
        self.closed && self.len() == 0
    }

    /// Whether nothing more comes.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes what is worth having from the queue, `min` at least if that is there, so that there are at most `demand`. `draining`: nothing
    /// more comes once it is empty. Whether there was anything.
    pub(crate) fn fill(&mut self, shm: &ShmManager, min: usize, demand: u64, draining: bool) -> Result<bool> {
        let demand = usize::try_from(demand).unwrap_or(usize::MAX);
        let wanted = min.max(self.ahead).max(self.prefetch).min(demand).saturating_sub(self.len());
        if self.closed || wanted == 0 {
            // Of one that wants nothing more, nothing more comes.
            self.closed |= demand == 0;
            self.sated = wanted == 0;
            return Ok(false);
        }
        self.sated = false;
        let Some(queue) = self.end.queue(shm)? else {
            self.closed |= draining;
            return Ok(false);
        };
        let mut out = [Received::default(); BATCH];
        let mut got = 0;
        while got < wanted {
            let most = BATCH.min(wanted - got);
            let (count, outcome) = queue.receive(&mut out[..most])?;
            for received in &out[..count] {
                self.gaps += u64::from(received.gap);
                self.items.push_back(*received);
            }
            got += count;
            self.received += count as u64;
            match outcome {
                TakeOutcome::Done if count == most => {}
                TakeOutcome::Done | TakeOutcome::Empty => {
                    self.closed |= draining && count == 0;
                    break;
                }
                TakeOutcome::Closed | TakeOutcome::Destroyed => {
                    self.closed = true;
                    break;
                }
            }
        }
        self.sated = got == wanted;
        Ok(got > 0)
    }

    /// Whether a block that goes on waiting with what there is has to be told of more.
    pub(crate) fn wants_more(&self) -> bool {
        !self.closed && !self.sated
    }

    /// The message behind `at` others that are not taken.
    pub(crate) fn get(&self, at: usize) -> Option<&Received> {
        self.items.get(self.taken + at)
    }

    /// Takes the next message, whose stamp that is; returns its place.
    pub(crate) fn take(&mut self, stamp: u64) -> Option<usize> {
        let at = self.taken;
        (at < self.items.len()).then(|| {
            self.taken += 1;
            self.known.push(Known { moved: false, stamp });
            at
        })
    }

    /// Messages that the work under way has taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// The reference to message `at`, for somebody who sends it: the message's own, the first time.
    pub(crate) fn reference(&mut self, at: usize, allocator: &SharedBufferAllocator) -> Result<Buffer> {
        let received = self.items[at];
        if received.lease.is_some() || self.known[at].moved {
            return allocator.share(received.buffer);
        }
        self.known[at].moved = true;
        Ok(received.buffer)
    }

    /// A further reference to message `at`, which is taken some other time, or never.
    pub(crate) fn share(&self, at: usize, allocator: &SharedBufferAllocator) -> Result<Buffer> {
        allocator.share(self.items[at].buffer)
    }

    /// The work has succeeded: what it took has been made into something else.
    pub(crate) fn commit(&mut self) {
        self.committed = self.taken > 0;
    }

    /// The work has failed: what it took is there as before. Of work that has succeeded, nothing is.
    pub(crate) fn rollback(&mut self) {
        if !self.committed {
            self.taken = 0;
            self.known.clear();
        }
    }

    /// All that was sent is in queues: lets go of what was taken, at `at`. Returns how many messages that were.
    pub(crate) fn settle(&mut self, allocator: &SharedBufferAllocator, at: u64) -> Result<usize> {
        let taken = self.taken;
        if taken == 0 {
            return Ok(0);
        }
        self.known.iter().for_each(|known| self.latencies.record(known.stamp, at));
        self.ahead = if self.len() == 0 { (taken * 2).clamp(8, BATCH) } else { taken.clamp(1, BATCH) };
        if let Some(queue) = self.end.known() {
            for received in self.items.iter().take(taken) {
                if let Some(lease) = received.lease {
                    queue.ack(lease, received.buffer.id);
                }
            }
        }
        let kept = self.items.iter().zip(&self.known).filter(|(_, known)| !known.moved);
        let kept = kept.map(|(item, _)| item.buffer);
        let released = allocator.release_all(kept).1;
        self.items.drain(..taken);
        self.committed = false;
        self.rollback();
        released.map(|()| taken)
    }

    /// The block has ended: gives back what is there, to the queue if that delivers it again. A link of this scheduler ends with its last
    /// consumer, with what is in it.
    pub(crate) fn leave(&mut self, shm: &ShmManager, allocator: &SharedBufferAllocator) -> Left {
        let mut left = Left { lost: 0, comes_again: true };
        for (at, received) in std::mem::take(&mut self.items).into_iter().enumerate().rev() {
            let was_taken = at < self.taken;
            let returned = match (received.lease, self.end.known()) {
                (Some(lease), Some(queue)) => {
                    let returned = queue.nack(lease, received.buffer.id).is_ok();
                    if !returned {
                        // It has been destroyed, and delivers nothing again.
                        queue.ack(lease, received.buffer.id);
                    }
                    returned
                }
                _ => false,
            };
            left.comes_again &= returned || !was_taken;
            if returned || (was_taken && self.known[at].moved) {
                // The queue has it, or an output.
                continue;
            }
            // What was made of a message that was taken, if it is lost, is counted there.
            left.lost += u64::from(!was_taken);
            // Held until now; fails only when the domain has been left, and then it is released.
            let _ = allocator.release(received.buffer);
        }
        (self.taken, self.committed) = (0, false);
        self.known.clear();
        if self.end.leave(shm)
            && let Some(queue) = self.end.known()
        {
            // It is closed now, so whoever sends takes back what is not taken here, up to the end of the queue: each message is
            // counted by one of us.
            let mut out = [Received::default(); BATCH];
            while let Ok((count @ 1.., _)) = queue.receive(&mut out) {
                left.lost += count as u64;
                for received in &out[..count] {
                    self.gaps += u64::from(received.gap);
                    received.lease.map(|lease| queue.ack(lease, received.buffer.id));
                }
                let _ = allocator.release_all(out[..count].iter().map(|received| received.buffer));
            }
            left.lost += queue.destroy();
        }
        left
    }
}

/// What became of the messages that a block had when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// Messages that nobody gets any more.
    pub(crate) lost: u64,
    /// Whether the queue delivers all of those again that the last work had taken.
    pub(crate) comes_again: bool,
}
