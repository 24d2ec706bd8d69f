//! Sleeping and waking between processes: a futex word for threads, a FIFO (the *doorbell*) for event loops; both are in [`crate::os`].
//!
//! # Why no wake is lost
//!
//! A sleeper S and a waker W meet on two words: the state that S waits for (a ring slot, a bitmap word) and S's bit in a
//! [`WaiterMask`](crate::layout::WaiterMask).
//!
//! ```text
//! S: set bit; fence; look at the state; sleep only if it is still bad
//! W: change the state; fence; look at the mask; clear a bit and notify its owner
//! ```
//!
//! The fences ([`dekker_fence`](crate::sync::dekker_fence)) forbid that both look before the other's store is visible, so
//! either S sees the change or W sees the bit. Notifying raises the owner's `wake_sequence` before it looks for sleepers, and the
//! owner read the sequence before it set its bit: a notification in between makes the futex call return at once. For an event loop
//! `doorbell_armed` plays the same part and the byte in the FIFO stays there until it is read.
//!
//! A bit is cleared by one waker only, so one message wakes one sleeper. A sleeper that was notified but does not
//! consume (timeout, abort) passes the notification on; if it dies, recovery notifies everybody.

mod mask;
#[cfg(all(test, loom))]
mod model;
mod waits;

pub(crate) use waits::Waits;
