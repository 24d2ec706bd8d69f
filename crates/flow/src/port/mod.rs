//! Messages that a block has taken and not dealt with, and messages that it is to send.
//!
//! Work is a transaction. What it takes stays in [`Input`] until all that it sent is in queues: then it is released or, of an
//! at-least-once queue, acknowledged. So a process that dies in between loses nothing of such a queue.

mod input;
mod output;

pub(crate) use input::Input;
pub(crate) use output::{Outlet, Output};

/// Messages that are moved at a time.
pub(crate) const BATCH: usize = 64;
