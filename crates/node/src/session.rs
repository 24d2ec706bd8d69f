//! What the binding keeps per isolate and per manager. One isolate runs on one thread, so this is thread-local state.

use crate::array_buffer::Mapping;
use crate::block::{BATCH_MAX, Block, KIND_POOL, QUEUE_POOL, WORDS};
use millrace::{Buffer, Interest, PortQueue, QueueOptions, Received, SharedBufferAllocator, ShmManager};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// One open manager.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) manager: ShmManager,
    pub(crate) allocator: SharedBufferAllocator,
    pub(crate) queues: Vec<QueueEnd>,
    /// Leases of messages that JavaScript has, by number; see [`Session::keep`].
    leases: Vec<Option<(Arc<PortQueue>, u32)>>,
    free_leases: Vec<u32>,
    /// What somebody here waits for: (queue handle, kind).
    pub(crate) armed: Vec<(u32, u32)>,
    /// Rings seen when the last wait was armed.
    pub(crate) sequence: u32,
    pub(crate) reports_seen: u64,
    pub(crate) mappings: HashMap<usize, Mapping>,
}

/// Lease numbers below this one stand for "own reference" (0) and "received, nothing to acknowledge" (1).
const FIRST_LEASE: u32 = 2;

/// A queue handle: an open end, or the wish for one.
#[derive(Debug)]
pub(crate) struct QueueEnd {
    pub(crate) name: String,
    pub(crate) queue: Option<Arc<PortQueue>>,
    pub(crate) detached: bool,
}

impl Session {
    pub(crate) fn new(manager: ShmManager) -> Self {
        let (sequence, reports_seen) = (manager.wake_sequence(), manager.recoveries());
        let allocator = manager.allocator();
        let (queues, armed, mappings) = (Vec::new(), Vec::new(), HashMap::new());
        let (leases, free_leases) = (Vec::new(), Vec::new());
        Self { manager, allocator, queues, leases, free_leases, armed, sequence, reports_seen, mappings }
    }

    /// A handle for queue `name`, created with `options` if they are given.
    pub(crate) fn queue(&mut self, name: &str, options: Option<&QueueOptions>) -> millrace::Result<u32> {
        let queue = match options {
            Some(options) => Some(self.manager.port_queue(name, options)?),
            None => self.manager.find_queue(name)?,
        };
        let same = |end: &QueueEnd| {
            !end.detached
                && match (&end.queue, &queue) {
                    (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                    (None, _) => end.name == name,
                    (Some(_), None) => false,
                }
        };
        if let Some(known) = self.queues.iter().position(same) {
            if self.queues[known].queue.is_none() {
                self.queues[known].queue = queue;
            }
            return Ok(known as u32);
        }
        let end = QueueEnd { name: name.to_owned(), queue, detached: false };
        // Handles of detached ends are used again.
        if let Some(free) = self.queues.iter().position(|end| end.detached) {
            self.queues[free] = end;
            return Ok(free as u32);
        }
        self.queues.push(end);
        Ok(self.queues.len() as u32 - 1)
    }

    /// The end behind `handle`, resolved if its queue exists by now.
    #[inline]
    pub(crate) fn end(&mut self, handle: u32) -> millrace::Result<Option<&PortQueue>> {
        let Some(end) = self.queues.get_mut(handle as usize).filter(|end| !end.detached) else {
            return Ok(None);
        };
        if end.queue.is_none() {
            end.queue = self.manager.find_queue(&end.name)?;
        }
        Ok(end.queue.as_deref())
    }

    /// Remembers the lease of a message that goes to JavaScript and answers its number; 1 for a message without one.
    #[inline]
    pub(crate) fn keep(&mut self, handle: u32, lease: Option<u32>) -> u32 {
        let queue = self.queues.get(handle as usize).and_then(|end| end.queue.as_ref());
        let (Some(lease), Some(queue)) = (lease, queue) else { return 1 };
        let kept = Some((Arc::clone(queue), lease));
        let at = self.free_leases.pop().unwrap_or_else(|| {
            self.leases.push(None);
            self.leases.len() as u32 - 1
        });
        self.leases[at as usize] = kept;
        at + FIRST_LEASE
    }

    /// The queue and lease behind `number`, which is forgotten.
    #[inline]
    pub(crate) fn take_lease(&mut self, number: u32) -> Option<(Arc<PortQueue>, u32)> {
        let at = number.checked_sub(FIRST_LEASE)?;
        let kept = self.leases.get_mut(at as usize).and_then(Option::take)?;
        self.free_leases.push(at);
        Some(kept)
    }

    /// Starts to wait; `false`: no need to.
    pub(crate) fn arm(&mut self, handle: u32, kind: u32) -> millrace::Result<bool> {
        if self.armed.contains(&(handle, kind)) {
            return Ok(true);
        }
        self.sequence = self.manager.wake_sequence();
        self.manager.arm_bell();
        let sleeps = if kind == KIND_POOL {
            self.manager.arm_pool();
            true
        } else if let Some(queue) = self.end(handle)? {
            queue.arm(interest(kind))
        } else {
            self.manager.arm_directory();
            // It may have appeared between the look and the bit.
            match self.end(handle)? {
                Some(queue) => queue.arm(interest(kind)),
                None => true,
            }
        };
        if sleeps {
            self.armed.push((handle, kind));
        }
        Ok(sleeps)
    }

    /// Ends a wait without having consumed.
    pub(crate) fn disarm(&mut self, handle: u32, kind: u32) {
        let Some(at) = self.armed.iter().position(|armed| *armed == (handle, kind)) else { return };
        self.armed.swap_remove(at);
        if kind == KIND_POOL {
            self.manager.disarm_pool();
        } else if let Some(queue) = self.queues.get(handle as usize).and_then(|end| end.queue.as_ref()) {
            queue.disarm(interest(kind));
        }
    }

    /// After a ring: what may be ready, at most `limit`; the rest is armed again.
    pub(crate) fn ready(&mut self, limit: usize) -> millrace::Result<Vec<(u32, u32)>> {
        self.sequence = self.manager.wake_sequence();
        self.manager.arm_bell();
        let mut ready = Vec::new();
        let mut at = 0;
        while at < self.armed.len() && ready.len() < limit {
            let (handle, kind) = self.armed[at];
            if self.is_ready(handle, kind)? {
                self.armed.swap_remove(at);
                ready.push((handle, kind));
            } else {
                at += 1;
            }
        }
        Ok(ready)
    }

    fn is_ready(&mut self, handle: u32, kind: u32) -> millrace::Result<bool> {
        if (handle, kind) == (QUEUE_POOL, KIND_POOL) {
            // Whether the bit was taken or not, an allocation tells.
            return Ok(true);
        }
        let known = self.queues.get(handle as usize).is_none_or(|end| end.queue.is_some());
        if !known {
            self.manager.arm_directory();
            // Armed for its creation only: whoever waited looks at the queue itself now.
            return Ok(self.end(handle)?.is_some());
        }
        Ok(self.end(handle)?.is_none_or(|queue| queue.rearm(interest(kind))))
    }
}

fn interest(kind: u32) -> Interest {
    if kind == crate::block::KIND_SPACE { Interest::Space } else { Interest::Data }
}

/// Room for one batch, kept so that no call has to clear it.
pub(crate) struct Scratch {
    pub(crate) ids: [u32; BATCH_MAX],
    pub(crate) buffers: [Buffer; BATCH_MAX],
    pub(crate) received: [Received; BATCH_MAX],
}

impl Default for Scratch {
    fn default() -> Self {
        let buffer = Buffer { id: 0, received: false };
        Self { ids: [0; BATCH_MAX], buffers: [buffer; BATCH_MAX], received: [Received::default(); BATCH_MAX] }
    }
}

/// What a hot operation works with.
pub(crate) struct Parts<'a> {
    pub(crate) block: Block<'a>,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) sessions: &'a mut Vec<Option<Session>>,
    pub(crate) error: &'a mut Option<millrace::Error>,
}

