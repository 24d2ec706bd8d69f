//! Sending one message that comes back when it is not accepted.

use super::port_queue::{PortQueue, SendOutcome};
use crate::buffer::BufferPtr;
use crate::error::Error;

/// Why a message was not accepted, and the message, which is still the sender's: with its lease, if it has one.
#[derive(Debug)]
pub enum TrySendError<T> {
    /// The queue is full.
    Full(T),
    /// The queue is closed.
    Closed(T),
    /// The queue has been destroyed.
    Destroyed(T),
    /// The send was not possible.
    Failed(T, Error),
}

impl<T> TrySendError<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(message) | Self::Closed(message) | Self::Destroyed(message) => message,
            Self::Failed(message, _) => message,
        }
    }

    /// Whether it may be accepted later, when there is room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl<T> std::fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the queue is full"),
            Self::Closed(_) => f.write_str("the queue is closed"),
            Self::Destroyed(_) => f.write_str("the queue has been destroyed"),
            Self::Failed(_, error) => error.fmt(f),
        }
    }
}

impl<T: std::fmt::Debug> std::error::Error for TrySendError<T> {}

impl PortQueue {
    /// Moves `buffer` into the queue without waiting. A leased one is acknowledged when it was accepted.
    ///
    /// # Errors
    /// Always with the message: `Full`, `Closed`, `Destroyed`; `Failed` when another participant is the one producer (`Role`), or when a
    /// leased message has 65280 references here (`Limit`).
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// let queue = shm.port_queue("try-send", &QueueOptions { capacity: Some(1), ..QueueOptions::default() })?;
    /// queue.try_send(shm.allocate(10)?).expect("there is room for one");
    /// let refused = queue.try_send(shm.allocate(10)?).unwrap_err();
    /// assert!(refused.is_full());
    /// assert_eq!(refused.into_inner().len(), 10, "it is still ours");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn try_send(&self, buffer: BufferPtr) -> Result<(), TrySendError<BufferPtr>> {
        let (leased, one) = (buffer.is_leased(), [buffer.buffer()]);
        if let Err(error) = self.allocator.share_for_send(&one, |_| leased) {
            return Err(TrySendError::Failed(buffer, error));
        }
        let (accepted, outcome) = self.send(&one);
        if accepted == 1 {
            buffer.sent();
            return Ok(());
        }
        self.allocator.release_unsent(&one, 0, |_| leased);
        Err(match outcome {
            Ok(SendOutcome::Closed) => TrySendError::Closed(buffer),
            Ok(SendOutcome::Destroyed) => TrySendError::Destroyed(buffer),
            Ok(SendOutcome::Full | SendOutcome::Done) => TrySendError::Full(buffer),
            Err(error) => TrySendError::Failed(buffer, error),
        })
    }
}
