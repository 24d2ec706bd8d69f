//! What is measured: one file each. A new one implements [`Contender`] and gets a line here and in `main.rs`.

mod array_queue;
mod cache_line;
mod futex;
mod iceoryx;
mod millrace;
mod millrace_batches;
mod mutex_queue;
mod pipe;

pub(crate) use array_queue::ArrayQueue;
pub(crate) use cache_line::CacheLine;
pub(crate) use futex::Futex;
pub(crate) use iceoryx::Iceoryx;
pub(crate) use millrace::{Domain, Millrace};
pub(crate) use millrace_batches::MillraceBatches;
pub(crate) use mutex_queue::MutexQueue;
pub(crate) use pipe::Pipe;

use crate::options::Options;

/// Messages that may wait, for all who have a choice.
pub(crate) const CAPACITY: usize = 1024;

/// What is sent: 64 bytes, all of them written by the sender; the receiver looks at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Message([u64; 8]);

/// Bytes of a message.
pub(crate) const BYTES: usize = size_of::<Message>();

impl Message {
    pub(crate) fn new(number: u64) -> Self {
        Self([number; 8])
    }

    pub(crate) fn number(self) -> u64 {
        assert_eq!(self.0[0], self.0[7], "a message was torn");
        self.0[0]
    }

    /// The message as it lies in memory.
    pub(crate) fn bytes(&self) -> &[u8; BYTES] {
        // SAFETY: eight words without padding.
        unsafe { &*std::ptr::from_ref(self).cast() }
    }

    /// Reads a message from memory.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        assert!(bytes.len() >= BYTES, "a message of {} bytes", bytes.len());
        // SAFETY: enough bytes; any bytes are a message.
        unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() }
    }
}

/// One end of a way on which messages go in one direction. A round trip has two ways, 0 and 1; a stream has one, 0.
pub(crate) trait Contender: Sized {
    /// What is made before the processes part.
    type Plan;

    fn plan(options: &Options) -> Self::Plan;

    /// An end that sends. Consumers come first.
    fn producer(plan: &Self::Plan, options: &Options, way: usize) -> Self;

    /// An end that receives, number `index` of the way.
    fn consumer(plan: &Self::Plan, options: &Options, way: usize, index: usize) -> Self;

    /// Sends, or answers that there is no room; then it is called again with the same message.
    fn send(&mut self, message: &Message) -> bool;

    /// What was held back to go out together goes out; `false`: there is no room.
    fn flush(&mut self) -> bool {
        true
    }

    /// The next message, if there is one.
    fn receive(&mut self) -> Option<Message>;

    /// Sleeps in the kernel until there may be a message.
    fn sleep(&mut self);
}
