//! The ports of a block, as it declares them.

use std::borrow::Cow;

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
    /// Of an input: messages that must be there for [`Block::work`](crate::Block::work) to be called. 0: it is called without any, too, once at
    /// the start and then when an input changes, so it can send the first message of a cycle.
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

    /// Adds an input for messages of type `type_id`, of which `min` are needed at least, or none if it is 0: see [`PortSpec::min`].
    #[must_use]
    pub fn input_of(mut self, name: impl Into<Cow<'static, str>>, type_id: u32, min: usize) -> Self {
        self.inputs.push(PortSpec { name: name.into(), min, prefetch: 0, type_id });
        self
    }

    /// Makes every input that has been added fetch `messages` messages ahead of the work, at least: so many may be
    /// [looked at](crate::Io::peek) before one is taken.
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
