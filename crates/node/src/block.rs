//! The command block: one ArrayBuffer per isolate in which hot operations find their arguments and leave their results, because a
//! Node-API call without arguments costs a tenth of one with an object. Words first, then the stage: bytes of small messages on
//! their way in and out, one after the other.

/// Arguments: MANAGER names the session, QUEUE a queue or topic of it; COUNT is how many buffers or messages, also as a result.
/// Results: STATUS; NEWS (bits, see NEWS_REPORTS and NEWS_DEPARTURES) of `ready`; DELIVERED and DROPPED of `publish`; CLAIM (see
/// CLAIM_RUN) of `claim`, and with `cancel` and `inspect` the state of the request: RUNS begun, whether it is CANCELLED, RUNNER (0:
/// nobody, else one more than the slot of whoever began the last run), RUNNER_EPOCH, the low half of its epoch.
/// Of every operation: REMAPS, which changes when segments of a domain of this isolate may have been replaced by others.
pub const STATUS: usize = 0;
pub const MANAGER: usize = 1;
pub const QUEUE: usize = 2;
pub const COUNT: usize = 3;
pub const BYTES: usize = 4;
pub const KIND: usize = 5;
pub const RUNS_MAX: usize = 6;
pub const NEWS: usize = 7;
pub const DELIVERED: usize = 8;
pub const DROPPED: usize = 9;
pub const CLAIM: usize = 10;
pub const RUNS: usize = 11;
pub const CANCELLED: usize = 12;
pub const RUNNER: usize = 13;
pub const RUNNER_EPOCH: usize = 14;
pub const REMAPS: usize = 15;

/// Bit of NEWS: `takeEvents` or `takeStalled` has something new. Stays up until it is taken.
pub const NEWS_REPORTS: u32 = 1;
/// Bit of NEWS: participants have left or died since the last `ready`.
pub const NEWS_DEPARTURES: u32 = 2;

/// Descriptors, four words each: buffer id, gap before it, lease (0 = own reference, 1 = received, more = to be acknowledged), delivery
/// attempt.
pub const DESCRIPTORS: usize = 16;
pub const DESCRIPTOR_WORDS: usize = 4;
pub const ID: usize = 0;
pub const GAP: usize = 1;
pub const LEASE: usize = 2;
pub const ATTEMPT: usize = 3;
/// LEASE of a message that was received and need not be acknowledged.
pub const RECEIVED: u32 = 1;
/// LEASE from here on: a message to be acknowledged.
pub const FIRST_LEASE: u32 = 2;

pub const BATCH_MAX: usize = millrace::limits::BATCH_MAX;
/// Bytes of each message: of `receive` and `get` as results, of `put` as arguments.
pub const LENGTHS: usize = DESCRIPTORS + BATCH_MAX * DESCRIPTOR_WORDS;

/// What may be ready, two words each: queue handle, and what somebody waits for there.
pub const READY: usize = LENGTHS + BATCH_MAX;
pub const READY_WORDS: usize = 2;
pub const READY_QUEUE: usize = 0;
pub const READY_KIND: usize = 1;

pub const WORDS: usize = READY + BATCH_MAX * READY_WORDS;

/// Bytes of the stage: a whole batch of messages of the smallest size class.
pub const STAGE_BYTES: usize = BATCH_MAX * millrace::limits::MIN_BUFFER_BYTES;

/// How a `claim` ended: a run has begun, or why none will.
pub const CLAIM_RUN: u32 = 0;
pub const CLAIM_CANCELLED: u32 = 1;
pub const CLAIM_EXHAUSTED: u32 = 2;

/// What is waited for.
pub const KIND_DATA: u32 = 0;
pub const KIND_SPACE: u32 = 1;
pub const KIND_POOL: u32 = 2;
pub const KIND_IDLE: u32 = 3;
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

/// The memory of one isolate's block.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Memory {
    words: [u32; WORDS],
    stage: [u8; STAGE_BYTES],
}

/// One isolate's block.
#[derive(Debug)]
pub(crate) struct Block<'a>(pub(crate) &'a mut Memory);

impl Block<'_> {
    pub(crate) fn get(&self, word: usize) -> u32 {
        self.0.words[word]
    }

    pub(crate) fn set(&mut self, word: usize, value: u32) {
        self.0.words[word] = value;
    }

    /// COUNT as given, at most what the block can describe; it is 0 until there are results.
    pub(crate) fn take_count(&mut self) -> usize {
        (std::mem::take(&mut self.0.words[COUNT]) as usize).min(BATCH_MAX)
    }

    /// The first `count` messages on the stage, fewer if their lengths lead beyond it.
    pub(crate) fn staged(&self, count: usize) -> impl Iterator<Item = &[u8]> + Clone {
        let Memory { words, stage } = &*self.0;
        words[LENGTHS..][..count].iter().scan(0, |at, length| {
            let from = *at;
            *at = from + *length as usize;
            stage.get(from..*at)
        })
    }

    /// Copies the references in the first `count` descriptors into `buffers`.
    pub(crate) fn buffers<'b>(
        &self,
        count: usize,
        buffers: &'b mut [millrace::Buffer],
    ) -> &'b [millrace::Buffer] {
        let buffers = &mut buffers[..count];
        for (index, buffer) in buffers.iter_mut().enumerate() {
            *buffer = self.buffer(index);
        }
        buffers
    }

    /// The stage, and where the lengths of `count` messages go.
    pub(crate) fn stage(&mut self, count: usize) -> (&mut [u8], &mut [u32]) {
        let Memory { words, stage } = &mut *self.0;
        (stage, &mut words[LENGTHS..][..count])
    }

    /// The reference in descriptor `index`.
    pub(crate) fn buffer(&self, index: usize) -> millrace::Buffer {
        let at = DESCRIPTORS + index * DESCRIPTOR_WORDS;
        millrace::Buffer { id: self.get(at + ID), received: self.get(at + LEASE) == RECEIVED }
    }

    /// Whether descriptor `index` is a message to be acknowledged.
    pub(crate) fn is_leased(&self, index: usize) -> bool {
        self.lease(index) >= FIRST_LEASE
    }

    /// The lease in descriptor `index`.
    pub(crate) fn lease(&self, index: usize) -> u32 {
        self.get(DESCRIPTORS + index * DESCRIPTOR_WORDS + LEASE)
    }

    /// Says that `kind` may be ready at `queue`, as result `index`.
    pub(crate) fn ready(&mut self, index: usize, queue: u32, kind: u32) {
        let pair = &mut self.0.words[READY + index * READY_WORDS..][..READY_WORDS];
        pair[READY_QUEUE] = queue;
        pair[READY_KIND] = kind;
    }

    /// Describes result `index`.
    pub(crate) fn describe(&mut self, index: usize, id: u32, gap: u32, lease: u32, attempt: u32) {
        let descriptor = &mut self.0.words[DESCRIPTORS + index * DESCRIPTOR_WORDS..][..DESCRIPTOR_WORDS];
        descriptor[ID] = id;
        descriptor[GAP] = gap;
        descriptor[LEASE] = lease;
        descriptor[ATTEMPT] = attempt;
    }
}
