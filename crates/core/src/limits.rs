//! Every limit of a domain, each with its reason; relations are checked at compile time.

/// Participants (processes or worker threads) of one domain. Slot numbers travel in 7 bits of a ring slot.
pub const MAX_PARTICIPANTS: usize = 128;

/// Names of one domain: queues, topics, subscriptions, mailboxes. The table is reserved page by page as queues appear.
pub const MAX_QUEUES: usize = 4096;

/// Pool segments of one domain: the upper 6 bits of a buffer id.
pub const MAX_SEGMENTS: usize = 1 << SEGMENT_BITS;

/// Bits of a buffer id that name the segment.
pub const SEGMENT_BITS: u32 = 6;

/// Bits of a buffer id that name the buffer inside its segment.
pub const INDEX_BITS: u32 = 14;

/// Buffers one segment can hold.
pub const MAX_BUFFERS_PER_SEGMENT: usize = 1 << INDEX_BITS;

/// Smallest size class in bytes: four cache lines, the least that keeps payloads apart under adjacent-line prefetch.
pub const MIN_BUFFER_BYTES: usize = 256;

/// Bits of a buffer id that name a message among those that share the buffer, its pack.
pub const CELL_BITS: u32 = 9;

/// Bytes from where one message of a pack can begin to where the next can: two cache lines, the header and the payload of a message of 64
/// bytes.
pub const CELL_UNIT_BYTES: usize = 128;

/// Fewest messages of one `put` that share a pack: a few would not repay the larger buffer.
pub const PACK_MIN: usize = 16;

/// Largest message that goes into a pack, in bytes: beyond, copying it costs more than a buffer of its own.
pub const PACKED_BYTES_MAX: usize = 1024;

/// Largest shared size class in bytes. Larger buffers get a segment of their own.
pub const MAX_CLASS_BYTES: usize = 64 << 20;

/// Largest segment in bytes: below 2 GiB, so that one JavaScript ArrayBuffer covers it on every runtime
/// and 32-bit lengths suffice.
pub const MAX_SEGMENT_BYTES: usize = (2 << 30) - (1 << 20);

/// Largest buffer in bytes. What is left of a segment after its own tables.
pub const MAX_BUFFER_BYTES: usize = MAX_SEGMENT_BYTES - (4 << 20);

/// Pool budget of a domain in bytes when nobody asks for another.
pub const DEFAULT_MAX_BYTES: u64 = 256 << 20;

/// Smallest pool budget in bytes: one segment of the smallest kind.
pub const MIN_MAX_BYTES: u64 = 1 << 20;

/// Largest pool budget in bytes that the segment table can express.
pub const MAX_MAX_BYTES: u64 = (MAX_SEGMENTS * MAX_SEGMENT_BYTES) as u64;

/// Payload bytes of the first segment of a size class; each further one doubles.
pub const FIRST_SEGMENT_BYTES: usize = 1 << 20;

/// Growth stops when less than this share (percent) of the shared memory file system would stay free:
/// other programs live there too.
pub const SHM_RESERVE_PERCENT: u64 = 5;

/// Slots of the largest ring: 1 Mi messages.
pub const MAX_QUEUE_CAPACITY: usize = 1 << 20;

/// Capacity of a queue when nobody asks for another.
pub const DEFAULT_QUEUE_CAPACITY: usize = 1024;

/// Longest name in bytes, one less than its field so that a name always ends in a zero.
pub const MAX_NAME_BYTES: usize = 63;

/// Longest name of a subscription in bytes: what its name entry has room for.
pub const MAX_SUBSCRIPTION_NAME_BYTES: usize = 31;

/// Attempts of a subscriber to begin where the topic stands before it gives up: each one fails only because somebody has
/// published meanwhile, so that is far beyond what load produces.
pub const JOIN_TRIES_MAX: u32 = 1 << 20;

/// Of these, one after the other that have got no further: publishers need a few steps at most, so there is damage.
pub const JOIN_STUCK_MAX: u32 = 1 << 8;

/// Longest codec name in bytes.
pub const MAX_CODEC_BYTES: usize = 31;

/// Lanes of a participant, where its threads say that they are inside an operation.
pub const LANES: usize = 8;

