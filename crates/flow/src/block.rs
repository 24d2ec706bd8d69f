//! What a block is: its ports, and the contract of its work.

use crate::io::Io;
use millrace::Result;
use std::borrow::Cow;
use std::time::Duration;

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

    /// Does some work. Called when each input has as many messages as its port says (see [`Ready`]) and each output has room, or when what
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

/// How [`Block::work`] ended. In the words of GNU Radio: `Ok` is OK, `NeedInput` INSUFFICIENT_INPUT_ITEMS, `NeedOutput`
/// INSUFFICIENT_OUTPUT_ITEMS, `Done` DONE, and an `Err` is ERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It may be called again as soon as its ports allow it. If it took and sent nothing: as soon as an output has room of which it was told
    /// that it has none, or else as soon as an input changes.
    Ok,
    /// It cannot go on before input `input` has `min` messages, or has ended.
    NeedInput {
        /// Number of the input.
        input: usize,
        /// Messages it needs.
        min: usize,
    },
    /// It cannot go on before output `output` has room.
    NeedOutput {
        /// Number of the output.
        output: usize,
    },
    /// It cannot go on before a buffer of `bytes` bytes may be free.
    NeedMemory {
        /// Size of the buffer.
        bytes: usize,
    },
    /// It is to be called at `at`, a time as [`Io::now`] tells it, or as soon as an input changes.
    WaitUntil {
        /// Time since the start of the scheduler.
        at: Duration,
    },
    /// It has ended: it takes and sends nothing more.
    Done,
}

/// When a block with several inputs may be run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ready {
    /// When every input has messages. It ends as soon as one of them has ended.
    #[default]
    All,
    /// When one of them has, or has ended. It ends when all of them have.
    Any,
}

/// A port, as a block declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSpec {
    /// Its name, unique among the inputs, or the outputs, of the block.
    pub name: Cow<'static, str>,
    /// Of an input: messages that must be there for [`Block::work`] to be called, at least 1.
    pub min: usize,
    /// Of an input: messages that are fetched from its queue ahead of the work, at least, for a block that looks at some before it takes any.
    pub prefetch: usize,
    /// Number of the type of its messages, 0: any. Two ports that are linked must have the same, unless one takes any.
    pub type_id: u32,
}

/// Inputs and outputs of a block, numbered from 0 in the order in which they are declared.
///
/// ```
/// use millrace_flow::{Ports, Ready};
/// let ports = Ports::new().input("left").input("right").output("out").ready(Ready::Any);
/// assert_eq!((ports.inputs.len(), ports.outputs[0].name.as_ref()), (2, "out"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// The inputs.
    pub inputs: Vec<PortSpec>,
    /// The outputs.
    pub outputs: Vec<PortSpec>,
    /// When it may be run.
    pub ready: Ready,
}

impl Ports {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an input for messages of any type.
    #[must_use]
    pub fn input(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.input_of(name, 0, 1)
    }

    /// Adds an input for messages of type `type_id`, of which `min` are needed at least.
    #[must_use]
    pub fn input_of(mut self, name: impl Into<Cow<'static, str>>, type_id: u32, min: usize) -> Self {
        self.inputs.push(PortSpec { name: name.into(), min: min.max(1), prefetch: 0, type_id });
        self
    }

    /// Makes every input that has been added fetch `messages` messages ahead of the work, at least: so many may be
    /// [looked at](Io::peek) before one is taken.
    #[must_use]
    pub fn prefetch(mut self, messages: usize) -> Self {
        self.inputs.iter_mut().for_each(|input| input.prefetch = messages);
        self
    }

    /// Adds an output for messages of any type.
    #[must_use]
    pub fn output(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.output_of(name, 0)
    }

    /// Adds an output for messages of type `type_id`.
    #[must_use]
    pub fn output_of(mut self, name: impl Into<Cow<'static, str>>, type_id: u32) -> Self {
        self.outputs.push(PortSpec { name: name.into(), min: 0, prefetch: 0, type_id });
        self
    }

    /// Says when the block may be run.
    #[must_use]
    pub fn ready(mut self, ready: Ready) -> Self {
        self.ready = ready;
        self
    }
}
