//! What somebody in this isolate waits for in one domain.

use crate::block::{Block, KIND_DATA, KIND_IDLE, KIND_POOL, KIND_SPACE, QUEUE_POOL, Status};
use crate::error::Failure;
use crate::handles::HandleTable;
use millrace::{Interest, PortQueue, SharedBufferAllocator, ShmManager};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The waits of one session that are armed: somebody is to be woken when they may be over.
#[derive(Debug)]
pub(crate) struct Waits {
    armed: Vec<Armed>,
    /// Wakes seen when the last wait was armed.
    pub(crate) sequence: u32,
    /// Recoveries at, and time of, the last look at everything that is armed.
    looked: (u64, Instant),
}

/// A wait under way.
#[derive(Debug)]
struct Armed {
    handle: u32,
    kind: u32,
    /// The end at which it is armed; none: at the name table, for the queue to appear, or at the pool.
    queue: Option<Arc<PortQueue>>,
}

/// What a handle that is waited for stands for now.
enum Found<'a> {
    Queue(&'a Arc<PortQueue>),
    /// It does not exist yet.
    Nothing,
    /// It has ended, or is a topic, of which the existence is all that is waited for.
    Over,
}

/// How long the bits of the sleepers alone decide what is looked at.
const LOOK_PERIOD: Duration = Duration::from_secs(10);

impl Waits {
    pub(crate) fn new(manager: &ShmManager) -> Self {
        Self {
            armed: Vec::new(),
            sequence: manager.wake_sequence(),
            looked: (manager.recoveries(), Instant::now()),
        }
    }

    /// `count` buffers of `bytes` bytes, or none: then the pool is armed for them. A look comes first, for to take some and to give them back
    /// wakes all who wait for a buffer.
    pub(crate) fn allocate_all(
        &mut self,
        manager: &ShmManager,
        allocator: &SharedBufferAllocator,
        (bytes, count): (usize, usize),
    ) -> millrace::Result<Option<Vec<u32>>> {
        loop {
            if allocator.may_allocate(bytes, count) {
                let mut ids = vec![0; count];
                if allocator.allocate_all(bytes, &mut ids)? {
                    return Ok(Some(ids));
                }
            }
            if self.arm_pool(manager, bytes, count) {
                return Ok(None);
            }
        }
    }

    /// Starts to wait for `count` buffers of `bytes` bytes; `false`: no need to.
    fn arm_pool(&mut self, manager: &ShmManager, bytes: usize, count: usize) -> bool {
        if self.is_armed(QUEUE_POOL, KIND_POOL) {
            return true;
        }
        self.sequence = manager.wake_sequence();
        manager.arm_doorbell();
        let sleeps = manager.arm_pool(bytes, count);
        if sleeps {
            self.armed.push(Armed { handle: QUEUE_POOL, kind: KIND_POOL, queue: None });
        }
        sleeps
    }

    fn is_armed(&self, handle: u32, kind: u32) -> bool {
        self.armed.iter().any(|armed| (armed.handle, armed.kind) == (handle, kind))
    }

    /// Starts to wait (for a buffer of `bytes` bytes, if `kind` is the pool's); `false`: no need to.
    pub(crate) fn arm(
        &mut self,
        manager: &ShmManager,
        handles: &mut HandleTable,
        (handle, kind, bytes): (u32, u32, usize),
    ) -> millrace::Result<bool> {
        if kind == KIND_POOL {
            return Ok(self.arm_pool(manager, bytes, 1));
        }
        if self.is_armed(handle, kind) {
            return Ok(true);
        }
        self.sequence = manager.wake_sequence();
        manager.arm_doorbell();
        if !matches!(look(manager, handles, (handle, kind))?, Found::Queue(_)) {
            manager.arm_names();
        }
        // It may have appeared between the look and the bit.
        let queue = match look(manager, handles, (handle, kind))? {
            Found::Queue(queue) => match queue.arm(interest(kind)) {
                None => return Ok(false),
                end => end,
            },
            Found::Nothing => None,
            Found::Over => return Ok(false),
        };
        self.armed.push(Armed { handle, kind, queue });
        Ok(true)
    }

