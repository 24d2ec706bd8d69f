//! Putting: bytes are copied into buffers and sent in one operation.

use super::options::{Delivery, Overflow};
use super::port_queue::{PortQueue, PutOutcome, SendOutcome};
use super::replace::Onward;
use super::send::{MessageSource, Sent};
use crate::buffer::{Buffer, class_range, not_held};
use crate::error::Result;
use crate::layout::{CELLS_MAX, cell_capacity, cell_units, split_id};
use crate::limits::{BATCH_MAX, CELL_UNIT_BYTES, PACK_MIN, PACKED_BYTES_MAX};
use crate::registry::Participant;
use crate::sync::Ordering;

impl PortQueue {
    /// Copies the first `n` of `messages` (at most 256 are looked at) into the queue and returns `n`. Each gets a buffer of its own, but
    /// 16 small ones or more that follow each other share one, a pack, which is free when all of them have been released.
    ///
    /// A message that is copied in has no other holder on its way, so no ledger is written: this is the fastest way for small ones.
    ///
    /// # Errors
    /// `Role`, `TooLarge`.
    ///
    /// ```
    /// # use millrace::*;
    /// # let shm = ShmManager::open(&format!("doc-{}", std::process::id()), &OpenOptions::default())?;
    /// let queue = shm.port_queue("put", &QueueOptions::default())?;
    /// let (count, outcome) = queue.put([&b"one"[..], b"two"].into_iter());
    /// assert_eq!((count, outcome?), (2, PutOutcome::Done));
    /// let (mut bytes, mut lengths) = ([0; 100], [0; 10]);
    /// let (count, dropped, _) = queue.get(&mut bytes, &mut lengths)?;
    /// assert_eq!((count, dropped, &lengths[..2], &bytes[..6]), (2, 0, &[3, 3][..], &b"onetwo"[..]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn put<'m>(&self, messages: impl Iterator<Item = &'m [u8]> + Clone) -> (usize, Result<PutOutcome>) {
        let (done, outcome) = self.put_here(messages.clone());
        match outcome {
            Ok(PutOutcome::Refused(SendOutcome::Full)) => self.put_on(messages, done),
            outcome => (done, outcome),
        }
    }

    /// Goes on with what is left of a batch for which this ring has no room, if there is another, or can be.
    #[cold]
    fn put_on<'m>(
        &self,
        mut messages: impl Iterator<Item = &'m [u8]> + Clone,
        done: usize,
    ) -> (usize, Result<PutOutcome>) {
        match self.after_full() {
            Ok(Onward::At(queue)) => {
                messages.by_ref().take(done).for_each(drop);
                let (more, outcome) = queue.put(messages);
                (done + more, outcome)
            }
            Ok(Onward::Here) => (done, Ok(PutOutcome::Refused(SendOutcome::Full))),
            Ok(Onward::Destroyed) => (done, Ok(PutOutcome::Refused(SendOutcome::Destroyed))),
            Err(e) => (done, Err(e)),
        }
    }

    /// The same at this ring.
    #[inline(always)]
    fn put_here<'m>(&self, messages: impl Iterator<Item = &'m [u8]> + Clone) -> (usize, Result<PutOutcome>) {
        // One message needs one id: clearing room for a batch would cost as much as the rest.
        let (mut one, mut many);
        let ids: &mut [u32] = if messages.clone().nth(1).is_none() {
            one = [0];
            &mut one
        } else {
            many = [0; BATCH_MAX];
            &mut many
        };
        let mut rest = messages.take(BATCH_MAX);
        let mut done = 0;
        let mut may_pack = self.options.delivery == Delivery::AtMostOnce && ids.len() > 1;
        while rest.clone().next().is_some() {
            let pack = if may_pack { self.pack_of(rest.clone()) } else { None };
            let put = match pack {
                Some(pack) => self.put_pack(rest.clone(), pack),
                None => self.put_run(rest.clone(), ids),
            };
            let (tried, sent) = match put {
                Ok(Some(put)) => put,
                // There is no room for a pack: there may be for what would be in it.
                Ok(None) if pack.is_some() => {
                    may_pack = false;
                    continue;
                }
                Ok(None) => return (done, Ok(PutOutcome::Exhausted)),
                Err(e) => return (done, Err(e)),
            };
            self.wake_after(&sent);
            if sent.accepted < tried {
                // What was claimed in vain is free again: somebody may have looked for a buffer meanwhile.
                self.participant.wake_pool();
            }
            done += sent.accepted;
            match sent.result {
                Ok(SendOutcome::Done) => rest.by_ref().take(tried).for_each(drop),
                Ok(outcome) => return (done, Ok(PutOutcome::Refused(outcome))),
                Err(e) => return (done, Err(e)),
            }
        }
        (done, Ok(PutOutcome::Done))
    }

    /// Puts a run of messages of one size class into buffers of their own; returns how many it tried. `None`: exhausted.
    fn put_run<'m>(
        &self,
        messages: impl Iterator<Item = &'m [u8]> + Clone,
        ids: &mut [u32],
    ) -> Result<Option<(usize, Sent)>> {
        let (count, bytes) = run_of(messages.clone());
        let count = if count > 1 { self.room(count) } else { count };
        self.allocator.with_claimed(bytes, &mut ids[..count], |ids, pin| {
            let mut copies =
                NewMessages { participant: &self.participant, ids, messages: messages.clone(), loaded: 0 };
            let sent = self.publish(ids.len(), &mut copies, pin);
            copies.free_from(sent.accepted + sent.returned);
            Ok((ids.len(), sent))
        })
    }

    /// Puts the first messages into one buffer; returns how many it tried. `None`: exhausted.
    fn put_pack<'m>(
        &self,
        messages: impl Iterator<Item = &'m [u8]> + Clone,
        Pack { count, units }: Pack,
    ) -> Result<Option<(usize, Sent)>> {
        self.allocator.with_claimed(units * CELL_UNIT_BYTES, &mut [0], |ids, pin| {
            let (segment, index) = split_id(ids[0]);
            let pool = self
                .participant
                .pool(segment)?
                .ok_or_else(|| not_held(Buffer { id: ids[0], received: false }))?;
            // All references at once. Killed before the last message is in the queue: too many, which a recount repairs.
            pool.prepare(index, (units * CELL_UNIT_BYTES) as u32, count as u32);
            // Written before the first is published: each publishing instruction waits until all that was written before has arrived
            // in our cache, one after the other; what is written in one go arrives together.
            let mut written = [0; BATCH_MAX];
            let mut unit = 0;
            for (into, message) in written[..count].iter_mut().zip(messages.clone()) {
                let units = cell_units(message.len());
                *into = pool.write_cell(ids[0], 1 + unit, cell_capacity(units), message);
                unit += units;
            }
            let mut messages = PackedMessages { ids: &written[..count], given: 0 };
            let sent = self.publish(count, &mut messages, pin);
            let spare = count - messages.given;
            if spare > 0 {
                self.participant.unref(pool, index, spare as u32);
            }
            Ok((count, sent))
        })
    }

    /// How many of the first `messages` share a pack; `None`: too few.
    fn pack_of<'m>(&self, messages: impl Iterator<Item = &'m [u8]>) -> Option<Pack> {
        let mut pack = Pack { count: 0, units: 0 };
        for message in messages.take(self.room(BATCH_MAX)) {
            let units = pack.units + cell_units(message.len());
            if message.len() > PACKED_BYTES_MAX || units > CELLS_MAX {
                break;
            }
            pack = Pack { count: pack.count + 1, units };
        }
        (pack.count >= PACK_MIN).then_some(pack)
    }

    /// How many of `wanted` messages a batch may bring now, at least one. An estimate: it spares the work on messages that will not be
    /// taken.
    fn room(&self, wanted: usize) -> usize {
        if !matches!(self.options.overflow, Overflow::Block | Overflow::Reject) {
            return wanted;
        }
        let (tail, capacity) = (self.ring().tail(), self.options.most());
        let room = |head: u64| capacity.saturating_sub(tail.saturating_sub(head)).max(1) as usize;
        // The head is the receivers' cache line: what it was once is enough as long as it leaves room.
        if room(self.head_seen.load(Ordering::Relaxed)) < wanted {
            self.head_seen.store(self.ring().head(), Ordering::Relaxed);
        }
        room(self.head_seen.load(Ordering::Relaxed)).min(wanted)
    }
}

