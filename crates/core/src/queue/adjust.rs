//! Changing a queue while it is in use: its capacity, by request or with its load, and options that nobody has asked for yet.

use super::QueueCache;
use super::options::{CODEC, QueueOptions, RESIZED, ROOM};
use super::port_queue::PortQueue;
use super::replace::clock_seconds;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{RING_CLOSED, RING_DESTROYED};
use crate::limits::{
    ADJUST_TRIES_MAX, CHANGE_PATIENCE_NS, GROW_AGAIN_NS, MAX_QUEUE_CAPACITY, QUIET_SECONDS, REST_PATIENCE_NS,
};
use crate::sync::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

impl PortQueue {
    /// Makes the queue hold `capacity` messages, 1 to 1 Mi, rounded up to a power of two; of a queue with a limit, that is what becomes
    /// `capacity`, exactly. Messages keep their order, and none is lost: what there are too many of stays, and nothing more is taken until
    /// there is room. For everybody who has the queue open, who need not know of it; and whoever opens it with another capacity from now on
    /// gets it as it is.
    ///
    /// All participants of the domain are kept out of their operations while the messages that are there are moved: some microseconds for
    /// thousands of them.
    ///
    /// # Errors
    /// `InvalidArgument`; `Closed`, `Destroyed`; `Timeout` when a participant stays inside an operation (stopped, or without processor time);
    /// `Exhausted`, `NoSpace`.
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// let queue = shm.port_queue("resize", &QueueOptions { capacity: Some(2), ..QueueOptions::default() })?;
    /// let messages = [&b"one"[..], b"two", b"three", b"four"];
    /// assert_eq!(queue.put(messages.into_iter()).0, 2);
    /// queue.resize(8)?;
    /// assert_eq!(queue.put(messages[2..].iter().copied()).0, 2);
    /// assert_eq!(queue.len(), 4);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn resize(&self, capacity: u32) -> Result<()> {
        if capacity == 0 || capacity as usize > MAX_QUEUE_CAPACITY {
            let message = format!("queue {:?}: capacity is {capacity}, must be 1 to 1048576", self.name);
            return Err(Error::invalid_argument(message));
        }
        if !self.domain().entry(self.listed).is_replaceable() {
            let message = format!("{:?} is no queue whose capacity can be changed", self.name);
            return Err(Error::invalid_argument(message));
        }
        let mut next;
        let mut queue = self;
        // Each round somebody else was faster.
        for _ in 0..ADJUST_TRIES_MAX {
            if let Some(instead) = queue.instead() {
                next = instead;
                queue = &next;
            }
            if queue.state() == RING_CLOSED {
                return Err(Error::new(ErrorKind::Closed, format!("queue {:?} has been closed", self.name)));
            }
            let named = queue.header().named.load(Ordering::Relaxed);
            let wanted = queue.options_meant().resized(capacity, named);
            if queue.replace(&wanted, named | RESIZED, CHANGE_PATIENCE_NS)? {
                return Ok(());
            }
            if queue.is_destroyed() {
                return Err(Error::new(
                    ErrorKind::Destroyed,
                    format!("queue {:?} has been destroyed", self.name),
                ));
            }
        }
        Err(self.is_damaged())
    }

    fn is_damaged(&self) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            format!("queue {:?} cannot be changed: its entry is damaged", self.name),
        )
    }

    /// Makes a queue that has no room larger, if its capacity follows its load; `false`: it stays as it is.
    #[cold]
    #[inline(never)]
    pub(super) fn grow(&self) -> bool {
        self.grow_to(self.options.capacities.1)
    }

    /// The same for a queue of which nobody has said how much it holds.
    pub(super) fn grow_unless_asked(&self) -> bool {
        if let Some(queue) = self.instead() {
            return queue.grow_unless_asked();
        }
        let asked = self.header().named.load(Ordering::Relaxed) & (ROOM | RESIZED);
        asked == 0 && self.grow_to(MAX_QUEUE_CAPACITY as u32)
    }

    fn grow_to(&self, most: u32) -> bool {
        let now = self.options.most() as u32;
        // One that has been replaced has its successor to grow.
        if now >= most || !self.is_open() {
            return false;
        }
        let mut tried = self.grown.lock().unwrap_or_else(PoisonError::into_inner);
        if tried.is_some_and(|at: Instant| at.elapsed() < Duration::from_nanos(GROW_AGAIN_NS)) {
            return false;
        }
        *tried = Some(Instant::now());
        self.follow(now.saturating_mul(2).min(most))
    }

    /// Makes a queue smaller that has been quiet, if its capacity follows its load.
    fn shrink_if_quiet(&self) {
        let (header, now, (least, _)) = (self.header(), self.options.most() as u32, self.options.capacities);
        let (looked, seconds) = (header.looked.load(Ordering::Relaxed), clock_seconds());
        if least == 0 || now <= least || !self.is_open() || seconds.wrapping_sub(looked) < QUIET_SECONDS {
            return;
        }
        // One of those who have it open looks.
        if header.looked.compare_exchange(looked, seconds, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let peak = header.peak.swap(0, Ordering::Relaxed).max(u32::try_from(self.len()).unwrap_or(u32::MAX));
        if peak <= now / 4 {
            self.follow((now / 2).max(least));
        }
    }

    /// Where that is not possible now, it is some other time.
    fn follow(&self, capacity: u32) -> bool {
        let named = self.header().named.load(Ordering::Relaxed);
        self.domain().entry(self.listed).is_replaceable()
            && self.replace(&self.options_meant().resized(capacity, named), named, REST_PATIENCE_NS).is_ok()
    }

    /// Whether the codec may still become what somebody asks for: nobody has, and nothing has been sent.
    pub fn is_codec_open(&self) -> bool {
        if let Some(queue) = self.instead() {
            return queue.is_codec_open();
        }
        self.header().named.load(Ordering::Relaxed) & CODEC == 0 && self.ring().published() == 0
    }

    /// This queue, for somebody who asks for `options`: those that nobody has asked for before become what is asked for.
    pub(super) fn agree(self: Arc<Self>, noun: &str, options: &QueueOptions) -> Result<Arc<Self>> {
        let known = self.header().named.load(Ordering::Relaxed);
        if !options.would_change(noun, &self, known)? && options.named() & !known == 0 {
            return Ok(self);
        }
        let _lock = self.participant.lock_names(&self.name)?;
        let mut queue = self;
        for _ in 0..ADJUST_TRIES_MAX {
            if let Some(instead) = queue.instead() {
                queue = instead;
            }
            let header = queue.header();
            let known = header.named.load(Ordering::Relaxed);
            if !options.would_change(noun, &queue, known)? {
                // Inside: whoever replaces the ring sees it, or we see that it has been replaced.
                let pin = queue.participant.pin()?;
                header.named.fetch_or(options.named(), Ordering::Relaxed);
                let is_it = !queue.has_been_replaced();
                drop(pin);
                if is_it {
                    return Ok(queue);
                }
                continue;
            }
            let wanted = options.or_named(&queue.options_meant(), known).resolve(&queue.name)?;
            let done = queue.replace(&wanted, known | options.named(), CHANGE_PATIENCE_NS)?;
            if !done && queue.state() == RING_DESTROYED {
                // Nothing is left of it.
                return Ok(queue);
            }
        }
        Err(queue.is_damaged())
    }
}

impl QueueOptions {
    /// Whether the queue has to change for these. An error if somebody has asked for something else.
    fn would_change(&self, noun: &str, queue: &PortQueue, named: u32) -> Result<bool> {
        let (name, is) = (&queue.name, &queue.options_meant());
        // What has been sent without a codec is bytes.
        let are_bytes = self.codec.as_ref().is_none_or(|codec| codec == "bytes" || *codec == is.codec);
        let sent = if are_bytes || queue.ring().published() == 0 { 0 } else { CODEC };
        let room = if named & RESIZED == 0 { 0 } else { ROOM };
        let fixed = (named | sent) & !room;
        self.check_those(fixed, noun, name, is).map_err(|error| queue.differs(error))?;
        Ok(self.check_those(!(named | sent | room), noun, name, is).is_err())
    }
}

impl QueueCache {
    /// Looks after queues whose capacity follows their load.
    pub(crate) fn shrink_quiet(&self) {
        for queue in self.open_ends() {
            queue.shrink_if_quiet();
        }
    }
}
