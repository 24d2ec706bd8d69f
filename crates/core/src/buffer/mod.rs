//! Buffers as a participant uses them: allocate, share, release.

mod allocator;
mod buffer_ptr;
mod exhausted;

pub use allocator::{Buffer, SharedBufferAllocator};
pub use buffer_ptr::BufferPtr;

pub(crate) use allocator::not_held;