/// Bytes that are copied into buffers claimed for them, which nobody holds: killed before it is published, a copy is freed by recount.
struct NewMessages<'a, M> {
    participant: &'a Participant,
    ids: &'a [u32],
    messages: M,
    /// Buffers of `ids` that have been prepared.
    loaded: usize,
}

impl<M> NewMessages<'_, M> {
    /// Gives back the buffers that the queue did not take.
    fn free_from(&self, accepted: usize) {
        for (at, id) in self.ids.iter().enumerate().skip(accepted) {
            let (segment, index) = split_id(*id);
            match self.participant.pool(segment) {
                // Counted: whoever peeked at the buffer's last life may count it, too, for a moment.
                Ok(Some(pool)) if at < self.loaded => drop(self.participant.unref(pool, index, 1)),
                Ok(Some(pool)) => pool.free(index / 64, 1 << (index % 64)),
                _ => {}
            }
        }
    }

    fn free(&self, at: usize) {
        let (segment, index) = split_id(self.ids[at]);
        if let Ok(Some(pool)) = self.participant.pool(segment) {
            self.participant.unref(pool, index, 1);
        }
    }
}

impl<'m, M: Iterator<Item = &'m [u8]>> MessageSource for NewMessages<'_, M> {
    #[inline]
    fn load(&mut self, at: usize) -> Result<u32> {
        let id = self.ids[at];
        let (segment, index) = split_id(id);
        if let (Some(pool), Some(message)) = (self.participant.pool(segment)?, self.messages.next()) {
            pool.prepare(index, message.len() as u32, 1);
            if let Some(content) = pool.content(id) {
                content.fill(message);
            }
        }
        self.loaded = at + 1;
        Ok(id)
    }

    fn sent(&mut self, _at: usize) {}

    fn dropped(&mut self, at: usize) -> Result<()> {
        self.free(at);
        Ok(())
    }

    fn returned(&mut self, at: usize, recycle: impl FnOnce()) {
        // Slot first: a slot that names a dead taker may become a message again, so its buffer must not be free by then.
        recycle();
        self.free(at);
    }
}

