//! One end of a queue: how a block at it waits, and whom it wakes.
//!
//! Blocks of one scheduler tell each other by the state of their tasks: that costs one exchange, and no system call. Whatever lies
//! beyond, another scheduler or a program, tells by the queue itself: a task that goes to sleep *arms* the end, which raises the
//! participant's bit in the queue, and whoever sends or receives there takes the bit and notifies the participant.

use millrace::{Interest, PortQueue, QueueOptions, Result, ShmManager};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};

/// Number of a block in its scheduler.
pub(crate) type TaskId = usize;

/// A port of a block of this scheduler.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) block: TaskId,
    /// `block.port`.
    pub(crate) label: String,
}

/// The blocks of this scheduler at both ends of a link that it has made.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) from: Vec<Port>,
    pub(crate) to: Port,
    /// Times that a producer has slept for room, and the consumer for messages.
    sleeps: [AtomicU64; 2],
    /// A producer waits for room.
    blocked: AtomicBool,
    /// Producers that have not ended.
    open_producers: AtomicUsize,
}

impl Local {
    pub(crate) fn new(from: Vec<Port>, to: Port) -> Self {
        let (blocked, open_producers) = (AtomicBool::new(false), AtomicUsize::new(from.len()));
        Self { from, to, sleeps: Default::default(), blocked, open_producers }
    }

    /// Times that somebody has slept here, for messages or for room.
    pub(crate) fn sleeps(&self, interest: Interest) -> u64 {
        self.sleeps[usize::from(interest == Interest::Data)].load(Ordering::Relaxed)
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
    /// Of a queue by name: it is attached when it is there, and made by who receives from it. A sender might have gone, and the domain with
    /// it, before anybody came for what it had sent.
    name: Option<String>,
    /// Changed only by whoever runs the block, as the next one is: others look.
    queue: Shared,
    /// Where a block sleeps, for somebody outside to notify.
    armed: Shared,
    pub(crate) interest: Interest,
    /// The port whose end it is.
    pub(crate) port: Port,
    /// Both ends are blocks of this scheduler.
    pub(crate) local: Option<Arc<Local>>,
    /// Of somebody else's queue, the only sender, or the only receiver.
    pub(crate) only: bool,
}

/// A queue that may not be known yet.
pub(crate) type Known = Option<Arc<PortQueue>>;

/// One that somebody changes while others look.
#[derive(Debug)]
struct Shared(Mutex<Known>);

impl Shared {
    fn new(queue: Known) -> Self {
        Self(Mutex::new(queue))
    }

    fn load(&self) -> Known {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts `queue` in its place, and returns what was there: nobody lets go of a queue under the lock.
    fn swap(&self, queue: Known) -> Known {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), queue)
    }
}

impl End {
    /// That of a link.
    pub(crate) fn new(queue: Arc<PortQueue>, interest: Interest, port: Port, local: Arc<Local>) -> Self {
        let (queue, armed) = (Shared::new(Some(queue)), Shared::new(None));
        Self { name: None, queue, armed, interest, port, local: Some(local), only: false }
    }

    /// That of queue `name`, which need not exist yet; `only`: it ends with the block, which is the only one at this side of it.
    pub(crate) fn named(name: &str, interest: Interest, port: Port, only: bool) -> Self {
        let (queue, armed) = (Shared::new(None), Shared::new(None));
        Self { name: Some(name.to_owned()), queue, armed, interest, port, local: None, only }
    }

    /// The queue, by the ring that it has now; `None`: nobody has made it yet, and a sender does not.
    pub(crate) fn queue(&self, shm: &ShmManager) -> Result<Known> {
        let known = self.queue.load();
        match &known {
            Some(queue) if !queue.has_been_replaced() => Ok(known),
            _ => self.look(shm, known),
        }
    }

