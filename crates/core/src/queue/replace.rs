//! Replacing the ring of a queue by one with other options, while the queue is in use.
//!
//! It is done while the world is stopped, as a recovery is: nobody is inside an operation, so every message is in exactly one place, and
//! the rings need no protocol of their own for it. The steps, each of which leaves a state that others can go on from:
//!
//! 1. A ring is allocated and, with the world stopped, filled in: the messages, leases and counts of the one it is to replace, each message at
//!    its position, each lease in its entry. Killed here: a dead participant alone holds it, so recount frees it.
//! 2. The old ring becomes REPLACED: from here on nothing in it counts. Killed here: recovery does the next step.
//! 3. The name table names the new ring, and lets go of the old one.
//! 4. Whoever waits at the old ring is woken, and the world goes on. Killed here: a recovery wakes everybody.
//!
//! An end of the old ring passes on what is asked of it, for as long as there is one: see [`PortQueue::instead`].

use super::ResolvedOptions;
use super::lifecycle::lay_out;
use super::options::{CODEC, NARROWED};
use super::port_queue::PortQueue;
use super::view::RingView;
use crate::buffer::Buffer;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::{
    CLOSES_BEGUN, CLOSES_LATER, ParticipantSet, RING_CLOSED, RING_OPEN, RING_REPLACED, RingHeader,
    ring_bytes, split_id,
};
use crate::os::clock_ms;
use crate::registry::{World, at_rest_within};
use crate::sync::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

/// What came of an attempt to replace a ring, the world being stopped.
enum Attempt {
    Done,
    /// It takes so many slots.
    TooSmall(usize),
    /// The ring is not what it was: it has been destroyed, or others have replaced it.
    Over,
    /// So many participants have a role that one may have.
    Taken(&'static str, usize),
}

/// Where an operation goes on that has met the end of what a ring can do.
pub(super) enum Onward {
    /// Nowhere: this is the ring of the queue.
    Here,
    /// At the ring that has taken its place.
    At(Arc<PortQueue>),
    /// The queue has been destroyed.
    Destroyed,
}

impl PortQueue {
    /// Whether another ring has taken the place of this end's. It goes on to do all that it is asked for, at the cost of a detour; see
    /// [`PortQueue::instead`].
    #[inline]
    pub fn has_been_replaced(&self) -> bool {
        self.state() == RING_REPLACED
    }

    /// The end of the ring that has taken the place of this one's, if one has: better to use from then on. `None` also when the queue has
    /// been destroyed since, or when there is no memory or descriptor to attach it.
    #[inline]
    pub fn instead(&self) -> Option<Arc<Self>> {
        if self.has_been_replaced() { self.find_successor() } else { None }
    }

    #[cold]
    #[inline(never)]
    fn find_successor(&self) -> Option<Arc<Self>> {
        self.successor().ok().flatten()
    }

    /// The same for an operation that found nothing to do here.
    #[cold]
    #[inline(never)]
    pub(super) fn onward(&self) -> Result<Onward> {
        if !self.has_been_replaced() {
            return Ok(Onward::Here);
        }
        Ok(self.successor()?.map_or(Onward::Destroyed, Onward::At))
    }

    /// The end of the ring that the queue has now; `None`: it has been destroyed. The caller has not pinned.
    #[inline(never)]
    pub(super) fn successor(&self) -> Result<Option<Arc<Self>>> {
        // Outlives the lock: if it is the last of its end, letting go of it takes other locks.
        let _before;
        let mut known = self.successor.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = known.as_ref().filter(|queue| !queue.has_been_replaced()) {
            return Ok(Some(Arc::clone(queue)));
        }
        _before = known.take();
        while let Some(listed) = self.participant.domain.current(self.listed) {
            // Inside whatever may be: also who is about to leave finds what is its own.
            if let Some(queue) = self.cache.open_inside(listed, self.participant.enter())? {
                *known = Some(Arc::clone(&queue));
                return Ok(Some(queue));
            }
        }
        Ok(None)
    }

