//! The hot operation on topics.

use super::{Outcome, send_named};
use crate::block::{Block, DELIVERED, DROPPED, QUEUE};
use crate::isolate::Scratch;
use crate::session::Session;

/// Publishes COUNT buffers to the topic QUEUE. Full: everybody has the first that was not accepted but those that `takeBlocked` names.
/// None: a look at whether the topic exists.
pub(super) fn publish(block: &mut Block<'_>, scratch: &mut Scratch, session: &mut Session) -> Outcome {
    let Session { manager, allocator, handles, leases, blocked, .. } = session;
    let count = block.take_count();
    for word in [DELIVERED, DROPPED] {
        block.set(word, 0);
    }
    let topic = match count {
        0 => handles.topic(manager, block.get(QUEUE)),
        _ => handles.topic_to_publish(manager, block.get(QUEUE)),
    }?;
    let held = (&*allocator, leases);
    let published = send_named(block, &mut scratch.buffers, held, count, |buffers| {
        let published = topic.publish(buffers);
        (published.accepted, published)
    })?;
    block.set(DELIVERED, published.delivered as u32);
    block.set(DROPPED, published.dropped as u32);
    *blocked = published.blocked;
    Ok(published.outcome?.into())
}