/// Of these, the ones that belong to one thread each, the first ones that came; all others share the rest.
pub const OWN_LANES: usize = 4;

/// Messages moved under one pin at most: bounds how long a recovery can be held up (about 20 us).
pub const BATCH_MAX: usize = 256;

/// Events a domain remembers for participants that have not looked yet: all others may join and die at once.
pub const MAX_EVENTS: usize = 2 * MAX_PARTICIPANTS;

/// Time that a participant that leaves tries to tell so itself while somebody else recovers, in ns.
pub const DEPART_NS: u64 = 100_000_000;

/// Tries of one ring operation before it returns full or empty instead: bounds every loop against a
/// corrupt ring, and is far beyond what contention produces.
pub const RING_TRIES_MAX: u32 = 1 << 16;

/// Time an opener waits for the domain lock by default, in ns.
pub const OPEN_TIMEOUT_NS: u64 = 10_000_000_000;

/// Time a recoverer waits for the living to leave their operations before it withdraws, in ns.
/// Survivors that arrive meanwhile are blocked, so this bounds their stall.
pub const QUIESCE_NS: u64 = 2_000_000;

/// Time a participant waits for a recovery by another before it looks after it itself, in ns.
pub const RECOVERY_PATIENCE_NS: u64 = 10_000_000;

/// Period in which a sentinel notifies its own participant, the backstop for a notification that could not be delivered, in ns.
pub const BACKSTOP_NS: u64 = 30_000_000_000;

/// Time after which a sentinel looks more closely at a participant that is in the way of a recovery, in ns. Whether it is stalled is
/// looked at once a sweep otherwise.
pub const LOOK_AGAIN_NS: u64 = 100_000_000;

/// Period in which a sentinel looks for segments that nobody uses, in ns: one that was empty at two looks, and of which nothing was
/// allocated in between, goes back to the system.
pub const TRIM_LOOK_NS: u64 = 10_000_000_000;

/// Time that a trim, or a queue that follows its load, waits for the world to stop before it lets things be, in ns. Whoever asks for a
/// buffer, or sends to a queue that grows, waits as long.
pub const REST_PATIENCE_NS: u64 = 20_000_000;

/// The same for somebody who asks for a queue to be changed, and gets an error where it cannot be: who is inside an operation may have to wait
/// for a processor, on a busy machine for many others.
pub const CHANGE_PATIENCE_NS: u64 = 2_000_000_000;

/// Time between two attempts to stop the world, in ns.
pub const REST_AGAIN_NS: u64 = 50_000;

/// Tries to change a queue, each of which fails only because somebody else has changed it meanwhile, before it counts as damaged.
pub const ADJUST_TRIES_MAX: u32 = 1 << 10;

/// Time after which a sender tries again to make a queue larger, when that was not possible, in ns.
pub const GROW_AGAIN_NS: u64 = 100_000_000;

/// Time that a queue must have been three quarters empty before it becomes smaller, in seconds.
pub const QUIET_SECONDS: u32 = 10;

/// Time that memory of segments that were taken out may take to come back, until everybody has let go of it, in ns.
pub const LET_GO_NS: u64 = 20_000_000;

/// Time that an fsck or an eviction may take by default, in ns.
pub const PATIENCE_NS: u64 = 10_000_000_000;

/// Period of the sentinel's sweep, the backstop for deaths no descriptor announced, in ns.
pub const SWEEP_NS: u64 = 2_000_000_000;

const _: () = {
    assert!(MAX_PARTICIPANTS <= 128, "an owner has 7 bits in a ring slot");
    assert!(MAX_PARTICIPANTS.is_multiple_of(64), "waiter masks are whole words");
    assert!(SEGMENT_BITS + INDEX_BITS <= 20, "a buffer id has 20 bits in a ring slot");
    assert!(MAX_SEGMENT_BYTES < 1 << 31);
    assert!(MAX_CLASS_BYTES.is_power_of_two() && MIN_BUFFER_BYTES.is_power_of_two());
    assert!(MAX_QUEUE_CAPACITY * 8 + 4096 <= MAX_CLASS_BYTES, "a ring fits a shared size class");
    assert!(FIRST_SEGMENT_BYTES as u64 <= MIN_MAX_BYTES);
};