    /// Adds to a count of the ring that counts now, after an operation.
    #[cold]
    pub(super) fn count(&self, which: fn(&RingHeader) -> &AtomicU64, more: u64) {
        let Ok(pin) = self.participant.pin() else { return };
        if !self.has_been_replaced() {
            which(self.header()).fetch_add(more, Ordering::Relaxed);
            return;
        }
        drop(pin);
        if let Some(queue) = self.find_successor() {
            queue.count(which, more);
        }
    }

    /// Puts a ring with `options`, of which those in `named` have been asked for, in the place of this one. `false`: it is not the ring of
    /// its queue any more. It may come to have more slots than `options` say, for the messages that are there, and takes no more messages for
    /// that.
    ///
    /// # Errors
    /// `Timeout` when the world could not be stopped for it within `patience_ns`; `Exhausted`, `NoSpace`; `OptionsMismatch` when there is to be
    /// one producer (or consumer) and there are several.
    pub(super) fn replace(&self, options: &ResolvedOptions, named: u32, patience_ns: u64) -> Result<bool> {
        let (messages, leases) = self.in_use();
        let mut slots = messages.max(leases);
        loop {
            let (options, named) = options.with_slots(slots, named);
            let bytes = ring_bytes(options.capacity as usize, options.leases());
            let mut ids = [0];
            if self.allocator.allocate_ids(bytes, &mut ids)? == 0 {
                return Err(self.allocator.exhausted(bytes));
            }
            let buffer = Buffer { id: ids[0], received: false };
            let attempt = self.replace_by(buffer, &options, named, patience_ns);
            fault::hit(Point::ReplaceResumed);
            // Held by the name table now, or by nobody.
            self.participant.let_go(buffer)?;
            match attempt? {
                Attempt::Done => return Ok(true),
                Attempt::Over => return Ok(false),
                // As many as this ring has suffice.
                Attempt::TooSmall(needed) => slots = needed,
                Attempt::Taken(what, count) => {
                    let message =
                        format!("queue {:?} is to have one {what}, and {count} participants are", self.name);
                    return Err(self.differs(Error::new(ErrorKind::OptionsMismatch, message)));
                }
            }
        }
    }

    fn replace_by(
        &self,
        buffer: Buffer,
        options: &ResolvedOptions,
        named: u32,
        patience_ns: u64,
    ) -> Result<Attempt> {
        let participant = &self.participant;
        let ring = lay_out(participant, buffer, options)?;
        // As much as can be done while the others go on.
        let taken = self.ring().taken();
        ring.ring().begin_at(taken);
        // Nobody takes it for one with leases who looks at everything meanwhile.
        ring.header().settled.count.store(taken, Ordering::Relaxed);
        let domain = &participant.domain;
        match at_rest_within(domain, patience_ns, || self.hand_over(&ring, buffer.id, options, named))? {
            World::Stopped(attempt) => Ok(attempt),
            World::Moving(hindrance) => {
                let why = hindrance.describe(domain);
                let message = format!("queue {:?} cannot be changed now: {why}", self.name);
                Err(Error::new(ErrorKind::Timeout, message))
            }
        }
    }

