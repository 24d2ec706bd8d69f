//! A source of test messages.

use super::content::{HEAD_BYTES, Identity, Writer};
use crate::block::Block;
use crate::blocks::bytes::bytes_mut;
use crate::blocks::null::{COUNT, SIZE, count, size};
use crate::blocks::{Described, Fallback, Kind, Setting, Settings};
use crate::io::Io;
use crate::ports::Ports;
use crate::work::Work;
use millrace::{Error, Result};

/// Kind of the time of messages: since the start of a stream.
const RELATIVE: u32 = 2;

const SOURCE: Setting = Setting {
    name: "source",
    kind: Kind::Whole { min: 0, max: u32::MAX as u64 },
    unit: "",
    default: Fallback::Number(0.0),
    about: "Number of the stream, by which a sink of several streams tells them apart.",
};

const INTERVAL: Setting = Setting {
    name: "interval",
    kind: Kind::Whole { min: 1, max: 3_600_000_000_000 },
    unit: "ns",
    default: Fallback::Absent,
    about: "Time from one message's timestamp to the next one's, from 0 on; without it they have none.",
};

/// Sends numbered messages with checksums over random bytes, for [`VerifySink`](super::VerifySink). Output: `out`.
#[derive(Debug)]
pub struct VerifySource {
    writer: Writer,
    bytes: usize,
    next: Identity,
    interval: Option<u64>,
}

impl VerifySource {
    /// `count` messages of `bytes` bytes, at least 28, as stream `source`.
    ///
    /// # Errors
    /// `InvalidArgument` when messages are too small.
    pub fn new(bytes: usize, count: u64, source: u32) -> Result<Self> {
        if bytes < HEAD_BYTES {
            let message = format!("setting size of VerifySource is {bytes}, must be {HEAD_BYTES} at least");
            return Err(Error::invalid_argument(message));
        }
        let next = Identity { source, sequence: 0, count };
        Ok(Self { writer: Writer::new(bytes), bytes, next, interval: None })
    }

    /// Gives message n the relative time n × `interval` nanoseconds.
    #[must_use]
    pub fn every(mut self, interval: u64) -> Self {
        self.interval = Some(interval);
        self
    }
}

impl Described for VerifySource {
    const NAME: &'static str = "VerifySource";
    const ABOUT: &'static str = "Sends messages that are numbered and have checksums, for VerifySink.";
    const SETTINGS: &'static [Setting] = &[
        Setting { kind: Kind::Whole { min: HEAD_BYTES as u64, max: 1 << 30 }, ..SIZE },
        COUNT,
        SOURCE,
        INTERVAL,
    ];

    fn from_settings(settings: &Settings) -> Result<Self> {
        let source = settings.whole("source").unwrap_or(0) as u32;
        let new = Self::new(size(settings), count(settings), source)?;
        Ok(Self { interval: settings.whole("interval"), ..new })
    }
}

impl Block for VerifySource {
    fn ports(&self) -> Ports {
        Ports::new().output("out")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let Self { writer, bytes, next, interval } = self;
        let (sent, work) = io.emit_some(0, *bytes, next.count - next.sequence, |at, message| {
            let identity = Identity { sequence: next.sequence + at as u64, ..*next };
            writer.write(identity, bytes_mut(message));
            message.set_sequence(identity.sequence);
            message.set_source(identity.source);
            if let Some(interval) = interval {
                message.set_timestamp(RELATIVE, identity.sequence.saturating_mul(*interval));
            }
            Ok(())
        })?;
        next.sequence += sent;
        Ok(work)
    }
}
