//! Shared memory messaging between the processes of one machine, with buffers that are handed over and never copied, and queues
//! that survive `kill -9` of anybody at any instruction.
//!
//! ```
//! use millrace::{OpenOptions, QueueOptions, ShmManager};
//!
//! # fn main() -> millrace::Result<()> {
//! # let name = format!("doc-{}", std::process::id());
//! let shm = ShmManager::open(&name, &OpenOptions::default())?;
//! let frames = shm.port_queue("frames", &QueueOptions::default())?;
//!
//! let mut frame = shm.allocate(1 << 20)?;
//! // SAFETY: nobody else has this buffer yet.
//! let bytes = unsafe { frame.bytes_mut() };
//! bytes[0] = 42;
//! frames.try_send(frame).expect("the queue is empty");
//!
//! let frame = frames.try_receive()?.0.expect("one was sent");
//! // SAFETY: it was moved, not shared: nobody else has it.
//! let bytes = unsafe { frame.bytes() };
//! assert_eq!(bytes[0], 42);
//! # Ok(())
//! # }
//! ```
//!
//! Map, from the bottom up: [`limits`], `error`, `sync` (all atomics) → `os` (all system calls) → `layout` (what lies where) → `wait` →
//! `segment` (named memory) → `liveness` → `pool` (tables of buffers) → `registry` (participants, names) → `buffer` (allocate, release) → `queue` →
//! `topic` → [`service`] → `recovery`, `stats` → `observer` → `manager`.

mod buffer;
mod error;
mod fault;
pub mod limits;

mod layout;
mod liveness;
mod manager;
mod observer;
mod os;
mod pool;
mod queue;
mod recovery;
mod registry;
mod segment;
mod segment_view;
pub mod service;
mod stats;
mod sync;
mod topic;
mod wait;

pub use buffer::{Buffer, BufferPtr, Message, Settle, SharedBufferAllocator, TrimReport};
pub use error::{Error, ErrorKind, Result};
#[doc(hidden)]
pub use fault::Point as FaultPoint;
pub use manager::{Discarded, OpenOptions, Opened, Removal, ShmManager, remove_domain};
pub use observer::{DomainEntry, DomainSummary, Observer};
pub use os::{LoopAddress, LoopEnd, clock_ms, clock_ns};
pub use queue::{
    Delivery, Interest, Overflow, PortQueue, PutOutcome, QueueOptions, Received, ResolvedOptions,
    SendOutcome, TakeOutcome, TrySendError,
};
pub use recovery::{
    Change, Event, EventCursor, Finding, FindingKind, RecoveredTotals, RecoveryReport, StallReport,
};
pub use registry::StallPhase;
pub use segment_view::{SegmentView, header_field, layout_facts};
pub use stats::{
    MailboxSnapshot, ParticipantSnapshot, PoolSnapshot, QueueSnapshot, QueueUser, ServiceSnapshot, Snapshot,
    SubscriptionSnapshot, TopicSnapshot,
};
pub use topic::{Published, SubscribeOptions, Subscriber, Topic, TopicOptions, TryPublishError};