    /// Ends a wait without having consumed.
    pub(crate) fn disarm(&mut self, manager: &ShmManager, handle: u32, kind: u32) {
        let Some(at) = self.armed.iter().position(|armed| (armed.handle, armed.kind) == (handle, kind))
        else {
            return;
        };
        let armed = self.armed.swap_remove(at);
        if kind == KIND_POOL {
            manager.disarm_pool();
        } else if let Some(queue) = armed.queue {
            queue.disarm(interest(kind));
        }
    }

    /// Ends every wait at `handle`.
    pub(crate) fn disarm_all(&mut self, manager: &ShmManager, handle: u32) {
        for kind in [KIND_DATA, KIND_SPACE, KIND_IDLE] {
            self.disarm(manager, handle, kind);
        }
    }

    /// The queue behind `handle` is about to end for us: whoever waits there finds it ready.
    pub(crate) fn end(&mut self, handle: u32) {
        for armed in self.armed.iter_mut().filter(|armed| armed.handle == handle) {
            if let Some(queue) = armed.queue.take() {
                queue.disarm(interest(armed.kind));
            }
        }
    }

    /// After a wake: describes what may be ready, at most `limit` results, and returns how many there are; the rest is armed again.
    /// A wait for a queue that cannot be looked at is ready: the attempt that follows meets the error, and the others go on.
    pub(crate) fn ready(
        &mut self,
        manager: &ShmManager,
        handles: &mut HandleTable,
        block: &mut Block<'_>,
        limit: usize,
    ) -> usize {
        self.sequence = manager.wake_sequence();
        manager.arm_doorbell();
        handles.drop_ended();
        // A wake may have been lost: with a death, or for a reason nobody has thought of.
        let (recoveries, now) = (manager.recoveries(), Instant::now());
        let all = recoveries != self.looked.0 || now - self.looked.1 > LOOK_PERIOD;
        let (mut at, mut ready) = (0, 0);
        while at < self.armed.len() && ready < limit {
            let armed = &self.armed[at];
            if (all || armed.may_be_woken()) && armed.is_ready(manager, handles).unwrap_or(true) {
                let armed = self.armed.swap_remove(at);
                block.ready(ready, armed.handle, armed.kind);
                ready += 1;
            } else {
                at += 1;
            }
        }
        if all && at == self.armed.len() {
            self.looked = (recoveries, now);
        }
        ready
    }
}

impl Armed {
    /// Whether a wake may have been for this wait. With a thousand queues armed this is what a wake costs for each of the others.
    fn may_be_woken(&self) -> bool {
        self.queue.as_ref().is_none_or(|queue| !queue.is_unrung(interest(self.kind)))
    }

    /// Whether the wait may be over; armed again if not.
    fn is_ready(&self, manager: &ShmManager, handles: &mut HandleTable) -> millrace::Result<bool> {
        if self.kind == KIND_POOL {
            // One bit stands for all sizes: an allocation tells.
            manager.disarm_pool();
            return Ok(true);
        }
        if let Some(queue) = &self.queue {
            return Ok(queue.rearm(interest(self.kind)));
        }
        manager.arm_names();
        // Armed for its creation only: whoever waited looks at the queue itself now.
        look(manager, handles, (self.handle, self.kind)).map(|found| !matches!(found, Found::Nothing))
    }
}

/// Whoever waits for room in a topic makes it for those who subscribe to it; whoever waits for anything else there waits for its maker.
fn look<'a>(
    manager: &ShmManager,
    handles: &'a mut HandleTable,
    (handle, kind): (u32, u32),
) -> millrace::Result<Found<'a>> {
    let found = if handles.is_topic(handle) && kind == KIND_SPACE {
        handles.topic_to_publish(manager, handle).map(|_| Found::Over)
    } else if handles.is_topic(handle) {
        handles.topic(manager, handle).map(|_| Found::Over)
    } else {
        handles.queue(manager, handle).map(Found::Queue)
    };
    match found {
        Ok(found) => Ok(found),
        Err(Failure::Status(Status::NotFound)) => Ok(Found::Nothing),
        Err(Failure::Status(_)) => Ok(Found::Over),
        Err(Failure::Error(error)) => Err(error),
    }
}

fn interest(kind: u32) -> Interest {
    match kind {
        KIND_SPACE => Interest::Space,
        KIND_IDLE => Interest::Idle,
        _ => Interest::Data,
    }
}
