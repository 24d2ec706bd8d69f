//! What the tests of blocks share: domains, schedulers, and blocks made of a closure.
use super::steps::small;
use super::used;
use millrace::{Error, ErrorKind, OpenOptions, PortQueue, QueueOptions, Result, ShmManager};
use millrace_flow::blocks::NullSink;
use millrace_flow::{Block, BlockOptions, Io, Policy, Ports, Report, Scheduler, SchedulerOptions, Work};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// A domain of its own.
pub(crate) fn domain() -> Arc<ShmManager> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("blocks-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    Arc::new(ShmManager::open(&name, &OpenOptions::default()).expect("a new domain"))
}

/// Every way to run blocks that a test should hold for.
pub(crate) fn every_policy() -> Vec<SchedulerOptions> {
    let threads = |threads| SchedulerOptions { threads, ..SchedulerOptions::default() };
    vec![single(1), single(2), single(3), threads(1), threads(2)]
}

pub(crate) fn single(seed: u64) -> SchedulerOptions {
    SchedulerOptions { policy: Policy::Single { seed }, ..SchedulerOptions::default() }
}

/// A block made of a closure.
pub(crate) struct Made<F> {
    pub(crate) ports: Ports,
    pub(crate) work: F,
}

impl<F: FnMut(&mut Io<'_>) -> Result<Work> + Send + 'static> Block for Made<F> {
    fn ports(&self) -> Ports {
        self.ports.clone()
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        (self.work)(io)
    }
}

/// A message as a test looks at it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) sequence: u64,
    pub(crate) source: u32,
    pub(crate) tag: u64,
    pub(crate) time: u64,
    pub(crate) bytes: Vec<u8>,
}

/// What a [`collector`] has taken.
pub(crate) type Collected = Arc<Mutex<Vec<Seen>>>;

/// A sink that keeps what it takes.
pub(crate) fn collector() -> (impl Block, Collected) {
    let collected = Collected::default();
    let into = Arc::clone(&collected);
    let work = move |io: &mut Io<'_>| {
        while let Some(message) = io.next(0)? {
            let mut bytes = vec![0; message.len()];
            message.copy_to(&mut bytes);
            let (sequence, source) = (message.sequence(), message.source());
            let (tag, time) = (message.tag(), message.timestamp());
            into.lock().unwrap().push(Seen { sequence, source, tag, time, bytes });
        }
        Ok(Work::Ok)
    };
    (Made { ports: Ports::new().input("in"), work }, collected)
}

/// A source that sends what it is given, one message after the other.
pub(crate) fn emitter(messages: Vec<Seen>) -> impl Block {
    let mut next = 0;
    let work = move |io: &mut Io<'_>| {
        while io.room(0)? > 0 && next < messages.len() {
            let message = &messages[next];
            let Some(new) = io.allocate(message.bytes.len())? else {
                return Ok(Work::NeedMemory { bytes: message.bytes.len() });
            };
            new.fill(&message.bytes);
            new.set_sequence(message.sequence);
            new.set_source(message.source);
            new.set_tag(message.tag);
            if message.time != u64::MAX {
                new.set_timestamp(2, message.time);
            }
            io.send(0, new);
            next += 1;
        }
        Ok(if next == messages.len() { Work::Done } else { Work::Ok })
    };
    Made { ports: Ports::new().output("out"), work }
}

/// Runs `source` → `block` → a collector; what came, and the report, whose blocks are called source, block and sink.
pub(crate) fn through(
    options: SchedulerOptions,
    source: impl Block,
    block: Box<dyn Block>,
) -> (Vec<Seen>, Report) {
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
    let (sink, collected) = collector();
    let source = scheduler.add("source", source).unwrap();
    let block = scheduler.add_with("block", block, Default::default()).unwrap();
    let sink = scheduler.add("sink", sink).unwrap();
    scheduler.link((source, "out"), (block, "in"), &small(8)).unwrap();
    scheduler.link((block, "out"), (sink, "in"), &small(8)).unwrap();
    let report = scheduler.run().unwrap();
    assert_whole(&shm);
    let seen = std::mem::take(&mut *collected.lock().unwrap());
    (seen, report)
}

/// No buffer is left behind.
pub(crate) fn assert_whole(shm: &ShmManager) {
    let found = shm.fsck().expect("a look at the domain");
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(used(shm), 0, "buffers that nobody lets go of");
}

/// A counter of a block in a report.
pub(crate) fn counter(report: &Report, block: &str, name: &str) -> u64 {
    let block = report.block(block).expect("such a block");
    let found = block.counters.iter().find(|(counter, _)| *counter == name);
    found.unwrap_or_else(|| panic!("{} has no counter {name:?}: {:?}", block.name, block.counters)).1
}

/// A queue of somebody outside.
pub(crate) fn queue(shm: &ShmManager, name: &str, options: QueueOptions) -> Arc<PortQueue> {
    shm.port_queue(name, &options).unwrap()
}

/// Sends `count` messages.
pub(crate) fn fill(shm: &ShmManager, queue: &Arc<PortQueue>, count: usize) {
    for _ in 0..count {
        assert!(queue.try_send(shm.allocator().allocate(8).unwrap()).is_ok());
    }
}

/// Takes what is there; returns how many messages that were.
pub(crate) fn take_all(queue: &Arc<PortQueue>) -> usize {
    std::iter::from_fn(|| queue.try_receive().unwrap().0).count()
}

/// A source that does what `work` does.
pub(crate) fn source(work: impl FnMut(&mut Io<'_>) -> Result<Work> + Send + 'static) -> impl Block {
    Made { ports: Ports::new().output("out"), work }
}

/// What a block fails with.
pub(crate) fn failure() -> Error {
    Error::new(ErrorKind::BlockFailed, "no")
}

/// `source` → a sink.
pub(crate) fn pair(
    shm: &Arc<ShmManager>,
    options: SchedulerOptions,
    block: impl Block,
    how: BlockOptions,
) -> Scheduler {
    let mut scheduler = Scheduler::new(Arc::clone(shm), options).unwrap();
    let source = scheduler.add_with("source", Box::new(block), how).unwrap();
    let sink = scheduler.add("sink", NullSink::new(u64::MAX)).unwrap();
    scheduler.link((source, "out"), (sink, "in"), &small(8)).unwrap();
    scheduler
}
