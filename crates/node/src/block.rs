//! The command block: one `Uint32Array` per isolate in which hot operations find their arguments and leave their results, because a
//! Node-API call without arguments costs a tenth of one with an object.

#![expect(missing_docs, reason = "the words are described where they are used, in the table below")]

/// Word offsets. In: MANAGER, QUEUE, COUNT, BYTES, KIND. Out: STATUS, COUNT, REPORTS (1: `takeReports` has news).
pub const STATUS: usize = 0;
pub const MANAGER: usize = 1;
pub const QUEUE: usize = 2;
pub const COUNT: usize = 3;
pub const BYTES: usize = 4;
pub const KIND: usize = 5;
pub const REPORTS: usize = 6;

/// Descriptors, four words each: buffer id, gap before it, lease (0 = own reference, 1 = received, more = to be acknowledged), delivery
/// attempt.
pub const DESCRIPTORS: usize = 8;
pub const DESCRIPTOR_WORDS: usize = 4;
pub const ID: usize = 0;
pub const GAP: usize = 1;
pub const LEASE: usize = 2;
pub const ATTEMPT: usize = 3;

pub const BATCH_MAX: usize = millrace::limits::BATCH_MAX;
pub const WORDS: usize = DESCRIPTORS + BATCH_MAX * DESCRIPTOR_WORDS;

/// What is waited for.
pub const KIND_DATA: u32 = 0;
pub const KIND_SPACE: u32 = 1;
pub const KIND_POOL: u32 = 2;
/// Queue "handle" of the pool among the results of `ready`.
pub const QUEUE_POOL: u32 = u32::MAX;

/// How a hot operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    Ok = 0,
    Empty = 1,
    Full = 2,
    Closed = 3,
    Destroyed = 4,
    NotFound = 5,
    Exhausted = 6,
    NotHeld = 7,
    TooLarge = 8,
    ManagerClosed = 9,
    Armed = 10,
    Error = 11,
}

impl Status {
    /// Every status, for generators.
    pub const ALL: [Self; 12] = [
        Self::Ok,
        Self::Empty,
        Self::Full,
        Self::Closed,
        Self::Destroyed,
        Self::NotFound,
        Self::Exhausted,
        Self::NotHeld,
        Self::TooLarge,
        Self::ManagerClosed,
        Self::Armed,
        Self::Error,
    ];
}

/// The words of one isolate's block.
#[derive(Debug)]
pub(crate) struct Block<'a>(pub(crate) &'a mut [u32; WORDS]);

impl Block<'_> {
    pub(crate) fn get(&self, word: usize) -> u32 {
        self.0[word]
    }

    pub(crate) fn set(&mut self, word: usize, value: u32) {
        self.0[word] = value;
    }

    /// COUNT as given, at most what the block can describe.
    pub(crate) fn count(&self) -> usize {
        (self.0[COUNT] as usize).min(BATCH_MAX)
    }

    /// The reference in descriptor `index`.
    pub(crate) fn buffer(&self, index: usize) -> millrace::Buffer {
        let at = DESCRIPTORS + index * DESCRIPTOR_WORDS;
        millrace::Buffer { id: self.0[at + ID], received: self.0[at + LEASE] == 1 }
    }

    /// Whether descriptor `index` is a message to be acknowledged.
    pub(crate) fn is_leased(&self, index: usize) -> bool {
        self.lease(index) >= crate::ends::FIRST_LEASE
    }

    /// The lease in descriptor `index`.
    pub(crate) fn lease(&self, index: usize) -> u32 {
        self.0[DESCRIPTORS + index * DESCRIPTOR_WORDS + LEASE]
    }

    /// Describes result `index`.
    pub(crate) fn describe(&mut self, index: usize, id: u32, gap: u32, lease: u32, attempt: u32) {
        let at = DESCRIPTORS + index * DESCRIPTOR_WORDS;
        self.0[at + ID] = id;
        self.0[at + GAP] = gap;
        self.0[at + LEASE] = lease;
        self.0[at + ATTEMPT] = attempt;
    }
}
