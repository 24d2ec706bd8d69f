//! Sending, receiving and waiting.

use super::ResolvedOptions;
use super::lifecycle::RingView;
use super::ring::Ring;
use crate::buffer::{Buffer, BufferPtr};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::RingHeader;
use crate::limits::BATCH_MAX;
use crate::registry::{Listed, Participant};
use crate::sync::{AtomicU32, Ordering};
use std::sync::Arc;

/// What a participant can wait for at a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// A message, or the end of the queue.
    Data = 0,
    /// Room for a message, or the end of the queue.
    Space = 1,
}

/// How a send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// All messages are accepted.
    Done,
    /// The queue is full; the rest is still the sender's.
    Full,
    /// The queue is closed; the rest is still the sender's.
    Closed,
    /// The queue has been destroyed; the rest is still the sender's.
    Destroyed,
}

/// How a receive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeOutcome {
    /// At least one message.
    Done,
    /// Nothing there now.
    Empty,
    /// Nothing there, and there will be nothing any more.
    Closed,
    /// The queue has been destroyed.
    Destroyed,
}

/// One received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The reference, now held by this participant.
    pub buffer: Buffer,
    /// Messages an overflow policy dropped since the delivery before this one.
    pub gap: u32,
}

/// This participant's end of a queue. Any number of ends may exist; each may send and receive, within the queue's roles.
pub struct PortQueue {
    pub(super) participant: Arc<Participant>,
    pub(super) name: String,
    pub(super) listed: Listed,
    view: RingView,
    pub(super) options: ResolvedOptions,
    /// Waits of this end per [`Interest`]: the participant's bit in the mask stays up while there are any.
    pub(super) waiting: [AtomicU32; 2],
}

impl std::fmt::Debug for PortQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PortQueue({:?}, {:?})", self.name, self.options)
    }
}

impl PortQueue {
    /// Wraps a ring to which the participant has a reference of its own.
    pub(super) fn new(
        participant: Arc<Participant>,
        name: &str,
        listed: Listed,
        view: RingView,
        options: ResolvedOptions,
    ) -> Self {
        let waiting = [AtomicU32::new(0), AtomicU32::new(0)];
        Self { participant, name: name.to_owned(), listed, view, options, waiting }
    }

    /// Name of the queue.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Options the queue was created with.
    pub fn options(&self) -> &ResolvedOptions {
        &self.options
    }

    /// Messages in the queue now.
    pub fn len(&self) -> usize {
        let (head, tail) = self.ring().positions();
        ((tail - head) as usize).min(self.options.capacity as usize)
    }

    /// Whether there is no message now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(super) fn header(&self) -> &RingHeader {
        self.view.header()
    }

    #[inline]
    pub(super) fn ring(&self) -> Ring<'_> {
        self.view.ring()
    }

    /// Moves `buffer` into the queue without waiting; it comes back when the queue does not take it.
    ///
    /// # Errors
    /// `Role` when another participant is the one producer.
    pub fn try_send(&self, buffer: BufferPtr) -> Result<Result<(), (SendOutcome, BufferPtr)>> {
        let moved = buffer.into_buffer();
        let (accepted, outcome) = self.send(&[moved]);
        if accepted == 1 {
            return Ok(Ok(()));
        }
        let back = BufferPtr::adopt(Arc::clone(&self.participant), moved)?;
        outcome.map(|outcome| Err((outcome, back)))
    }

    /// Takes the next message without waiting.
    ///
    /// # Errors
    /// `Role`, `Corrupt`.
    pub fn try_receive(&self) -> Result<(Option<BufferPtr>, TakeOutcome)> {
        let mut out = [Received { buffer: Buffer { id: 0, received: true }, gap: 0 }];
        match self.receive(&mut out)? {
            (1, outcome) => {
                Ok((Some(BufferPtr::adopt(Arc::clone(&self.participant), out[0].buffer)?), outcome))
            }
            (_, outcome) => Ok((None, outcome)),
        }
    }

    /// Gives up roles and waits: this end will not be used any more.
    pub(crate) fn retire(&self) {
        let me = self.participant.slot as u32 + 1;
        for token in [&self.header().producer, &self.header().consumer] {
            let _ = token.compare_exchange(me, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        for interest in [Interest::Data, Interest::Space] {
            while self.waiting[interest as usize].load(Ordering::Relaxed) > 0 {
                self.disarm(interest);
            }
        }
    }

    /// Gives every message of a destroyed queue back to the pool.
    pub(super) fn drain(&self) {
        let mut freed = 0;
        while let Ok(_pin) = self.participant.pin() {
            if freed > BATCH_MAX * 4096 || !self.drop_front(&self.ring()) {
                break;
            }
            freed += 1;
        }
        self.participant.wake_pool(freed);
    }

    #[inline]
    pub(super) fn state(&self) -> u32 {
        self.header().state.load(Ordering::Acquire)
    }

    /// Makes sure that we may send (receive) on a queue with a single producer (consumer).
    #[inline]
    pub(super) fn take_role(&self, interest: Interest) -> Result<()> {
        let (limit, token, what) = match interest {
            Interest::Space => (self.options.producers, &self.header().producer, "producer"),
            Interest::Data => (self.options.consumers, &self.header().consumer, "consumer"),
        };
        let me = self.participant.slot as u32 + 1;
        if limit == 0 || token.load(Ordering::Relaxed) == me {
            return Ok(());
        }
        match token.compare_exchange(0, me, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(other) => Err(Error::new(
                ErrorKind::Role,
                format!("queue {:?} has one {what}: participant {} is it", self.name, other - 1),
            )),
        }
    }
}

impl Drop for PortQueue {
    fn drop(&mut self) {
        // A participant that has left has let go of everything already.
        let Ok(pin) = self.participant.pin() else { return };
        self.retire();
        let freed = self.participant.release(Buffer { id: self.listed.ring, received: false });
        drop(pin);
        if freed.unwrap_or(false) {
            self.participant.wake_pool(1);
        }
    }
}