/// Messages in cells of one buffer, which nobody holds and which has a reference for each of them.
struct PackedMessages<'a> {
    ids: &'a [u32],
    /// References that are the queue's.
    given: usize,
}

impl MessageSource for PackedMessages<'_> {
    #[inline]
    fn load(&mut self, at: usize) -> Result<u32> {
        Ok(self.ids[at])
    }

    #[inline]
    fn sent(&mut self, _at: usize) {
        self.given += 1;
    }

    fn dropped(&mut self, _at: usize) -> Result<()> {
        Ok(())
    }

    fn returned(&mut self, _at: usize, recycle: impl FnOnce()) {
        // Slot first: a slot that names a dead taker may become a message again, so its reference must be there until then.
        recycle();
        self.given -= 1;
    }
}

/// What goes into a pack: so many messages, which take so many units.
#[derive(Clone, Copy)]
struct Pack {
    count: usize,
    units: usize,
}

/// How many of the first `messages` fit one size class, and the bytes that suffice for each.
fn run_of<'m>(messages: impl Iterator<Item = &'m [u8]>) -> (usize, usize) {
    let (mut count, mut bytes, mut room) = (0, 0, 0..=0);
    for message in messages {
        if count == 0 {
            room = class_range(message.len());
        } else if !room.contains(&message.len()) {
            break;
        }
        bytes = bytes.max(message.len());
        count += 1;
    }
    (count, bytes)
}
