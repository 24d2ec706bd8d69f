//! Several streams into one.

use super::split::{PORTS_MAX, check_ports};
use super::{Described, Fallback, Kind, Setting, Settings};
use crate::block::Block;
use crate::io::Io;
use crate::ports::{Ports, Ready};
use crate::work::Work;
use millrace::Result;

/// Sends the messages of all of its inputs, each input in order, one message of each that has any in turn. It ends when all of them have.
/// (Where turns do not matter, link several outputs to one input.) Inputs: `in0`, `in1`, … Output: `out`.
#[derive(Debug)]
pub struct Merge {
    inputs: usize,
    turn: usize,
}

impl Merge {
    /// One with `inputs` inputs, 1 to 64.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn new(inputs: usize) -> Result<Self> {
        check_ports("inputs of Merge", inputs)?;
        Ok(Self { inputs, turn: 0 })
    }
}

impl Described for Merge {
    const NAME: &'static str = "Merge";
    const ABOUT: &'static str = "Sends the messages of its inputs `in0`, `in1`, …, one of each that has any in turn. (Where turns do not \
         matter, link several outputs to one input.)";
    const SETTINGS: &'static [Setting] = &[Setting {
        name: "inputs",
        kind: Kind::Whole { min: 1, max: PORTS_MAX as u64 },
        unit: "",
        default: Fallback::Number(2.0),
        about: "Number of inputs.",
    }];

    fn from_settings(settings: &Settings) -> Result<Self> {
        Self::new(settings.whole("inputs").unwrap_or(0) as usize)
    }
}

impl Block for Merge {
    fn ports(&self) -> Ports {
        let ports = Ports::new().output("out").ready(Ready::Any);
        (0..self.inputs).fold(ports, |ports, at| ports.input(format!("in{at}")))
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let mut room = io.budget().min(io.room(0)?);
        let mut without = 0;
        while room > 0 && without < self.inputs {
            match io.next(self.turn)? {
                Some(message) => {
                    io.forward(0, message);
                    (room, without) = (room - 1, 0);
                }
                None => without += 1,
            }
            self.turn = (self.turn + 1) % self.inputs;
        }
        Ok(Work::Ok)
    }
}
