//! What the binding keeps per isolate and per manager. One isolate runs on one thread, so this is thread-local state.

use crate::array_buffer::retire;
use crate::block::{
    BATCH_MAX, Block, KIND_DATA, KIND_POOL, KIND_SPACE, Memory, NEWS_DEPARTURES, NEWS_REPORTS, Status,
};
use crate::ends::{Ends, Leases};
use millrace::{Buffer, Interest, PortQueue, Received, SegmentView, SharedBufferAllocator, ShmManager};
use napi::sys;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One open manager. What is left of the others after the manager has gone does nothing any more.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) manager: ShmManager,
    pub(crate) allocator: SharedBufferAllocator,
    pub(crate) ends: Ends,
    pub(crate) leases: Leases,
    /// Who had no room for the last message that was published.
    pub(crate) blocked: Vec<Arc<PortQueue>>,
    /// What somebody here waits for.
    armed: Vec<Armed>,
    /// Rings seen when the last wait was armed.
    pub(crate) sequence: u32,
    pub(crate) reports_seen: u64,
    /// Recoveries at, and time of, the last look at everything that is armed.
    looked: (u64, Instant),
    pub(crate) stalls_seen: u32,
    departures_seen: u32,
    /// Segments that JavaScript has views of.
    pub(crate) segments: HashMap<usize, SegmentView>,
}

/// A wait under way.
#[derive(Clone, Copy, Debug)]
struct Armed {
    handle: u32,
    kind: u32,
    /// Whether it is armed at the queue; else at the directory, for the queue to appear, or at the pool.
    at_queue: bool,
}

/// How long a ring may go by what the bits say only.
const LOOK_PERIOD: Duration = Duration::from_secs(10);

impl Session {
    pub(crate) fn new(manager: ShmManager) -> Self {
        Self {
            sequence: manager.wake_sequence(),
            reports_seen: manager.recoveries(),
            looked: (manager.recoveries(), Instant::now()),
            // Who stands still already is news to us.
            stalls_seen: manager.stalls().wrapping_sub(1),
            departures_seen: manager.departures(),
            allocator: manager.allocator(),
            manager,
            ends: Ends::default(),
            leases: Leases::default(),
            blocked: Vec::new(),
            armed: Vec::new(),
            segments: HashMap::new(),
        }
    }

    /// Leaves the domain, then ends what JavaScript sees of it. Answers what has views.
    pub(crate) fn leave(mut self) -> HashMap<usize, SegmentView> {
        let segments = std::mem::take(&mut self.segments);
        drop(self);
        retire(segments.values());
        segments
    }

    /// What is new, as the bits of NEWS. Departures are told once.
    pub(crate) fn news(&mut self) -> u32 {
        let (manager, mut news) = (&self.manager, 0);
        if manager.recoveries() != self.reports_seen || manager.stalls() != self.stalls_seen {
            news |= NEWS_REPORTS;
        }
        let departures = manager.departures();
        if std::mem::replace(&mut self.departures_seen, departures) != departures {
            news |= NEWS_DEPARTURES;
        }
        news
    }

    /// Starts to wait (for a buffer of `bytes` bytes, if KIND is the pool's); `false`: no need to.
    pub(crate) fn arm(&mut self, handle: u32, kind: u32, bytes: usize) -> millrace::Result<bool> {
        if self.armed.iter().any(|armed| (armed.handle, armed.kind) == (handle, kind)) {
            return Ok(true);
        }
        self.sequence = self.manager.wake_sequence();
        self.manager.arm_bell();
        let mut at_queue = false;
        let sleeps = if kind == KIND_POOL {
            self.manager.arm_pool(bytes)
        } else {
            if self.ends.get(&self.manager, handle)?.is_err() {
                self.manager.arm_names();
            }
            // It may have appeared between the look and the bit.
            match self.ends.get(&self.manager, handle)? {
                Ok(queue) => {
                    at_queue = true;
                    queue.arm(interest(kind))
                }
                Err(status) => status == Status::NotFound,
            }
        };
        if sleeps {
            self.armed.push(Armed { handle, kind, at_queue });
        }
        Ok(sleeps)
    }

    /// Ends a wait without having consumed.
    pub(crate) fn disarm(&mut self, handle: u32, kind: u32) {
        let Some(at) = self.armed.iter().position(|armed| (armed.handle, armed.kind) == (handle, kind))
        else {
            return;
        };
        let armed = self.armed.swap_remove(at);
        if kind == KIND_POOL {
            self.manager.disarm_pool();
        } else if let Some(queue) = self.ends.resolved(handle).filter(|_| armed.at_queue) {
            queue.disarm(interest(kind));
        }
    }

    /// Ends every wait at `handle`.
    pub(crate) fn disarm_all(&mut self, handle: u32) {
        self.disarm(handle, KIND_DATA);
        self.disarm(handle, KIND_SPACE);
    }

    /// Ends every wait at `handle`, which is about to end itself: whoever waits there finds it ready.
    pub(crate) fn end_waits(&mut self, handle: u32) {
        for armed in self.armed.iter_mut().filter(|armed| armed.handle == handle && armed.at_queue) {
            if let Some(queue) = self.ends.resolved(handle) {
                queue.disarm(interest(armed.kind));
            }
            armed.at_queue = false;
        }
    }

