//! Hot operations on queues.

use super::{Outcome, send_named};
use crate::block::{Block, COUNT, QUEUE, RECEIVED, Status};
use crate::isolate::Scratch;
use crate::session::Session;
use millrace::{Buffer, Delivery, PutOutcome, SendOutcome, TakeOutcome};

impl From<SendOutcome> for Status {
    fn from(outcome: SendOutcome) -> Self {
        match outcome {
            SendOutcome::Done => Self::Ok,
            SendOutcome::Full => Self::Full,
            SendOutcome::Closed => Self::Closed,
            SendOutcome::Destroyed => Self::Destroyed,
        }
    }
}

impl From<TakeOutcome> for Status {
    fn from(outcome: TakeOutcome) -> Self {
        match outcome {
            TakeOutcome::Done => Self::Ok,
            TakeOutcome::Empty => Self::Empty,
            TakeOutcome::Closed => Self::Closed,
            TakeOutcome::Destroyed => Self::Destroyed,
        }
    }
}

/// Moves COUNT buffers into QUEUE.
pub(super) fn send(block: &mut Block<'_>, scratch: &mut Scratch, session: &mut Session) -> Outcome {
    let Session { manager, allocator, handles, leases, .. } = session;
    let count = block.take_count();
    let queue = handles.queue_to_send(manager, block.get(QUEUE))?;
    let held = (&*allocator, leases);
    let outcome = send_named(block, &mut scratch.buffers, held, count, |buffers| queue.send(buffers))?;
    Ok(outcome?.into())
}

/// Copies COUNT messages from the stage into QUEUE.
pub(super) fn put(block: &mut Block<'_>, _: &mut Scratch, session: &mut Session) -> Outcome {
    let count = block.take_count();
    let queue = session.handles.queue_to_send(&session.manager, block.get(QUEUE))?;
    let (accepted, outcome) = queue.put(block.staged(count));
    block.set(COUNT, accepted as u32);
    Ok(match outcome? {
        PutOutcome::Done => Status::Ok,
        PutOutcome::Refused(outcome) => outcome.into(),
        PutOutcome::Exhausted => Status::Exhausted,
    })
}

/// Takes up to COUNT messages from QUEUE.
pub(super) fn receive(block: &mut Block<'_>, scratch: &mut Scratch, session: &mut Session) -> Outcome {
    let wanted = block.take_count();
    take(block, scratch, session, None, wanted)
}

/// Gives the reference in descriptor 0 back, then takes one message from QUEUE.
pub(super) fn next(block: &mut Block<'_>, scratch: &mut Scratch, session: &mut Session) -> Outcome {
    let done = block.buffer(0);
    block.set(COUNT, 0);
    take(block, scratch, session, Some(done), 1)
}

fn take(
    block: &mut Block<'_>,
    scratch: &mut Scratch,
    session: &mut Session,
    done: Option<Buffer>,
    wanted: usize,
) -> Outcome {
    let Session { manager, allocator, handles, leases, .. } = session;
    let queue = match handles.queue(manager, block.get(QUEUE)) {
        Ok(queue) => queue,
        Err(failure) => {
            allocator.release_all(done.into_iter()).1?;
            return Err(failure);
        }
    };
    let received = &mut scratch.received[..wanted];
    let (count, outcome) = queue.receive_after(done, received)?;
    for (index, message) in received[..count].iter().enumerate() {
        let lease = message.lease.map_or(RECEIVED, |lease| leases.keep(queue, lease));
        block.describe(index, message.buffer.id, message.gap, lease, message.attempt);
    }
    block.set(COUNT, count as u32);
    Ok(outcome.into())
}

/// Takes up to COUNT messages from QUEUE and leaves copies on the stage. TooLarge: the next one does not fit there, or it is to be
/// acknowledged; receive it.
pub(super) fn get(block: &mut Block<'_>, _: &mut Scratch, session: &mut Session) -> Outcome {
    let wanted = block.take_count();
    let queue = session.handles.queue(&session.manager, block.get(QUEUE))?;
    if queue.options().delivery == Delivery::AtLeastOnce {
        return Ok(Status::TooLarge);
    }
    let (stage, lengths) = block.stage(wanted);
    let (count, _, outcome) = queue.get(stage, lengths)?;
    block.set(COUNT, count as u32);
    Ok(outcome.into())
}

/// Refers to the next message of QUEUE and leaves it there.
pub(super) fn peek(block: &mut Block<'_>, _: &mut Scratch, session: &mut Session) -> Outcome {
    block.set(COUNT, 0);
    let queue = session.handles.queue(&session.manager, block.get(QUEUE))?;
    Ok(match queue.peek()? {
        Some(buffer) => {
            block.describe(0, buffer.id, 0, 0, 1);
            block.set(COUNT, 1);
            Status::Ok
        }
        None if queue.is_destroyed() => Status::Destroyed,
        None if queue.is_closed() => Status::Closed,
        None => Status::Empty,
    })
}
