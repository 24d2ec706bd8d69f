//! What a block is: its ports, and the contract of its work.

use crate::io::Io;
use crate::ports::Ports;
use crate::work::Work;
use millrace::Result;

/// A step of a computation: takes messages from its inputs, sends messages to its outputs. Run by one thread at a time.
pub trait Block: Send + 'static {
    /// Its inputs and outputs. Asked once, when it is added.
    fn ports(&self) -> Ports;

    /// Called once before the first [`Block::work`].
    ///
    /// # Errors
    /// Whatever makes it impossible to begin: the block has failed.
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    /// Does some work. Called when each input has as many messages as its port says (see [`Ready`](crate::Ready)) and each output has room, or when what
    /// the last call waits for has come. What it takes and sends takes effect when it returns `Ok`: after an error its inputs are as
    /// before, and nothing was sent.
    ///
    /// # Errors
    /// Its own failure; what becomes of it, [`OnError`](crate::OnError) says.
    fn work(&mut self, io: &mut Io<'_>) -> Result<Work>;

    /// Called once when every input has ended: sends what is still held back.
    ///
    /// # Errors
    /// As [`Block::work`].
    fn end(&mut self, _io: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    /// Called once after the last [`Block::work`], however that ended.
    ///
    /// # Errors
    /// The block has failed.
    fn stop(&mut self) -> Result<()> {
        Ok(())
    }

    /// How many more messages of input `input` it will take at most: for a block that ends after a number of messages, and leaves the
    /// others to others. 0: that input counts as ended.
    fn demand(&self, _input: usize) -> u64 {
        u64::MAX
    }

    /// Counters of its own, for reports: name and value.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}
