//! Copies of messages.

use super::bytes::copy_into;
use super::{Described, Setting, Settings};
use crate::block::Block;
use crate::io::Io;
use crate::ports::Ports;
use crate::work::Work;
use millrace::{Message, Result};

/// Copies that memory is claimed for together.
const TOGETHER: usize = 16;

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
        let mut left = io.available(0).min(io.room(0)?);
        while left > 0 {
            let mut originals = [const { None }; TOGETHER];
            let count = same_size(io, &mut originals[..left.min(TOGETHER)])?;
            if count == 0 {
                break;
            }
            let bytes_each = originals[0].as_ref().map_or(0, Message::len);
            // The buffers first: what has been taken cannot wait for memory.
            let sent = io.emit_described(0, bytes_each, count, |at, copy| {
                if let Some(original) = &originals[at] {
                    copy_into(copy, original);
                }
                Ok(())
            })?;
            for _ in 0..sent {
                io.next(0)?;
            }
            if sent < count {
                return Ok(Work::NeedMemory { bytes: bytes_each });
            }
            left -= count;
        }
        Ok(Work::Ok)
    }
}

/// The next messages, as far as they are as long as the first; returns how many those are.
fn same_size<'a>(io: &Io<'a>, messages: &mut [Option<Message<'a>>]) -> Result<usize> {
    let mut first = None;
    for (at, message) in messages.iter_mut().enumerate() {
        let next = io.peek(0, at)?;
        let length = next.as_ref().map(Message::len);
        if length.is_none() || length != *first.get_or_insert(length) {
            return Ok(at);
        }
        *message = next;
    }
    Ok(messages.len())
}
