//! What the binding keeps per isolate. One isolate runs on one thread, so this is thread-local state.

use crate::block::{BATCH_MAX, Block, Memory};
use crate::runs::Runs;
use crate::session::Session;
use millrace::{Buffer, Received};
use napi::sys;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;

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
    /// Flows that run.
    pub(crate) runs: Runs,
    /// What the last operation with `Status::Error` failed with.
    pub(crate) error: Option<millrace::Error>,
}

thread_local! {
    static ISOLATE: RefCell<Isolate> = RefCell::default();
    /// Apart: finalizers may run after everything of the thread that has to be dropped.
    static ENDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the hook at the end of this thread's environment has run.
pub(crate) fn has_ended() -> bool {
    ENDED.get()
}

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

    /// The end of the environment: flows stop, managers leave their domains. Its ArrayBuffers are finalized by the runtime. Idempotent.
    pub(crate) fn end(&mut self) {
        ENDED.set(true);
        self.runs.end();
        for session in self.sessions.drain(..).flatten() {
            session.exit(None);
        }
        self.block = None;
    }
}

impl Drop for Isolate {
    /// The thread ends. If its environment has not (`process.exit()` runs no cleanup hooks), it is the process that exits, and threads of
    /// the runtime may be reading what a request named: nothing is unmapped any more.
    fn drop(&mut self) {
        if cfg!(windows) {
            // The system has ended all other threads by now, wherever they were: nobody may wait for them, or take their locks. What is
            // still open is found dead by the others.
            std::mem::forget(std::mem::take(&mut self.runs));
            self.sessions.drain(..).for_each(std::mem::forget);
            return;
        }
        self.runs.end();
        for session in self.sessions.drain(..).flatten() {
            std::mem::forget(session.exit(None));
        }
    }
}
