//! What a block sees while it works.

use crate::port::{Input, Output};
use crate::stamp::Carried;
use crate::work::Work;
use millrace::{Buffer, Message, Received, Result, SharedBufferAllocator, ShmManager};
use std::ops::Deref;
use std::time::Duration;

/// Inputs and outputs of a block, during one call.
#[derive(Debug)]
pub struct Io<'a> {
    pub(crate) inputs: &'a mut [Input],
    pub(crate) outputs: &'a mut [Output],
    pub(crate) shm: &'a ShmManager,
    pub(crate) allocator: &'a SharedBufferAllocator,
    /// What new messages get of those that are taken.
    pub(crate) carried: &'a mut Carried,
    pub(crate) now: Duration,
    /// How often the block has failed with the messages that are next.
    pub(crate) tries: u32,
    /// Messages of each input that may still be taken in this call.
    pub(crate) budget: usize,
}

/// A message that a block has taken. It is let go of after the work, unless it is forwarded.
#[derive(Clone, Copy, Debug)]
pub struct InputMessage<'a> {
    message: Message<'a>,
    input: usize,
    at: usize,
    attempt: u32,
    is_redelivered: bool,
}

impl<'a> Deref for InputMessage<'a> {
    type Target = Message<'a>;

    fn deref(&self) -> &Message<'a> {
        &self.message
    }
}

impl InputMessage<'_> {
    /// The how many-th time it is presented, from 1: deliveries by its queue, and retries of the block.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether it, or what it was made of on its way, has been delivered before: to somebody who gave it back, or died, and may have done
    /// with it what was to be done; or the block has failed with it.
    pub fn is_redelivered(&self) -> bool {
        self.is_redelivered || self.attempt > 1
    }
}

/// A new message, which goes back to the pool unless it is sent.
#[derive(Debug)]
pub struct NewMessage<'a> {
    message: Message<'a>,
    buffer: Buffer,
    allocator: &'a SharedBufferAllocator,
}

impl<'a> Deref for NewMessage<'a> {
    type Target = Message<'a>;

    fn deref(&self) -> &Message<'a> {
        &self.message
    }
}

impl NewMessage<'_> {
    /// The bytes in use, for writing.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let used = self.message.len();
        // SAFETY: it has just been allocated and nobody has been told of it; the slice borrows this object, which holds it.
        let all = unsafe { self.message.bytes_mut() };
        &mut all[..used]
    }
}

impl Drop for NewMessage<'_> {
    fn drop(&mut self) {
        // Held until now; fails only when the domain has been left, and then it is released.
        let _ = self.allocator.release(self.buffer);
    }
}

impl<'a> Io<'a> {
    /// Time since the start of the scheduler.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Messages that this call should send, or take, at most: more keep other blocks waiting.
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// Messages of input `input` that can be taken.
    ///
    /// # Panics
    /// When there is no such input, as in all that name one.
    pub fn available(&self, input: usize) -> usize {
        let input = &self.inputs[input];
        input.len().min(self.budget.saturating_sub(input.taken()))
    }

    /// Whether nothing more comes from input `input`, beyond what is [available](Io::available).
    pub fn is_closed(&self, input: usize) -> bool {
        self.inputs[input].is_closed()
    }

