//! Buffers as a participant uses them: allocate, share, release.

mod all_or_none;
mod allocator;
mod buffer_ptr;
mod claim;
mod exhausted;
mod growth;
mod memory_watch;
mod message;
mod release;
mod share;
mod size_class;
mod trim;

pub use allocator::{Buffer, SharedBufferAllocator};
pub use buffer_ptr::BufferPtr;
pub use message::Message;
pub use trim::TrimReport;

pub(crate) use memory_watch::MemoryWatch;
pub(crate) use release::{not_held, too_many_references};
pub(crate) use size_class::class_range;

/// Ends leases: implemented by the queue, known here by this only.
pub trait Settle: Send + Sync {
    /// Acknowledges the message: from here on a death does not bring it back. `false`: there is no such lease of ours.
    fn ack(&self, lease: u32, id: u32) -> bool;

    /// Gives the message back: it is delivered again, first in line, and its reference is the queue's.
    ///
    /// # Errors
    /// `NotHeld` when there is no such lease of ours, or no queue any more.
    fn nack(&self, lease: u32, id: u32) -> crate::Result<()>;
}
