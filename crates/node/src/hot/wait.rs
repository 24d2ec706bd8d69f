//! Hot operations on waits.

use super::Outcome;
use crate::block::{BATCH_MAX, BYTES, Block, COUNT, KIND, NEWS, QUEUE, Status};
use crate::isolate::Scratch;
use crate::session::Session;

/// Starts to wait for KIND at QUEUE.
pub(super) fn arm(block: &mut Block<'_>, _: &mut Scratch, session: &mut Session) -> Outcome {
    let Session { manager, handles, waits, .. } = session;
    let wait = (block.get(QUEUE), block.get(KIND), block.get(BYTES) as usize);
    Ok(if waits.arm(manager, handles, wait)? { Status::Armed } else { Status::Ok })
}

/// Ends a wait for KIND at QUEUE.
pub(super) fn disarm(block: &mut Block<'_>, _: &mut Scratch, session: &mut Session) -> Outcome {
    session.waits.disarm(&session.manager, block.get(QUEUE), block.get(KIND));
    Ok(Status::Ok)
}

/// After a wake: which waits may be over.
pub(super) fn ready(block: &mut Block<'_>, _: &mut Scratch, session: &mut Session) -> Outcome {
    block.set(COUNT, 0);
    block.set(NEWS, session.news());
    let Session { manager, handles, waits, .. } = session;
    let count = waits.ready(manager, handles, block, BATCH_MAX);
    block.set(COUNT, count as u32);
    Ok(Status::Ok)
}