    /// Takes the next message of input `input`; `None`: there is no other now.
    ///
    /// # Errors
    /// `NotHeld` when somebody has damaged the domain.
    pub fn next(&mut self, input: usize) -> Result<Option<InputMessage<'a>>> {
        if self.inputs[input].taken() >= self.budget {
            return Ok(None);
        }
        let source = &mut self.inputs[input];
        let Some(Received { buffer, attempt, .. }) = source.get(0).copied() else { return Ok(None) };
        let tries = if source.taken() == 0 { self.tries } else { 0 };
        let message = self.allocator.message(buffer)?;
        let stamp = message.origin();
        let is_redelivered = attempt > 1 || message.is_redelivered();
        self.carried.take(stamp, is_redelivered);
        let attempt = attempt.saturating_add(tries);
        Ok(source.take(stamp).map(|at| InputMessage { message, input, at, attempt, is_redelivered }))
    }

    /// Looks at the message of input `input` that is behind `at` others, without taking it.
    ///
    /// # Errors
    /// As [`Io::next`].
    pub fn peek(&self, input: usize, at: usize) -> Result<Option<Message<'a>>> {
        let Some(received) = self.inputs[input].get(at) else { return Ok(None) };
        let message = self.allocator.message(received.buffer)?;
        if received.attempt > 1 {
            message.set_redelivered();
        }
        Ok(Some(message))
    }

    /// Whether the next message of input `input` may be changed by who takes it: nobody else has its buffer, and no queue delivers it again.
    /// After that, the work must not fail: what it took would come again, changed.
    pub fn owns_next(&self, input: usize) -> bool {
        self.inputs[input].get(0).is_some_and(|next| {
            next.lease.is_none() && self.allocator.message(next.buffer).is_ok_and(|message| message.is_only())
        })
    }

    /// Messages that output `output` has room for. What is sent beyond waits, and the block with it.
    ///
    /// # Errors
    /// When the queue there is damaged.
    pub fn room(&self, output: usize) -> Result<usize> {
        let output = &self.outputs[output];
        let room = output.room(self.shm)?.saturating_sub(output.pending());
        output.was_full.set(output.was_full.get() || room == 0);
        Ok(room)
    }

    /// Whether nobody takes anything of output `output` any more: what is sent there is let go of, and counted as undelivered.
    pub fn is_output_closed(&self, output: usize) -> bool {
        self.outputs[output].is_closed()
    }

    /// A new message with room for `bytes` bytes; `None`: there is no memory now (see [`Work::NeedMemory`]).
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn allocate(&self, bytes: usize) -> Result<Option<NewMessage<'a>>> {
        let mut ids = [0];
        if self.allocator.allocate_ids(bytes, &mut ids)? == 0 {
            return Ok(None);
        }
        self.adopt(ids[0]).map(Some)
    }

    /// Sends `count` new messages of `bytes` bytes at output `output`, each of which `fill` fills; returns how many there was memory for.
    /// Cheaper than as many calls of [`Io::allocate`].
    ///
    /// # Errors
    /// `TooLarge`; what `fill` returns.
    pub fn emit(
        &mut self,
        output: usize,
        bytes: usize,
        count: usize,
        mut fill: impl FnMut(usize, &Message<'a>) -> Result<()>,
    ) -> Result<usize> {
        let mut carried = *self.carried;
        let sent = self.emit_described(output, bytes, count, |at, message| {
            fill(at, message)?;
            carried.stamp(message);
            Ok(())
        });
        *self.carried = carried;
        sent
    }

    /// The same for messages that `fill` describes as others, which are taken afterwards.
    pub(crate) fn emit_described(
        &mut self,
        output: usize,
        bytes: usize,
        count: usize,
        mut fill: impl FnMut(usize, &Message<'a>) -> Result<()>,
    ) -> Result<usize> {
        let mut ids = [0; crate::port::BATCH];
        let mut sent = 0;
        while sent < count {
            let wanted = (count - sent).min(ids.len());
            let got = self.allocator.allocate_ids(bytes, &mut ids[..wanted])?;
            for id in &ids[..got] {
                // Pending first: whatever fails, it is released with the rest.
                let buffer = Buffer { id: *id, received: false };
                self.outputs[output].send(buffer);
            }
            for id in &ids[..got] {
                let message = self.allocator.message(Buffer { id: *id, received: false })?;
                fill(sent, &message)?;
                sent += 1;
            }
            if got < wanted {
                break;
            }
        }
        Ok(sent)
    }

    /// The work of a source that still has `left` messages to send: as [`Io::emit`], with as many of them as there is room and budget for.
    /// Returns how many those were, and what work returns.
    ///
    /// # Errors
    /// As [`Io::emit`].
    pub fn emit_some(
        &mut self,
        output: usize,
        bytes: usize,
        left: u64,
        fill: impl FnMut(usize, &Message<'a>) -> Result<()>,
    ) -> Result<(u64, Work)> {
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let wanted = self.budget.min(self.room(output)?).min(left);
        let sent = self.emit(output, bytes, wanted, fill)?;
        let work = match sent {
            _ if sent == left => Work::Done,
            _ if sent < wanted => Work::NeedMemory { bytes },
            _ => Work::Ok,
        };
        Ok((sent as u64, work))
    }

    /// Sends `message` at output `output`, when the work has succeeded.
    pub fn send(&mut self, output: usize, message: NewMessage<'a>) {
        let message = std::mem::ManuallyDrop::new(message);
        self.carried.stamp(&message);
        self.outputs[output].send(message.buffer);
    }

    /// Sends a message that was taken on, at output `output`: the buffer itself, not a copy. It may be sent at several outputs; then nobody
    /// should write to it.
    pub fn forward(&mut self, output: usize, message: InputMessage<'a>) {
        // It has its own stamp.
        self.carried.send();
        if message.is_redelivered {
            message.message.set_redelivered();
        }
        self.outputs[output].forward(message.input, message.at);
    }

    /// Sends the message of input `input` that is behind `at` others, and leaves it there: it may be sent again, or taken later. `false`: there
    /// is none.
    pub fn forward_kept(&mut self, output: usize, input: usize, at: usize) -> bool {
        // Damaged, it cannot be sent either, which is told then.
        let exists = !matches!(self.peek(input, at), Ok(None));
        if exists {
            self.outputs[output].forward_kept(input, self.inputs[input].taken() + at);
        }
        exists
    }

    fn adopt(&self, id: u32) -> Result<NewMessage<'a>> {
        let buffer = Buffer { id, received: false };
        let message = self.allocator.message(buffer)?;
        Ok(NewMessage { message, buffer, allocator: self.allocator })
    }
}
