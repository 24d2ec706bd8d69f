//! The core: allocate, write, send; receive, read, release. One call for each.

use super::{BYTES, CAPACITY, Contender, Message};
use crate::options::Options;
use millrace::{
    BufferPtr, Interest, OpenOptions, PortQueue, QueueOptions, SendOutcome, SharedBufferAllocator,
    ShmManager, TrySendError,
};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// A domain in a folder of its own, joined once by each process, which leaves it with the last of its ends.
pub(crate) struct Domain {
    folder: PathBuf,
    owner: u32,
    manager: Mutex<Weak<ShmManager>>,
}

impl Domain {
    pub(crate) fn plan() -> Self {
        let owner = std::process::id();
        let folder = std::env::temp_dir().join(format!("millrace-bench-rust-{owner}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&folder, mode).expect("a folder of ours");
        Self { folder, owner, manager: Mutex::default() }
    }

    pub(crate) fn open(&self) -> Arc<ShmManager> {
        let options = OpenOptions { directory: Some(self.folder.clone()), ..OpenOptions::default() };
        let mut known = self.manager.lock().expect("one thread");
        known.upgrade().unwrap_or_else(|| {
            let manager = Arc::new(ShmManager::open("bench", &options).expect("a domain"));
            *known = Arc::downgrade(&manager);
            manager
        })
    }

    /// The queue of a way; with fan-out each consumer has one of its own.
    pub(crate) fn queue(&self, way: usize, index: usize) -> Arc<PortQueue> {
        let options = QueueOptions { capacity: Some(CAPACITY as u32), ..QueueOptions::default() };
        self.open().port_queue(&format!("way-{way}-{index}"), &options).expect("a queue")
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        if std::process::id() == self.owner {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

pub(crate) struct Millrace {
    allocator: SharedBufferAllocator,
    queues: Vec<Arc<PortQueue>>,
    /// Found no room yet.
    waiting: Option<BufferPtr>,
    _manager: Arc<ShmManager>,
}

impl Millrace {
    fn open(plan: &Domain, way: usize, queues: std::ops::Range<usize>) -> Self {
        // First, and kept: queues of a domain that has been left again are of no use.
        let manager = plan.open();
        let queues = queues.map(|index| plan.queue(way, index)).collect();
        Self { allocator: manager.allocator(), queues, waiting: None, _manager: manager }
    }

    /// A further reference of the same buffer for each queue but the last.
    fn send_to_all(&self, buffer: BufferPtr) {
        let (last, others) = self.queues.split_last().expect("a queue");
        for queue in others {
            let own = millrace::Buffer { id: buffer.id(), received: false };
            let shared = self.allocator.share(own).expect("a reference");
            while !matches!(queue.send(&[shared]), (1, Ok(SendOutcome::Done))) {
                std::thread::yield_now();
            }
        }
        let mut buffer = buffer;
        while let Err(refused) = last.try_send(buffer) {
            buffer = back(refused);
            std::thread::yield_now();
        }
    }
}

/// The message that a queue has no room for.
fn back(refused: TrySendError<BufferPtr>) -> BufferPtr {
    if let TrySendError::Failed(_, error) = &refused {
        panic!("a send: {error}");
    }
    refused.into_inner()
}

impl Contender for Millrace {
    type Plan = Domain;

    fn plan(_: &Options) -> Domain {
        Domain::plan()
    }

    fn producer(plan: &Domain, options: &Options, way: usize) -> Self {
        Self::open(plan, way, 0..if options.fan_out { options.consumers } else { 1 })
    }

    fn consumer(plan: &Domain, options: &Options, way: usize, index: usize) -> Self {
        let index = if options.fan_out { index } else { 0 };
        Self::open(plan, way, index..index + 1)
    }

    fn send(&mut self, message: &Message) -> bool {
        let buffer = self.waiting.take().unwrap_or_else(|| {
            let mut fresh = self.allocator.allocate(BYTES).expect("a buffer");
            // SAFETY: nobody else has this buffer yet.
            let bytes = unsafe { fresh.bytes_mut() };
            bytes[..BYTES].copy_from_slice(message.bytes());
            fresh
        });
        if self.queues.len() > 1 {
            self.send_to_all(buffer);
            return true;
        }
        match self.queues[0].try_send(buffer) {
            Ok(()) => true,
            Err(refused) => {
                self.waiting = Some(back(refused));
                false
            }
        }
    }

    fn receive(&mut self) -> Option<Message> {
        let (received, _) = self.queues[0].try_receive().expect("a receive");
        let buffer = received?;
        // SAFETY: it was sent, so nobody writes it any more.
        Some(Message::read(unsafe { buffer.bytes() }))
    }

    fn sleep(&mut self) {
        self.queues[0].wait(Interest::Data, Duration::from_secs(10));
    }
}