    #[cold]
    fn look(&self, shm: &ShmManager, known: Known) -> Result<Known> {
        let name = self.name.as_deref().unwrap_or_default();
        let found = match (&known, self.interest) {
            (Some(queue), _) => queue.instead(),
            // With options that are nobody's wish.
            (None, Interest::Data) => Some(shm.port_queue(name, &QueueOptions::default())?),
            (None, _) => shm.find_queue(name)?,
        };
        if found.is_none() {
            // Of one that has been destroyed the last that is known.
            return Ok(known);
        }
        let _before = self.queue.swap(found.clone());
        Ok(found)
    }

    /// The queue, as far as it is known.
    pub(crate) fn known(&self) -> Known {
        self.queue.load()
    }

    /// Name of the queue.
    pub(crate) fn name(&self) -> String {
        let name = self.known().map(|queue| queue.name().to_owned());
        name.or_else(|| self.name.clone()).unwrap_or_default()
    }

    /// What is at the other side, for people: ports of this scheduler, or the name of the queue.
    pub(crate) fn other_side(&self) -> String {
        match (&self.local, self.interest) {
            (Some(local), Interest::Space) => format!("{:?}", local.to.label),
            (Some(local), _) => {
                local.from.iter().map(|port| format!("{:?}", port.label)).collect::<Vec<_>>().join(" or ")
            }
            (None, _) if self.known().is_none() => {
                format!("queue {:?}, which nobody has created", self.name())
            }
            (None, _) => format!("queue {:?}", self.name()),
        }
    }

    /// Whether it is at somebody else's queue, which nobody has made, or to which nobody has sent.
    pub(crate) fn is_alone(&self) -> bool {
        let is_unused = |queue: Arc<PortQueue>| queue.producers() == 0 && queue.is_empty();
        let is_alone =
            || self.known().is_none_or(|queue| self.interest == Interest::Data && is_unused(queue));
        self.local.is_none() && is_alone()
    }

    /// Announces that a block sleeps until there is something, or room; `false`: there is, it must not sleep. Only by whoever runs the block.
    pub(crate) fn arm(&self) -> bool {
        let Some(queue) = self.known() else { return true };
        if let Some(local) = &self.local {
            if self.interest == Interest::Space {
                local.announce_blocked();
            }
            let sleeps = !queue.is_ready(self.interest);
            local.sleeps[usize::from(self.interest == Interest::Data)]
                .fetch_add(u64::from(sleeps), Ordering::Relaxed);
            return sleeps;
        }
        if let Some(end) = self.armed.load() {
            if end.is_unrung(self.interest) || !end.rearm(self.interest) {
                return true;
            }
            self.armed.swap(None);
            return false;
        }
        let end = queue.arm(self.interest);
        let sleeps = end.is_some();
        self.armed.swap(end);
        sleeps
    }

    /// Ends what [`End::arm`] began, if it did: what has been told to us meanwhile is told to somebody else.
    pub(crate) fn disarm(&self) {
        if let Some(end) = self.armed.swap(None) {
            end.disarm(self.interest);
        }
    }

    /// Whether a block sleeps at it, for somebody outside to notify.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load().is_some()
    }

    /// Whether a block sleeps at it, and somebody has notified for it since.
    pub(crate) fn is_rung(&self) -> bool {
        self.armed.load().is_some_and(|end| !end.is_unrung(self.interest))
    }

    /// The block at it has ended. A queue that ends with it, or with the last block of a link of this scheduler, is closed: behind its last
    /// producer, and before what its last consumer has left; `true`: that was it, so the queue is to be destroyed.
    pub(crate) fn leave(&self, shm: &ShmManager) -> bool {
        self.disarm();
        // A block that ends before its first work has not looked for its queue. One that cannot be found has no end.
        let queue = if self.only { self.queue(shm).ok().flatten() } else { self.known() };
        let Some(queue) = queue else { return false };
        let is_input = self.interest == Interest::Data;
        let Some(local) = &self.local else {
            if self.only {
                queue.close();
            }
            return self.only && is_input;
        };
        // An input has a link to itself. AcqRel: what every other block sent is sent before the last one closes.
        let was_last = is_input || local.open_producers.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last {
            queue.close();
        }
        was_last && is_input
    }
}
