//! What a sentinel does about memory, now and then: lets go of what others have taken out, gives back what nobody uses, and looks
//! whether what was refused may be had now.

use super::SharedBufferAllocator;
use super::growth::GrowLock;
use crate::limits::{MAX_SEGMENTS, SHM_RESERVE_PERCENT, TRIM_LOOK_NS};
use crate::os::free_bytes;
use crate::pool::Pool;
use crate::registry::Participant;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A segment as it was when nothing of it was allocated. The same at two looks: nothing has been allocated in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Idle {
    generation: u32,
    allocations: u32,
}

/// What a sentinel remembers of the segments that its participant has mapped.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    looked: Instant,
    idle: [Option<Idle>; MAX_SEGMENTS],
}

impl Default for MemoryWatch {
    fn default() -> Self {
        Self { looked: Instant::now(), idle: [None; MAX_SEGMENTS] }
    }
}

impl MemoryWatch {
    /// Looks. To be called at every wake of the sentinel.
    pub(crate) fn look(&mut self, participant: &Arc<Participant>) {
        let domain = &participant.domain;
        if domain.drop_stale_pools() {
            // Memory has gone back with it.
            participant.wake_pool();
        }
        if self.looked.elapsed() >= Duration::from_nanos(TRIM_LOOK_NS) {
            self.looked = Instant::now();
            self.look_for_idle(participant);
        }
        let waiters = &domain.registry().pool_waiters;
        if participant.hints.was_refused_from_outside() && waiters.is_set(participant.slot) {
            // What it lacked (memory that other programs have, somebody to leave an operation) comes back without a word.
            domain.notify(participant.slot);
        }
    }

    /// Takes out segments that have been empty, and unused, since the last look; where memory is short, all that are empty.
    fn look_for_idle(&mut self, participant: &Arc<Participant>) {
        let is_short = free_bytes().is_some_and(|(free, total)| free < total / 100 * SHM_RESERVE_PERCENT);
        let mut idle = 0_u64;
        let mut now = [None; MAX_SEGMENTS];
        for pool in participant.domain.mapped_pools() {
            now[pool.index] = idle_state(&pool);
            if now[pool.index].is_some() && (is_short || now[pool.index] == self.idle[pool.index]) {
                idle |= 1 << pool.index;
            }
        }
        self.idle = now;
        if idle == 0 {
            return;
        }
        // Somebody else grows or trims, or it fails: the next look is soon enough.
        let allocator = SharedBufferAllocator { participant: Arc::clone(participant) };
        if let Ok(Some(lock)) = GrowLock::try_take(&allocator.participant.domain) {
            let _ = participant.trim(&lock, |pool| {
                idle & 1 << pool.index != 0 && (is_short || idle_state(pool) == now[pool.index])
            });
        }
    }
}

/// `None`: in use.
fn idle_state(pool: &Pool) -> Option<Idle> {
    (pool.used() == 0).then(|| Idle { generation: pool.generation, allocations: pool.allocations() })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{OpenOptions, ShmManager};

    /// As it looks once the period is over.
    fn look(watch: &mut MemoryWatch, shm: &ShmManager) -> u64 {
        watch.looked -= Duration::from_nanos(TRIM_LOOK_NS);
        watch.look(&shm.allocator().participant);
        shm.snapshot().unwrap().used_bytes
    }

    #[test]
    fn what_nobody_has_used_for_a_while_goes() {
        let base = std::env::temp_dir().join(format!("millrace-watch-{}", std::process::id()));
        let options = OpenOptions { directory: Some(base.clone()), ..OpenOptions::default() };
        let shm = ShmManager::open("watch", &options).unwrap();
        let mut watch = MemoryWatch::default();
        let held = shm.allocate(100_000).unwrap();
        drop(shm.allocate(5000).unwrap());
        let both = look(&mut watch, &shm);
        drop(shm.allocate(5000).unwrap());
        assert_eq!(look(&mut watch, &shm), both, "used since the last look");
        let one = look(&mut watch, &shm);
        assert!(one > 0 && one < both, "unused since the last look: {one} of {both} bytes");
        assert_eq!(look(&mut watch, &shm), one, "what is held stays");
        drop(held);
        assert_eq!(look(&mut watch, &shm), one, "empty for the first time");
        assert_eq!(look(&mut watch, &shm), 0);
        drop(shm);
        let _ = std::fs::remove_dir_all(base);
    }
}
