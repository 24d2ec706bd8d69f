//! Receiving.

use super::options::Delivery;
use super::port_queue::{Interest, PortQueue, Received, TakeOutcome};
use super::replace::Onward;
use crate::buffer::Buffer;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{RING_CLOSED, RING_DESTROYED, RING_OPEN, RING_REPLACED};
use crate::pool::Freed;
use crate::registry::Pin;
use crate::sync::{Ordering, fence};

impl PortQueue {
    /// Takes up to `out.len()` (at most 256) messages and returns how many.
    ///
    /// # Errors
    /// `Role`; `NoSpace` or `Io` when the message's segment cannot be attached, `Limit` when this participant cannot hold another
    /// reference to the message's buffer (it stays in the queue either way); `Corrupt` when a slot named no buffer (it is skipped).
    /// Messages taken before an error are returned without it; the next call meets it again.
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// let queue = shm.port_queue("receive", &QueueOptions::default())?;
    /// queue.put([&b"one"[..], b"two", b"three"].into_iter()).1?;
    /// let mut out = [Received::default(); 2];
    /// let (count, outcome) = queue.receive(&mut out)?;
    /// assert_eq!((count, outcome), (2, TakeOutcome::Done));
    /// shm.allocator().release_all(out[..count].iter().map(|message| message.buffer)).1?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn receive(&self, out: &mut [Received]) -> Result<(usize, TakeOutcome)> {
        self.receive_after(None, out)
    }

    /// The same after giving `done` back, a reference without a lease: half of what the two cost apart, for loops.
    ///
    /// # Errors
    /// `NotHeld` when this participant has no such reference, and nothing is taken; as [`PortQueue::receive`] otherwise, and `done` has
    /// been given back.
    pub fn receive_after(
        &self,
        mut done: Option<Buffer>,
        out: &mut [Received],
    ) -> Result<(usize, TakeOutcome)> {
        loop {
            let (count, outcome) = self.receive_once(done.take(), out)?;
            if outcome == TakeOutcome::Empty {
                return self.receive_on(out);
            }
            let kept = if self.drops_dead_letters() { self.dead_letter(&mut out[..count]) } else { count };
            // All that came were dead letters, each message once: there may be others behind it.
            if kept > 0 || count == 0 {
                if self.drops_dead_letters() {
                    self.deliver(&mut out[..kept])?;
                }
                self.count_redelivered(&out[..kept]);
                return Ok((kept, outcome));
            }
        }
    }

    /// Looks where another ring may have taken the place of this one, which has nothing.
    #[cold]
    fn receive_on(&self, out: &mut [Received]) -> Result<(usize, TakeOutcome)> {
        match self.onward()? {
            Onward::Here => Ok((0, TakeOutcome::Empty)),
            Onward::At(queue) => queue.receive(out),
            Onward::Destroyed => Ok((0, TakeOutcome::Destroyed)),
        }
    }

    /// Whether what was taken is not yet what is received.
    #[inline]
    fn drops_dead_letters(&self) -> bool {
        self.options.max_deliveries > 0
    }

    /// What is told and counted of messages that are received, once it is known which those are.
    #[cold]
    fn deliver(&self, out: &mut [Received]) -> Result<()> {
        let count = out.len();
        if let Some(first) = out.first_mut() {
            // One that has left has given the messages back.
            let pin = self.participant.pin()?;
            pin.count_received(count);
            first.gap = self.tell_gap(pin)?;
        }
        Ok(())
    }

    /// As `take_gap`, of the ring that counts now.
    fn tell_gap(&self, pin: Pin<'_>) -> Result<u32> {
        if !self.has_been_replaced() {
            return Ok(self.take_gap());
        }
        drop(pin);
        self.instead().map_or(Ok(0), |queue| queue.tell_gap(queue.participant.pin()?))
    }

    /// Statistics of what a receiver got.
    fn count_redelivered(&self, delivered: &[Received]) {
        if self.options.delivery == Delivery::AtLeastOnce {
            let again = delivered.iter().filter(|received| received.attempt > 1).count();
            if again > 0 {
                self.count(|header| &header.redelivered, again as u64);
            }
        }
    }

    fn receive_once(&self, done: Option<Buffer>, out: &mut [Received]) -> Result<(usize, TakeOutcome)> {
        let mut freed = false;
        let before = || {
            if let Some(done) = done {
                let mut last = Freed::default();
                self.participant.release_data(done, 1, &mut last)?;
                freed = last.flush();
            }
            Ok(())
        };
        let taken = self.take_with(before, |pin| match self.options.delivery {
            Delivery::AtMostOnce => self.take(out, pin),
            Delivery::AtLeastOnce => self.lease(out),
        });
        if freed {
            self.participant.wake_pool();
        }
        let (count, gap, outcome) = taken?;
        if count > 0 {
            out[0].gap = gap;
        }
        Ok((count, outcome))
    }

    /// Takes messages of an at-most-once queue, copies them to `out`, one after the other, and frees them; returns how many, and the
    /// messages dropped before them. At most `lengths.len()` and 256; each one's bytes are left in `lengths`.
    ///
    /// Nobody holds a message that is copied out, so no ledger is written: this is the fastest way for small ones. A message that is
    /// longer than what is left of `out` stays in the queue: `TooLarge` if it is the first.
    ///
    /// # Errors
    /// As [`PortQueue::receive`]; `TooLarge`; `InvalidArgument` on an at-least-once queue, whose messages are to be acknowledged.
    pub fn get(&self, out: &mut [u8], lengths: &mut [u32]) -> Result<(usize, u32, TakeOutcome)> {
        if self.options.delivery == Delivery::AtLeastOnce {
            let what = format!("queue {:?} is at-least-once: receive from it and acknowledge", self.name);
            return Err(Error::invalid_argument(what));
        }
        let mut freed = false;
        let (count, gap, outcome) = self.take_with(
            || Ok(()),
            |pin| {
                let (count, any, result) = self.take_copies(out, lengths, pin);
                freed = any;
                (count, result)
            },
        )?;
        if freed {
            self.participant.wake_pool();
        }
        if outcome == TakeOutcome::Empty {
            return self.get_on(out, lengths);
        }
        Ok((count, gap, outcome))
    }

    #[cold]
    fn get_on(&self, out: &mut [u8], lengths: &mut [u32]) -> Result<(usize, u32, TakeOutcome)> {
        match self.onward()? {
            Onward::Here => Ok((0, 0, TakeOutcome::Empty)),
            Onward::At(queue) if queue.options.delivery == Delivery::AtLeastOnce => {
                let what = format!("queue {:?} has become at-least-once: receive from it", self.name);
                Err(Error::new(ErrorKind::TooLarge, what))
            }
            Onward::At(queue) => queue.get(out, lengths),
            Onward::Destroyed => Ok((0, 0, TakeOutcome::Destroyed)),
        }
    }

    /// Runs `before`, then `take` with everything that belongs around it; returns how many messages it took, and how many were dropped
    /// before.
    #[inline(always)]
    fn take_with(
        &self,
        before: impl FnOnce() -> Result<()>,
        take: impl FnOnce(&Pin<'_>) -> (usize, Result<()>),
    ) -> Result<(usize, u32, TakeOutcome)> {
        let pin = self.participant.pin()?;
        before()?;
        let state = self.state();
        if state != RING_OPEN {
            match state {
                // SYNC CLOSE: the state was read first, the ring comes after. Pairs with the fence in `send`.
                RING_CLOSED => fence(Ordering::SeqCst),
                RING_REPLACED => return Ok((0, 0, TakeOutcome::Empty)),
                RING_DESTROYED => return Ok((0, 0, TakeOutcome::Destroyed)),
                // Damage.
                _ => {}
            }
        }
        self.take_role(Interest::Data)?;
        let (count, result) = take(&pin);
        let ended = count == 0 && state == RING_CLOSED && self.is_drained();
        let mut gap = 0;
        // Else some of what was taken may be a dead letter: see `deliver`.
        if !self.drops_dead_letters() {
            gap = if count > 0 { self.take_gap() } else { 0 };
            pin.count_received(count);
        }
        drop(pin);
        if count > 0 {
            self.wake(&self.header().space_waiters, count);
            return Ok((count, gap, TakeOutcome::Done));
        }
        result.map(|()| (0, 0, if ended { TakeOutcome::Closed } else { TakeOutcome::Empty }))
    }

    /// Messages that were dropped and no receiver has been told of: told with the first message that is received. The caller has pinned.
    #[inline]
    fn take_gap(&self) -> u32 {
        let gap = &self.header().gap;
        if gap.load(Ordering::Relaxed) == 0 { 0 } else { gap.swap(0, Ordering::Relaxed) }
    }
}
