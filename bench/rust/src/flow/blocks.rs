//! Blocks that only the measurements need.

use millrace::Result;
use millrace_flow::{Block, Io, Ports, Work};

/// Sends messages whose bytes are written anew each.
pub(super) struct Filled(pub(super) Vec<u8>);

impl Block for Filled {
    fn ports(&self) -> Ports {
        Ports::new().output("out")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let bytes = &self.0;
        let fill = |_: usize, message: &millrace::Message<'_>| {
            message.fill(bytes);
            Ok(())
        };
        Ok(io.emit_some(0, bytes.len(), u64::MAX, fill)?.1)
    }
}

/// Sends one message a call of its work.
pub(super) struct Giver;

impl Block for Giver {
    fn ports(&self) -> Ports {
        Ports::new().output("out")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        io.emit(0, 64, 1, |_, _| Ok(()))?;
        Ok(Work::Ok)
    }
}

/// Takes one message a call of its work.
pub(super) struct Taker;

impl Block for Taker {
    fn ports(&self) -> Ports {
        Ports::new().input("in")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        io.next(0)?;
        Ok(Work::Ok)
    }
}
