//! Copies of messages.

use super::bytes::copy_of;
use super::{Described, Setting, Settings};
use crate::block::Block;
use crate::io::Io;
use crate::ports::Ports;
use crate::work::Work;
use millrace::Result;

/// Sends a copy of each message, in a buffer of its own: for what is changed downstream while others read the original, and to let go of a
/// buffer of which others wait. Input: `in`. Output: `out`.
#[derive(Debug, Default)]
pub struct Copy;

impl Described for Copy {
    const NAME: &'static str = "Copy";
    const ABOUT: &'static str = "Sends a copy of each message, in a buffer of its own.";
    const SETTINGS: &'static [Setting] = &[];

    fn from_settings(_settings: &Settings) -> Result<Self> {
        Ok(Self)
    }
}

impl Block for Copy {
    fn ports(&self) -> Ports {
        Ports::new().input("in").output("out")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        for _ in 0..io.available(0).min(io.room(0)?) {
            // The buffer first: what has been taken cannot wait for memory.
            let Some(original) = io.peek(0, 0)? else { break };
            let Some(copy) = copy_of(io, &original)? else {
                return Ok(Work::NeedMemory { bytes: original.len() });
            };
            io.next(0)?;
            io.send(0, copy);
        }
        Ok(Work::Ok)
    }
}
