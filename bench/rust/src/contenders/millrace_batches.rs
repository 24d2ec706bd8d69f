//! The core's batch calls, as a language binding uses them: 64 messages to a call.

use super::millrace::Domain;
use super::{BYTES, Contender, Message};
use crate::options::Options;
use millrace::{Buffer, Interest, PortQueue, Received, SegmentView, SharedBufferAllocator, ShmManager};
use std::sync::Arc;
use std::time::Duration;

const BATCH: usize = 64;
/// Bits of a buffer id that are its index in its segment.
const INDEX_BITS: u32 = millrace::limits::INDEX_BITS;

pub(crate) struct MillraceBatches {
    allocator: SharedBufferAllocator,
    queue: Arc<PortQueue>,
    views: Vec<Option<SegmentView>>,
    /// Sending: buffers that are ours, of which the first `filled` hold messages.
    ids: Vec<u32>,
    filled: usize,
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
            views: Vec::new(),
            ids: Vec::new(),
            filled: 0,
            taken: vec![Received::default(); BATCH],
            count: 0,
            seen: 0,
            manager,
        }
    }

    fn payload(&mut self, id: u32) -> *mut u8 {
        let (segment, index) = ((id >> INDEX_BITS) as usize, (id & ((1 << INDEX_BITS) - 1)) as usize);
        if self.views.len() <= segment {
            self.views.resize(segment + 1, None);
        }
        let manager = &self.manager;
        let view = self.views[segment].get_or_insert_with(|| manager.segment(segment).expect("a segment"));
        assert!(index < view.count, "buffer {id} is not in its segment");
        // SAFETY: within the mapping, as was just checked.
        unsafe { view.payload.add(index * view.stride) }
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
        if self.filled == BATCH && !self.flush() {
            return false;
        }
        if self.ids.is_empty() {
            self.ids.resize(BATCH, 0);
            let got = self.allocator.allocate_ids(BYTES, &mut self.ids).expect("buffers");
            self.ids.truncate(got);
        }
        if self.filled == self.ids.len() {
            // The pool had fewer than a batch.
            return self.flush() && self.send(message);
        }
        let payload = self.payload(self.ids[self.filled]);
        // SAFETY: the buffer is ours and holds at least this many bytes.
        unsafe { payload.copy_from_nonoverlapping(message.bytes().as_ptr(), BYTES) };
        self.filled += 1;
        true
    }

    fn flush(&mut self) -> bool {
        let batch: Vec<_> =
            self.ids[..self.filled].iter().map(|&id| Buffer { id, received: false }).collect();
        let (sent, outcome) = self.queue.send(&batch);
        outcome.expect("a send");
        self.ids.drain(..sent);
        self.filled -= sent;
        self.filled == 0
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
