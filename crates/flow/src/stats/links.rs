//! What is counted of a link.

use super::LinkReport;
use crate::link::End;
use crate::stamp;
use millrace::{Interest, PortQueue, SharedBufferAllocator};
use std::time::Duration;

/// The link that `end` is one end of; `None`: an end of it that is not the one to report it.
pub(crate) fn link(end: &End, allocator: &SharedBufferAllocator) -> Option<LinkReport> {
    let is_input = end.interest == Interest::Data;
    let (from, to) = match &end.local {
        Some(_) if !is_input => return None,
        Some(local) => {
            (local.from.iter().map(|port| port.label.clone()).collect(), Some(end.port.label.clone()))
        }
        None if is_input => (Vec::new(), Some(end.port.label.clone())),
        None => (vec![end.port.label.clone()], None),
    };
    let mut report = LinkReport { from, to, queue: end.name(), ..LinkReport::default() };
    if let Some(queue) = end.known() {
        let stats = queue.last_stats();
        report.capacity = if stats.limit > 0 { stats.limit } else { stats.capacity };
        report.depth = stats.depth;
        report.high_water = stats.high_water;
        report.sent = stats.sent;
        report.dropped = stats.dropped;
        report.oldest = oldest(&queue, allocator);
        [report.send_waits, report.receive_waits] = match &end.local {
            // Blocks of one scheduler do not wait by the queue.
            Some(local) => [local.sleeps(Interest::Space), local.sleeps(Interest::Data)],
            None => [stats.send_waits, stats.receive_waits],
        };
    }
    Some(report)
}

/// The age of the next message of a queue.
fn oldest(queue: &PortQueue, allocator: &SharedBufferAllocator) -> Option<Duration> {
    // Whatever keeps us from looking, the other counts are worth telling.
    let next = queue.peek().ok().flatten()?;
    let stamp = allocator.message(next).map_or(0, |message| message.origin());
    let _ = allocator.release(next);
    (stamp != 0).then(|| Duration::from_nanos(stamp::age(stamp, millrace::clock_ns())))
}
