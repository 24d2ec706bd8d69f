//! PortQueue: a bounded queue of buffer references, many producers and many consumers, in any number of processes.
//!
//! A queue is a ring in a pool buffer plus a name entry with its name. Whoever uses the queue holds a reference to the ring's
//! buffer, and so does the name table; destroying a queue drops the name table's reference, and the memory goes when the last user
//! lets go. So no operation ever touches memory that has been given to somebody else, and recovery needs no rule of its own.

mod adjust;
mod cache;
mod lease;
mod lifecycle;
mod offer;
mod options;
mod overflow;
mod peek;
mod port_queue;
mod put;
mod receive;
mod replace;
mod ring;
mod roles;
mod send;
mod settle;
mod take;
mod try_send;
mod users;
mod view;
mod waiting;

pub use options::{Delivery, Overflow, QueueOptions, ResolvedOptions};
pub use port_queue::{Interest, PortQueue, PutOutcome, Received, SendOutcome, TakeOutcome};
pub use try_send::TrySendError;

pub(crate) use cache::QueueCache;
pub(crate) use lifecycle::{attach, attach_or_create, attach_or_make, create};
pub(crate) use offer::Offer;
pub(crate) use view::RingView;