    /// Steps 1 to 3. The world is stopped.
    fn hand_over(&self, to: &RingView, id: u32, options: &ResolvedOptions, named: u32) -> Attempt {
        let (domain, from) = (&self.participant.domain, self.header());
        let state = self.state();
        if !domain.is_current(self.listed) || !matches!(state, RING_OPEN | RING_CLOSED) {
            return Attempt::Over;
        }
        let newly_named = named & !from.named.load(Ordering::Relaxed);
        if newly_named & CODEC != 0 && options.codec != "bytes" && self.ring().published() > 0 {
            // Somebody has sent since the caller looked.
            return Attempt::Over;
        }
        let (messages, leases) = self.in_use();
        let needed = messages.max(leases);
        if needed > to.slots().len() {
            return Attempt::TooSmall(needed);
        }
        for (limit, token, set, what) in [
            (options.producers, &from.producer, &from.sending, "producer"),
            (options.consumers, &from.consumer, &from.receiving, "consumer"),
        ] {
            if limit == 1 && token.load(Ordering::Relaxed) == 0 && set.count() > 1 {
                return Attempt::Taken(what, set.count());
            }
        }
        to.header().state.store(state, Ordering::Relaxed);
        let taken = to.ring().fill_from(&self.ring());
        to.leases().fill_from(&self.leases(), leases);
        let settled = if self.leases().is_any() { self.leases().settled() } else { taken };
        to.header().settled.count.store(settled, Ordering::Relaxed);
        take_over(to.header(), from, options);
        // Somebody may have asked for what is so already since the caller looked.
        let meanwhile = from.named.load(Ordering::Relaxed) & !NARROWED;
        to.header().named.store(named | meanwhile, Ordering::Relaxed);
        fault::hit(Point::ReplaceFilled);
        let (segment, index) = split_id(id);
        let Some(pool) = self.participant.held_pool(segment) else { return Attempt::Over };
        pool.try_ref(index); // the name table's reference; ours keeps the buffer from being freed
        from.successor.store(id, Ordering::Relaxed);
        // SYNC PIN: whoever enters after this sees all of it. Seq-cst as every change of the state.
        from.state.store(RING_REPLACED, Ordering::SeqCst);
        fault::hit(Point::ReplaceMarked);
        domain.relist(self.listed, id);
        // Release: whoever sees it raised sees what was replaced.
        domain.registry().remaps.fetch_add(1, Ordering::Release);
        fault::hit(Point::ReplaceListed);
        // The name table's reference to the old one, in here: a recovery after this counts who holds it, which would drop it once more.
        self.forget(self.listed.ring);
        fault::hit(Point::ReplaceUnreffed);
        // Now, lest they sleep for as long as we are stopped afterwards. They go on when the world does.
        self.wake_all();
        Attempt::Done
    }

    /// Slots for the messages, and entries for the leases, that a ring needs to have those that are in this one. Exact at rest.
    fn in_use(&self) -> (usize, usize) {
        let (ready, published) = (self.ring().depth(), self.ring().published());
        (ready as usize, self.leases().used(published, ready))
    }
}

/// Seconds of the machine's clock, modulo 2^32.
pub(super) fn clock_seconds() -> u32 {
    (clock_ms() / 1000) as u32
}

impl ParticipantSet {
    fn first(&self) -> Option<usize> {
        let words = self.words.iter().map(|word| word.load(Ordering::Relaxed)).enumerate();
        words.filter(|(_, bits)| *bits != 0).map(|(at, bits)| at * 64 + bits.trailing_zeros() as usize).next()
    }
}

/// The counts and roles of a ring that is replaced. Relaxed: nobody else is inside.
fn take_over(to: &RingHeader, from: &RingHeader, options: &ResolvedOptions) {
    let halves = [
        (&to.gap, &from.gap),
        (&to.high_water, &from.high_water),
        (&to.given_back, &from.given_back),
        (&to.retaken, &from.retaken),
    ];
    for (to, from) in halves {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    let sets =
        [(&to.sending, &from.sending), (&to.receiving, &from.receiving), (&to.attached, &from.attached)];
    let words = sets.iter().flat_map(|(to, from)| to.words.iter().zip(&from.words));
    let counts = [
        (&*to.dropped, &*from.dropped),
        (&to.redelivered, &from.redelivered),
        (&to.dead_lettered, &from.dead_lettered),
        (&to.missed, &from.missed),
        (&to.data_waiters.waits, &from.data_waiters.waits),
        (&to.space_waiters.waits, &from.space_waiters.waits),
    ];
    for (to, from) in counts.into_iter().chain(words) {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    for (limit, to, from, set) in [
        (options.producers, &to.producer, &from.producer, &from.sending),
        (options.consumers, &to.consumer, &from.consumer, &from.receiving),
    ] {
        let token = from.load(Ordering::Relaxed);
        let the_one = set.first().map_or(0, |slot| slot as u32 + 1);
        to.store(if limit == 1 && token == 0 { the_one } else { token }, Ordering::Relaxed);
    }
    if options.close_with_producers {
        let begun = if from.sending.is_empty() { CLOSES_LATER } else { CLOSES_BEGUN };
        to.closes.store(from.closes.load(Ordering::Relaxed).max(begun), Ordering::Relaxed);
    }
    to.looked.store(clock_seconds(), Ordering::Relaxed);
}
