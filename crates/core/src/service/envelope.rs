//! What a message of a service carries beside its payload.
//!
//! ```text
//! source    | window (8) | run or retries (8) | kind (8) | slot (8) |
//! sequence  | epoch (32)                      | call (32)           |
//! tag       | state of a request (32)         | detail (32)         |
//! ```
//!
//! `timestamp` and `type_id` remain the user's.

use crate::buffer::BufferPtr;
use crate::layout::BufferHeader;
use crate::limits::MAX_PARTICIPANTS;
use crate::sync::Ordering;

/// Most items of a stream that can be under way.
pub const WINDOW_MAX: u32 = 255;

/// Bit of the kind that says that `detail` of a request is a deadline.
pub const HAS_DEADLINE: u32 = 0x80;
/// Where the kind begins in `source`.
pub const KIND_SHIFT: u32 = 8;
/// Where the run, or the number of retries, begins in `source`.
pub const RUN_SHIFT: u32 = 16;
/// Where the window begins in `source`.
pub const WINDOW_SHIFT: u32 = 24;

/// One participant of a domain, for ever: slots have one tenant after the other, epochs number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParticipantId {
    /// Its slot.
    pub slot: usize,
    /// Which tenant of the slot it is.
    pub epoch: u32,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MessageKind {
    /// A request whose reply is one value.
    Request = 1,
    /// A request whose reply is a stream.
    Stream = 2,
    /// The reply.
    Value = 3,
    /// One item of the reply.
    Item = 4,
    /// The reply has ended.
    End = 5,
    /// The reply is an error.
    Error = 6,
    /// There is no reply: the server that ran the request has gone, or closes.
    Lost = 7,
    /// To a server: nobody wants the reply any more.
    Cancel = 8,
    /// To a server: more items may come.
    Credit = 9,
}

impl MessageKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Request,
        Self::Stream,
        Self::Value,
        Self::Item,
        Self::End,
        Self::Error,
        Self::Lost,
        Self::Cancel,
        Self::Credit,
    ];

    fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == code)
    }
}

/// What every message of a service says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who sent it.
    pub from: ParticipantId,
    /// What it is.
    pub kind: MessageKind,
    /// Number of the call, unique for the client.
    pub call: u32,
    /// Request: deadline, see `has_deadline`. Reply: position in the stream. Credit: position up to which items may come.
    pub detail: u32,
    /// Request: how often it may be run again. Reply: which run it comes from.
    pub run: u8,
    /// Request: items of the reply that may be under way.
    pub window: u8,
    /// Request: whether `detail` is a deadline, in ms of the clock that all processes of the machine share, modulo 2^32.
    pub has_deadline: bool,
}

impl Envelope {
    /// Of a request that may be run once, whenever that is.
    pub fn request(from: ParticipantId, call: u32) -> Self {
        Self { from, kind: MessageKind::Request, call, detail: 0, run: 0, window: 0, has_deadline: false }
    }

    /// Of a message that replies to run `run` of this request.
    pub fn reply(&self, from: ParticipantId, kind: MessageKind, run: u8) -> Self {
        Self { from, kind, run, detail: 0, window: 0, has_deadline: false, ..*self }
    }

    /// The envelope in `header`; `None` when there is none that somebody of this protocol wrote.
    fn read(header: &BufferHeader) -> Option<Self> {
        let source = header.source.load(Ordering::Relaxed);
        let sequence = header.sequence.load(Ordering::Relaxed);
        let slot = (source & 0xff) as usize;
        let kind = source >> KIND_SHIFT & 0xff;
        Some(Self {
            from: ParticipantId { slot, epoch: (sequence >> 32) as u32 },
            kind: MessageKind::from_code(kind & !HAS_DEADLINE).filter(|_| slot < MAX_PARTICIPANTS)?,
            call: sequence as u32,
            detail: header.tag.load(Ordering::Relaxed) as u32,
            run: (source >> RUN_SHIFT) as u8,
            window: (source >> WINDOW_SHIFT) as u8,
            has_deadline: kind & HAS_DEADLINE != 0,
        })
    }

    fn write(&self, header: &BufferHeader) {
        let kind = self.kind as u32 | if self.has_deadline { HAS_DEADLINE } else { 0 };
        let source = self.from.slot as u32
            | kind << KIND_SHIFT
            | u32::from(self.run) << RUN_SHIFT
            | u32::from(self.window) << WINDOW_SHIFT;
        // Relaxed: the buffer is the writer's alone, the queue it goes into releases it.
        header.source.store(source, Ordering::Relaxed);
        header.sequence.store(u64::from(self.from.epoch) << 32 | u64::from(self.call), Ordering::Relaxed);
        // With the state of a request that nobody has run.
        header.tag.store(self.detail.into(), Ordering::Relaxed);
    }
}

impl BufferPtr {
    /// What this message of a service says; `None` when it is none.
    pub fn envelope(&self) -> Option<Envelope> {
        Envelope::read(self.header())
    }

    /// Makes this buffer, which nobody else has, a message of a service. Its sequence, tag and source are taken for that.
    pub fn set_envelope(&mut self, envelope: &Envelope) {
        if !self.has_left() {
            envelope.write(self.header());
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_nobody_writes_is_none() {
        let header = BufferHeader::default();
        assert_eq!(Envelope::read(&header), None);
        for kind in MessageKind::ALL {
            let from = ParticipantId { slot: 127, epoch: u32::MAX };
            let envelope =
                Envelope { from, kind, call: 7, detail: u32::MAX, run: 101, window: 255, has_deadline: true };
            envelope.write(&header);
            assert_eq!(Envelope::read(&header), Some(envelope));
        }
        header.source.fetch_or(0xff, Ordering::Relaxed);
        assert_eq!(Envelope::read(&header), None, "there is no participant 255");
        header.source.store(10 << KIND_SHIFT, Ordering::Relaxed);
        assert_eq!(Envelope::read(&header), None, "there is no kind 10");
    }
}