    /// After a ring: what may be ready, at most `limit`, as (queue handle, kind); the rest is armed again.
    pub(crate) fn ready(&mut self, limit: usize) -> millrace::Result<Vec<(u32, u32)>> {
        self.sequence = self.manager.wake_sequence();
        self.manager.arm_bell();
        self.ends.drop_destroyed();
        // A ring may have been lost: with a death, or for a reason nobody has thought of.
        let (recoveries, now) = (self.manager.recoveries(), Instant::now());
        let all = recoveries != self.looked.0 || now - self.looked.1 > LOOK_PERIOD;
        let mut ready = Vec::new();
        let mut at = 0;
        while at < self.armed.len() && ready.len() < limit {
            let armed = self.armed[at];
            if (all || self.is_rung(armed)) && self.is_ready(armed)? {
                self.armed.swap_remove(at);
                ready.push((armed.handle, armed.kind));
            } else {
                at += 1;
            }
        }
        if all && at == self.armed.len() {
            self.looked = (recoveries, now);
        }
        Ok(ready)
    }

    /// Whether a ring may have been for `armed`. With a thousand queues armed this is what a ring costs for each of the others.
    fn is_rung(&self, armed: Armed) -> bool {
        let queue = self.ends.resolved(armed.handle).filter(|_| armed.at_queue && armed.kind != KIND_POOL);
        queue.is_none_or(|queue| !queue.is_unrung(interest(armed.kind)))
    }

    fn is_ready(&mut self, armed: Armed) -> millrace::Result<bool> {
        if armed.kind == KIND_POOL {
            // One bit stands for all sizes: an allocation tells.
            return Ok(true);
        }
        if armed.at_queue {
            let queue = self.ends.resolved(armed.handle);
            return Ok(queue.is_none_or(|queue| queue.rearm(interest(armed.kind))));
        }
        self.manager.arm_names();
        // Armed for its creation only: whoever waited looks at the queue itself now.
        Ok(self.ends.get(&self.manager, armed.handle)?.err() != Some(Status::NotFound))
    }
}

fn interest(kind: u32) -> Interest {
    if kind == KIND_SPACE { Interest::Space } else { Interest::Data }
}

/// Room for one batch, kept so that no call has to clear it.
pub(crate) struct Scratch {
    pub(crate) ids: [u32; BATCH_MAX],
    pub(crate) buffers: [Buffer; BATCH_MAX],
    pub(crate) received: [Received; BATCH_MAX],
}

impl Default for Scratch {
    fn default() -> Self {
        let buffer = Buffer { id: 0, received: false };
        Self { ids: [0; BATCH_MAX], buffers: [buffer; BATCH_MAX], received: [Received::default(); BATCH_MAX] }
    }
}

/// What a hot operation works with.
pub(crate) struct Parts<'a> {
    pub(crate) block: Block<'a>,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) sessions: &'a mut Vec<Option<Session>>,
    pub(crate) error: &'a mut Option<millrace::Error>,
}

/// Handles of closed managers are given out again only when there are so many: a stale one meets nobody for a long time.
const SESSIONS_BEFORE_REUSE: usize = 1024;

/// Everything of one isolate.
#[derive(Default)]
pub(crate) struct Isolate {
    /// The memory behind the command block, and the reference that keeps its ArrayBuffer.
    block: Option<(NonNull<Memory>, sys::napi_ref)>,
    /// Where hot operations lay out their batches.
    scratch: Scratch,
    /// Open managers by handle.
    pub(crate) sessions: Vec<Option<Session>>,
    next_session: usize,
    /// What the last operation that answered `Status::Error` died of.
    pub(crate) error: Option<millrace::Error>,
}

thread_local!(static ISOLATE: RefCell<Isolate> = RefCell::default());

impl Isolate {
    /// Runs `f` on this thread's isolate. Nothing in here calls JavaScript, so there is no second borrow.
    #[inline]
    pub(crate) fn with<T>(f: impl FnOnce(&mut Self) -> T) -> T {
        ISOLATE.with_borrow_mut(f)
    }

    /// The reference to the command block's ArrayBuffer, if somebody has asked for it before.
    pub(crate) fn block_reference(&self) -> Option<sys::napi_ref> {
        self.block.map(|(_, reference)| reference)
    }

    pub(crate) fn set_block(&mut self, memory: NonNull<Memory>, reference: sys::napi_ref) {
        self.block = Some((memory, reference));
    }

    /// Everything a hot operation needs; `None` before the command block exists.
    #[inline]
    pub(crate) fn parts(&mut self) -> Option<Parts<'_>> {
        let (mut block, _) = self.block?;
        // SAFETY: the memory lives as long as the isolate (a strong reference keeps its ArrayBuffer), and JavaScript
        // does not run while native code does.
        let memory = unsafe { block.as_mut() };
        let Self { scratch, sessions, error, .. } = self;
        Some(Parts { block: Block(memory), scratch, sessions, error })
    }

    /// Gives the session a handle.
    pub(crate) fn add(&mut self, session: Session) -> u32 {
        let count = self.sessions.len();
        let in_turn = (0..count).map(|step| (self.next_session + step) % count);
        let free = in_turn.filter(|_| count >= SESSIONS_BEFORE_REUSE).find(|at| self.sessions[*at].is_none());
        let at = free.unwrap_or_else(|| {
            self.sessions.push(None);
            count
        });
        self.sessions[at] = Some(session);
        self.next_session = at + 1;
        at as u32
    }

    pub(crate) fn session(&mut self, handle: u32) -> Option<&mut Session> {
        self.sessions.get_mut(handle as usize).and_then(Option::as_mut)
    }

    /// The end of the environment: managers leave their domains. Its ArrayBuffers are finalized by the runtime. Idempotent.
    pub(crate) fn end(&mut self) {
        for session in self.sessions.drain(..).flatten() {
            session.leave();
        }
        self.block = None;
    }
}

impl Drop for Isolate {
    /// The thread ends. If its environment has not (`process.exit()` runs no cleanup hooks), it is the process that exits, and threads of
    /// the runtime may be reading what a request named: nothing is unmapped any more.
    fn drop(&mut self) {
        for session in self.sessions.drain(..).flatten() {
            std::mem::forget(session.leave());
        }
    }
}
