//! Messages without content, and the end of messages.

use super::catalog::Described;
use super::settings::{Fallback, Kind, Setting, Settings};
use crate::block::Block;
use crate::io::Io;
use crate::ports::Ports;
use crate::work::Work;
use millrace::Result;

/// Bytes of each message of a source.
pub(super) const SIZE: Setting = Setting {
    name: "size",
    kind: Kind::Whole { min: 0, max: millrace::limits::MAX_BUFFER_BYTES as u64 },
    unit: "bytes",
    default: Fallback::Required,
    about: "Size of each message.",
};

/// After how many messages a block ends.
pub(super) const COUNT: Setting = Setting {
    name: "count",
    kind: Kind::Whole { min: 1, max: u64::MAX },
    unit: "messages",
    default: Fallback::Absent,
    about: "It ends after so many messages; without it, never by itself.",
};

pub(super) fn size(settings: &Settings) -> usize {
    settings.whole("size").unwrap_or(0) as usize
}

pub(super) fn count(settings: &Settings) -> u64 {
    settings.whole("count").unwrap_or(u64::MAX)
}

/// Sends a number of messages, numbered from 0, whose content is left as it is. Output: `out`.
#[derive(Debug)]
pub struct NullSource {
    bytes: usize,
    count: u64,
    sent: u64,
}

impl NullSource {
    /// `count` messages of `bytes` bytes.
    pub fn new(bytes: usize, count: u64) -> Self {
        Self { bytes, count, sent: 0 }
    }
}

impl Described for NullSource {
    const NAME: &'static str = "NullSource";
    const ABOUT: &'static str = "Sends messages without content, numbered from 0, as fast as they are taken.";
    const SETTINGS: &'static [Setting] = &[SIZE, COUNT];

    fn from_settings(settings: &Settings) -> Result<Self> {
        Ok(Self::new(size(settings), count(settings)))
    }
}

impl Block for NullSource {
    fn ports(&self) -> Ports {
        Ports::new().output("out")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let first = self.sent;
        let (sent, work) = io.emit_some(0, self.bytes, self.count - first, |at, message| {
            message.set_sequence(first + at as u64);
            Ok(())
        })?;
        self.sent += sent;
        Ok(work)
    }
}

/// Takes messages and lets go of them; ends after a number of them, if it has one. Input: `in`.
#[derive(Debug)]
pub struct NullSink {
    count: u64,
    taken: u64,
}

impl Default for NullSink {
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

impl NullSink {
    /// One that ends after `count` messages.
    pub fn new(count: u64) -> Self {
        Self { count, taken: 0 }
    }
}

impl Described for NullSink {
    const NAME: &'static str = "NullSink";
    const ABOUT: &'static str = "Takes messages and lets go of them.";
    const SETTINGS: &'static [Setting] = &[COUNT];

    fn from_settings(settings: &Settings) -> Result<Self> {
        Ok(Self::new(count(settings)))
    }
}

impl Block for NullSink {
    fn ports(&self) -> Ports {
        Ports::new().input("in")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        while self.taken < self.count && io.next(0)?.is_some() {
            self.taken += 1;
        }
        Ok(if self.taken == self.count { Work::Done } else { Work::Ok })
    }

    fn demand(&self, _input: usize) -> u64 {
        self.count - self.taken
    }
}
