//! One end of a queue: how a block at it waits, and whom it wakes.
//!
//! Blocks of one scheduler tell each other by the state of their tasks: that costs one exchange, and no system call. Whatever lies
//! beyond, another scheduler or a program, tells by the queue itself: a task that goes to sleep *arms* the end, which raises the
//! participant's bit in the queue, and whoever sends or receives there takes the bit and notifies the participant.

use millrace::{Interest, PortQueue, Result, ShmManager};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};

/// Number of a block in its scheduler.
pub(crate) type TaskId = usize;

/// The blocks of this scheduler at both ends of a link that it has made.
#[derive(Debug, Default)]
pub(crate) struct Local {
    pub(crate) producers: Vec<TaskId>,
    pub(crate) consumers: Vec<TaskId>,
    /// A producer waits for room.
    blocked: AtomicBool,
    /// Of either kind, those that have not ended.
    open_producers: AtomicUsize,
    open_consumers: AtomicUsize,
}

impl Local {
    /// To be called when all blocks are known.
    pub(crate) fn open(&self) {
        self.open_producers.store(self.producers.len(), Ordering::Relaxed);
        self.open_consumers.store(self.consumers.len(), Ordering::Relaxed);
    }

    /// Announces that a producer waits for room; it looks again before it sleeps.
    pub(crate) fn announce_blocked(&self) {
        self.blocked.store(true, Ordering::Relaxed);
        // SeqCst, pairs with `take_blocked`: either the consumer sees this, or the look after this sees the room.
        fence(Ordering::SeqCst);
    }

    /// Whether producers have to be told that there is room. After taking.
    pub(crate) fn take_blocked(&self) -> bool {
        // SeqCst, pairs with `announce_blocked`.
        fence(Ordering::SeqCst);
        self.blocked.load(Ordering::Relaxed) && self.blocked.swap(false, Ordering::AcqRel)
    }
}

/// The queue at a port.
#[derive(Debug)]
pub(crate) struct End {
    /// Of a queue that somebody else makes: it is attached when it is there.
    name: Option<String>,
    queue: OnceLock<Arc<PortQueue>>,
    interest: Interest,
    /// Both ends are blocks of this scheduler.
    pub(crate) local: Option<Arc<Local>>,
    /// Of somebody else's queue, the only sender, or the only receiver.
    pub(crate) only: bool,
    armed: AtomicBool,
}

impl End {
    pub(crate) fn new(queue: Arc<PortQueue>, interest: Interest, local: Option<Arc<Local>>) -> Self {
        let armed = AtomicBool::new(false);
        Self { name: None, queue: OnceLock::from(queue), interest, local, only: false, armed }
    }

    /// That of queue `name`, which need not exist yet; `only`: it ends with the block, which is the only one at this side of it.
    pub(crate) fn named(name: &str, interest: Interest, only: bool) -> Self {
        let name = Some(name.to_owned());
        let armed = AtomicBool::new(false);
        Self { name, queue: OnceLock::new(), interest, local: None, only, armed }
    }

    /// The queue; `None`: nobody has made it yet.
    pub(crate) fn queue(&self, shm: &ShmManager) -> Result<Option<&Arc<PortQueue>>> {
        if self.queue.get().is_none()
            && let Some(queue) = shm.find_queue(self.name.as_deref().unwrap_or_default())?
        {
            // Of two who find it, both find the same end.
            let _ = self.queue.set(queue);
        }
        Ok(self.queue.get())
    }

    /// The queue, as far as it is known.
    pub(crate) fn known(&self) -> Option<&Arc<PortQueue>> {
        self.queue.get()
    }

    /// Name of the queue.
    pub(crate) fn name(&self) -> &str {
        self.queue.get().map_or(self.name.as_deref().unwrap_or_default(), |queue| queue.name())
    }

    /// Announces that a block sleeps until there is something, or room; `false`: there is, it must not sleep. Only by whoever runs the block.
    pub(crate) fn arm(&self) -> bool {
        let Some(queue) = self.queue.get() else { return true };
        if let Some(local) = &self.local {
            if self.interest == Interest::Space {
                local.announce_blocked();
            }
            return !queue.is_ready(self.interest);
        }
        let sleeps = if self.armed.load(Ordering::Relaxed) {
            queue.is_unrung(self.interest) || !queue.rearm(self.interest)
        } else {
            queue.arm(self.interest)
        };
        // Release: whoever sees it armed sees the bit raised.
        self.armed.store(sleeps, Ordering::Release);
        sleeps
    }

    /// Ends what [`End::arm`] began, if it did: what has been told to us meanwhile is told to somebody else.
    pub(crate) fn disarm(&self) {
        if self.armed.load(Ordering::Relaxed) {
            self.armed.store(false, Ordering::Relaxed);
            if let Some(queue) = self.queue.get() {
                queue.disarm(self.interest);
            }
        }
    }

    /// Whether a block sleeps at it, for somebody outside to notify.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Relaxed)
    }

    /// Whether a block sleeps at it, and somebody has notified for it since.
    pub(crate) fn is_rung(&self) -> bool {
        self.armed.load(Ordering::Acquire)
            && self.queue.get().is_some_and(|queue| !queue.is_unrung(self.interest))
    }

    /// The block at it has ended. A queue that ends with it, or with the last block of a link of this scheduler, is closed: behind its last
    /// producer, and before what its last consumer has left; `true`: that was it, so the queue is to be destroyed.
    pub(crate) fn leave(&self, shm: &ShmManager) -> bool {
        self.disarm();
        // A block that ends before its first work has not looked for its queue. One that cannot be found has no end.
        let queue = if self.only { self.queue(shm).ok().flatten() } else { self.queue.get() };
        let Some(queue) = queue else { return false };
        let is_input = self.interest == Interest::Data;
        let Some(local) = &self.local else {
            if self.only {
                queue.close();
            }
            return self.only && is_input;
        };
        let open = if is_input { &local.open_consumers } else { &local.open_producers };
        // AcqRel: what every other block sent is sent before the last one closes.
        let was_last = open.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last {
            queue.close();
        }
        was_last && is_input
    }
}
