//! Hot operations: no arguments, no results, everything in the command block.

use crate::block::{BATCH_MAX, BYTES, Block, COUNT, KIND, MANAGER, QUEUE, REPORTS, STATUS, Status};
use crate::session::{Isolate, Parts, Scratch, Session};
use millrace::{Buffer, ErrorKind, PortQueue, SendOutcome, TakeOutcome};
use napi_derive::napi;

/// Runs an operation on the session that the block names and leaves its status there.
#[inline]
fn operate(f: impl FnOnce(&mut Block<'_>, &mut Scratch, &mut Session) -> millrace::Result<Status>) {
    Isolate::with(|isolate| {
        let Some(Parts { mut block, scratch, sessions, error }) = isolate.parts() else { return };
        let session = sessions.get_mut(block.get(MANAGER) as usize).and_then(Option::as_mut);
        let status = match session.map(|session| f(&mut block, scratch, session)) {
            None => Status::ManagerClosed,
            Some(Ok(status)) => status,
            Some(Err(e)) => match e.kind() {
                ErrorKind::NotHeld => Status::NotHeld,
                ErrorKind::TooLarge => Status::TooLarge,
                _ => {
                    *error = Some(e);
                    Status::Error
                }
            },
        };
        block.set(STATUS, status as u32);
    });
}

/// Runs an operation on the queue that the block names.
#[inline]
fn on_queue(f: impl FnOnce(&mut Block<'_>, &mut Scratch, &PortQueue) -> millrace::Result<Status>) {
    operate(|block, scratch, session| match session.end(block.get(QUEUE))? {
        Some(queue) => f(block, scratch, queue),
        None => {
            block.set(COUNT, 0);
            Ok(Status::NotFound)
        }
    });
}

/// Allocates COUNT buffers of BYTES bytes.
#[napi(catch_unwind)]
pub fn allocate() {
    operate(|block, scratch, session| {
        let (wanted, bytes) = (block.count(), block.get(BYTES) as usize);
        block.set(COUNT, 0);
        let ids = &mut scratch.ids[..wanted];
        let got = session.allocator.allocate_ids(bytes, ids)?;
        for (index, id) in ids[..got].iter().enumerate() {
            block.describe(index, Buffer { id: *id, received: false }, 0);
        }
        block.set(COUNT, got as u32);
        Ok(if got > 0 { Status::Ok } else { Status::Exhausted })
    });
}

/// Moves COUNT buffers into QUEUE.
#[napi(catch_unwind)]
pub fn send() {
    on_queue(|block, scratch, queue| {
        let count = block.count();
        let buffers = &mut scratch.buffers[..count];
        for (index, buffer) in buffers.iter_mut().enumerate() {
            *buffer = block.buffer(index);
        }
        let (accepted, outcome) = queue.send(buffers);
        block.set(COUNT, accepted as u32);
        Ok(match outcome? {
            SendOutcome::Done => Status::Ok,
            SendOutcome::Full => Status::Full,
            SendOutcome::Closed => Status::Closed,
            SendOutcome::Destroyed => Status::Destroyed,
        })
    });
}

/// Takes up to COUNT messages from QUEUE.
#[napi(catch_unwind)]
pub fn receive() {
    on_queue(|block, scratch, queue| {
        let received = &mut scratch.received[..block.count()];
        block.set(COUNT, 0);
        let (count, outcome) = queue.receive(received)?;
        for (index, message) in received[..count].iter().enumerate() {
            block.describe(index, message.buffer, message.gap);
        }
        block.set(COUNT, count as u32);
        Ok(match outcome {
            TakeOutcome::Done => Status::Ok,
            TakeOutcome::Empty => Status::Empty,
            TakeOutcome::Closed => Status::Closed,
            TakeOutcome::Destroyed => Status::Destroyed,
        })
    });
}

/// Gives COUNT references back.
#[napi(catch_unwind)]
pub fn release() {
    operate(|block, _, session| {
        let (done, result) = {
            let buffers = (0..block.count()).map(|index| block.buffer(index));
            session.allocator.release_all(buffers)
        };
        block.set(COUNT, done as u32);
        result.map(|()| Status::Ok)
    });
}

/// Adds a reference to each of COUNT buffers.
#[napi(catch_unwind)]
pub fn share() {
    operate(|block, _, session| {
        for index in 0..block.count() {
            let shared = session.allocator.share(block.buffer(index))?;
            block.describe(index, shared, 0);
        }
        Ok(Status::Ok)
    });
}

/// Refers to the next message of QUEUE and leaves it there.
#[napi(catch_unwind)]
pub fn peek() {
    on_queue(|block, _, queue| {
        let front = queue.peek()?;
        block.set(COUNT, front.is_some().into());
        Ok(match front {
            Some(buffer) => {
                block.describe(0, buffer, 0);
                Status::Ok
            }
            None if queue.is_destroyed() => Status::Destroyed,
            None if queue.is_closed() => Status::Closed,
            None => Status::Empty,
        })
    });
}

/// Starts to wait for KIND at QUEUE.
#[napi(catch_unwind)]
pub fn arm() {
    operate(|block, _, session| {
        let sleeps = session.arm(block.get(QUEUE), block.get(KIND))?;
        Ok(if sleeps { Status::Armed } else { Status::Ok })
    });
}

/// Ends a wait for KIND at QUEUE.
#[napi(catch_unwind)]
pub fn disarm() {
    operate(|block, _, session| {
        session.disarm(block.get(QUEUE), block.get(KIND));
        Ok(Status::Ok)
    });
}

/// After a ring: which waits may be over.
#[napi(catch_unwind)]
pub fn ready() {
    operate(|block, _, session| {
        block.set(COUNT, 0);
        block.set(REPORTS, u32::from(session.manager.recoveries() != session.reports_seen));
        let ready = session.ready(BATCH_MAX)?;
        for (index, (queue, kind)) in ready.iter().enumerate() {
            block.describe(index, Buffer { id: *queue, received: false }, *kind);
        }
        block.set(COUNT, ready.len() as u32);
        Ok(Status::Ok)
    });
}