/// Everything of one isolate.
#[derive(Default)]
pub(crate) struct Isolate {
    /// The words behind the command block, owned by its ArrayBuffer; null until somebody asked for it.
    block: Option<std::ptr::NonNull<[u32; WORDS]>>,
    /// Where hot operations lay out their batches.
    scratch: Scratch,
    /// Open managers by handle.
    pub(crate) sessions: Vec<Option<Session>>,
    /// What the last operation that answered `Status::Error` died of.
    pub(crate) error: Option<millrace::Error>,
}

thread_local!(static ISOLATE: RefCell<Isolate> = RefCell::default());

impl Isolate {
    /// Runs `f` on this thread's isolate. Nothing in here calls JavaScript, so there is no second borrow.
    pub(crate) fn with<T>(f: impl FnOnce(&mut Self) -> T) -> T {
        ISOLATE.with_borrow_mut(f)
    }

    pub(crate) fn set_block(&mut self, block: std::ptr::NonNull<[u32; WORDS]>) {
        self.block = Some(block);
    }

    /// Everything a hot operation needs; `None` before the command block exists.
    #[inline]
    pub(crate) fn parts(&mut self) -> Option<Parts<'_>> {
        let mut block = self.block?;
        // SAFETY: the words live as long as the isolate (a strong reference keeps their ArrayBuffer), and JavaScript
        // does not run while native code does.
        let words = unsafe { block.as_mut() };
        let Self { scratch, sessions, error, .. } = self;
        Some(Parts { block: Block(words), scratch, sessions, error })
    }

    pub(crate) fn add(&mut self, session: Session) -> u32 {
        if let Some(free) = self.sessions.iter().position(Option::is_none) {
            self.sessions[free] = Some(session);
            return free as u32;
        }
        self.sessions.push(Some(session));
        self.sessions.len() as u32 - 1
    }

    pub(crate) fn session(&mut self, handle: u32) -> Option<&mut Session> {
        self.sessions.get_mut(handle as usize).and_then(Option::as_mut)
    }

    /// The end of the isolate: managers leave their domains. Its ArrayBuffers are finalized by the runtime.
    pub(crate) fn end(&mut self) {
        self.sessions.clear();
        self.block = None;
    }
}
