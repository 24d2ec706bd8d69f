//! Queues as tests use them: messages that are known by their sequence numbers.

use super::Isolated;
use millrace::{BufferPtr, Delivery, PortQueue, QueueOptions, ShmManager};
use std::sync::Arc;

pub(crate) fn capacity(capacity: u32) -> QueueOptions {
    QueueOptions { capacity: Some(capacity), ..QueueOptions::default() }
}

pub(crate) fn at_least_once(slots: u32) -> QueueOptions {
    QueueOptions { delivery: Some(Delivery::AtLeastOnce), ..capacity(slots) }
}

pub(crate) fn send(shm: &ShmManager, queue: &PortQueue, sequence: u64) -> bool {
    let mut buffer = shm.allocate(8).unwrap();
    buffer.set_sequence(sequence);
    queue.try_send(buffer).is_ok()
}

pub(crate) fn take(queue: &Arc<PortQueue>) -> Option<BufferPtr> {
    queue.try_receive().unwrap().0
}

pub(crate) fn sequences(queue: &Arc<PortQueue>) -> Vec<u64> {
    std::iter::from_fn(|| take(queue)).map(|message| message.sequence()).collect()
}

pub(crate) fn rings(shm: &ShmManager) -> u64 {
    shm.snapshot().unwrap().pools.iter().map(|pool| pool.rings).sum()
}

pub(crate) fn clean(shm: &ShmManager) {
    let findings = shm.fsck().unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
}
