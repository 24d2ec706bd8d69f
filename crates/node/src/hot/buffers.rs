//! Hot operations on buffers.

use super::Outcome;
use crate::block::{BYTES, Block, COUNT, Status};
use crate::isolate::Scratch;
use crate::session::Session;
use millrace::Settle;

/// Allocates COUNT buffers of BYTES bytes.
pub(super) fn allocate(block: &mut Block<'_>, scratch: &mut Scratch, session: &mut Session) -> Outcome {
    let (wanted, bytes) = (block.take_count(), block.get(BYTES) as usize);
    let ids = &mut scratch.ids[..wanted];
    let got = session.allocator.allocate_ids(bytes, ids)?;
    for (index, id) in ids[..got].iter().enumerate() {
        block.describe(index, *id, 0, 0, 1);
    }
    block.set(COUNT, got as u32);
    Ok(if got > 0 { Status::Ok } else { Status::Exhausted })
}

/// Gives COUNT references back. Leased ones are acknowledged.
pub(super) fn release(block: &mut Block<'_>, _: &mut Scratch, session: &mut Session) -> Outcome {
    let count = block.take_count();
    for index in (0..count).filter(|index| block.is_leased(*index)) {
        session.leases.acknowledge(block.lease(index), block.buffer(index).id);
    }
    let (done, result) = session.allocator.release_all((0..count).map(|index| block.buffer(index)));
    block.set(COUNT, done as u32);
    result?;
    Ok(Status::Ok)
}

/// Gives COUNT leased messages back to their queues, to be delivered again. A message of a destroyed queue is just released.
pub(super) fn nack(block: &mut Block<'_>, _: &mut Scratch, session: &mut Session) -> Outcome {
    for index in 0..block.take_count() {
        let buffer = block.buffer(index);
        let Some((queue, lease)) = session.leases.take(block.lease(index)) else {
            return Ok(Status::NotHeld);
        };
        if queue.nack(lease, buffer.id).is_err() {
            session.allocator.release(buffer)?;
        }
    }
    Ok(Status::Ok)
}

/// Adds a reference to each of COUNT buffers.
pub(super) fn share(block: &mut Block<'_>, _: &mut Scratch, session: &mut Session) -> Outcome {
    for index in 0..block.take_count() {
        let shared = session.allocator.share(block.buffer(index))?;
        block.describe(index, shared.id, 0, 0, 1);
    }
    Ok(Status::Ok)
}
