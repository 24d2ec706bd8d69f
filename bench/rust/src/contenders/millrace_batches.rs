//! The core's batch calls, as a language binding uses them: 64 messages to a call, copied in, and read where they lie.

use super::millrace::Domain;
use super::{BYTES, Contender, Message};
use crate::options::Options;
use millrace::limits::{INDEX_BITS, MAX_SEGMENTS};
use millrace::{Interest, PortQueue, Received, SegmentView, SharedBufferAllocator, ShmManager};
use std::sync::Arc;
use std::time::Duration;

const BATCH: usize = 64;

pub(crate) struct MillraceBatches {
    allocator: SharedBufferAllocator,
    queue: Arc<PortQueue>,
    views: Vec<Option<SegmentView>>,
    /// Sending: messages that were collected.
    batch: Vec<[u8; BYTES]>,
    /// Receiving: messages that were taken together, of which the first `seen` have been looked at.
    taken: Vec<Received>,
    count: usize,
    seen: usize,
    manager: Arc<ShmManager>,
}

impl MillraceBatches {
    fn open(plan: &Domain, way: usize) -> Self {
        let manager = plan.open();
        Self {
            allocator: manager.allocator(),
            queue: plan.queue(way, 0),
            views: vec![None; MAX_SEGMENTS],
            batch: Vec::with_capacity(BATCH),
            taken: vec![Received::default(); BATCH],
            count: 0,
            seen: 0,
            manager,
        }
    }

    fn payload(&mut self, id: u32) -> *mut u8 {
        let segment = (id >> INDEX_BITS) as usize & (MAX_SEGMENTS - 1);
        let manager = &self.manager;
        let view = self.views[segment].get_or_insert_with(|| manager.segment(segment).expect("a segment"));
        let (payload, capacity) = view.content(id).expect("a message");
        assert!(capacity >= BYTES, "message {id} has room for {capacity} bytes");
        payload
    }
}

impl Contender for MillraceBatches {
    type Plan = Domain;

    fn plan(options: &Options) -> Domain {
        assert!(!options.fan_out, "batches go to one queue");
        Domain::plan()
    }

    fn producer(plan: &Domain, _: &Options, way: usize) -> Self {
        Self::open(plan, way)
    }

    fn consumer(plan: &Domain, _: &Options, way: usize, _: usize) -> Self {
        Self::open(plan, way)
    }

    fn send(&mut self, message: &Message) -> bool {
        if self.batch.len() == BATCH && !self.flush() {
            return false;
        }
        self.batch.push(*message.bytes());
        true
    }

    fn flush(&mut self) -> bool {
        let (sent, outcome) = self.queue.put(self.batch.iter().map(|message| &message[..]));
        outcome.expect("a put");
        self.batch.drain(..sent);
        self.batch.is_empty()
    }

    fn receive(&mut self) -> Option<Message> {
        if self.seen == self.count {
            let (released, outcome) =
                self.allocator.release_all(self.taken[..self.count].iter().map(|received| received.buffer));
            outcome.expect("a release");
            assert_eq!(released, self.count, "all are released");
            self.seen = 0;
            self.count = 0;
            self.count = self.queue.receive(&mut self.taken).expect("a receive").0;
            if self.count == 0 {
                return None;
            }
        }
        let payload = self.payload(self.taken[self.seen].buffer.id);
        self.seen += 1;
        // SAFETY: a buffer that was received, of at least this many bytes.
        Some(Message::read(unsafe { std::slice::from_raw_parts(payload, BYTES) }))
    }

    fn sleep(&mut self) {
        self.queue.wait(Interest::Data, Duration::from_secs(10));
    }
}
