//! When a block is run: at most one run of it is queued or under way, however many wakes there are.
//!
//! ```text
//!            wake              a worker takes it         nothing to do
//!   IDLE ─────────────▶ QUEUED ─────────────────▶ RUNNING ────────────▶ IDLE
//!                         ▲                          │ wake
//!                         │     budget used up       ▼
//!                         └───────────────────── NOTIFIED
//! ```
//!
//! Who wakes has changed a queue before. The block's runner looks at its queues after it has made the state RUNNING, and makes it IDLE only
//! if it is RUNNING still. With a fence between the two on both sides, either the waker finds IDLE or NOTIFIED is seen, or the runner has yet
//! to look.

use crate::cell::Cell;
use crate::link::End;
use crate::stats::{BlockReport, BlockState};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Number of a block in its scheduler.
pub(crate) type TaskId = usize;

/// How long a report waits for blocks that work, all together.
const PATIENCE: Duration = Duration::from_millis(20);

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
const NOTIFIED: u8 = 3;
const ENDED: u8 = 4;

/// A block, and whether it is to be run.
pub(crate) struct Task {
    state: AtomicU8,
    /// It sleeps until somebody outside of this scheduler does something.
    watched: AtomicBool,
    /// Any notification of the participant may be for it.
    wants_any: AtomicBool,
    ends: Vec<Arc<End>>,
    pub(crate) name: String,
    /// The worker that runs it; none: any.
    pub(crate) home: Option<usize>,
    /// 0: first.
    pub(crate) priority: usize,
    cell: Mutex<Cell>,
    /// Somebody waits for a report while a worker has the cell.
    asked: AtomicBool,
    /// The last report.
    reported: Mutex<BlockReport>,
    told: Condvar,
}

impl Task {
    pub(crate) fn new(cell: Cell, home: Option<usize>, priority: usize) -> Self {
        let ends = cell.ends().map(Arc::clone).collect();
        Self {
            state: AtomicU8::new(QUEUED),
            watched: AtomicBool::new(false),
            wants_any: AtomicBool::new(false),
            ends,
            name: cell.name().to_owned(),
            home,
            priority,
            asked: AtomicBool::new(false),
            reported: Mutex::new(cell.report()),
            told: Condvar::new(),
            cell: Mutex::new(cell),
        }
    }

    /// Its block. Uncontended but for reports.
    pub(crate) fn cell(&self) -> MutexGuard<'_, Cell> {
        // A block that panics does so within `catch_unwind`.
        self.cell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its block, unless somebody has it.
    pub(crate) fn try_cell(&self) -> Option<MutexGuard<'_, Cell>> {
        self.cell.try_lock().ok()
    }

    /// What has been counted of it. Of a block whose work does not return for [`PATIENCE`] from `began` on: what
    /// it was the last time.
    pub(crate) fn report(&self, began: Instant) -> BlockReport {
        self.asked.store(true, Ordering::Relaxed);
        // SeqCst, pairs with `tell_after_run`: whoever has the cell now sees that it is asked when it has let go of it, if not before.
        fence(Ordering::SeqCst);
        if let Some(cell) = self.try_cell() {
            self.tell(&cell);
        }
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        while self.asked.load(Ordering::Relaxed) {
            let left = PATIENCE.saturating_sub(began.elapsed());
            if left.is_zero() {
                // Its first work, perhaps.
                reported.state = BlockState::Running;
                break;
            }
            reported = self.told.wait_timeout(reported, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        reported.clone()
    }

    /// Reports to whoever has asked. By its runner, between two steps.
    pub(crate) fn tell(&self, cell: &Cell) {
        if self.asked.load(Ordering::Relaxed) {
            let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
            *reported = cell.report();
            // Within the lock: whoever waits has looked before, and is woken, or looks after it.
            self.asked.store(false, Ordering::Relaxed);
            self.told.notify_all();
        }
    }

    /// The same for who has asked since the last step, by a worker that has let go of the cell.
    pub(crate) fn tell_after_run(&self) {
        // SeqCst, pairs with `report`.
        fence(Ordering::SeqCst);
        if self.asked.load(Ordering::Relaxed)
            && let Some(cell) = self.try_cell()
        {
            self.tell(&cell);
        }
    }

    /// Asks for a run; `true`: the caller has to queue it.
    pub(crate) fn wake(&self) -> bool {
        // SeqCst, pairs with `begin`: the queue was changed before the state is looked at.
        fence(Ordering::SeqCst);
        loop {
            let (from, to) = match self.state.load(Ordering::Relaxed) {
                IDLE => (IDLE, QUEUED),
                RUNNING => (RUNNING, NOTIFIED),
                _ => return false,
            };
            if self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return to == QUEUED;
            }
        }
    }

    /// A worker that has taken it begins its run.
    pub(crate) fn begin(&self) {
        self.state.store(RUNNING, Ordering::Relaxed);
        // SeqCst, pairs with `wake`: the queues are looked at after the state has changed.
        fence(Ordering::SeqCst);
    }

    /// The run is over, and more is to be done later: the caller queues it.
    pub(crate) fn requeue(&self) {
        self.state.store(QUEUED, Ordering::Release);
    }

    /// The run is over; `false`: somebody has asked for another meanwhile, which begins now.
    pub(crate) fn sleep(&self) -> bool {
        let slept = self.state.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if !slept {
            self.begin();
        }
        slept
    }

    pub(crate) fn end(&self) {
        self.state.store(ENDED, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state.load(Ordering::Acquire) == ENDED
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state.load(Ordering::Acquire) == IDLE
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state.load(Ordering::Relaxed), RUNNING | NOTIFIED)
    }

    /// Whether it sleeps, and only something outside of this scheduler may end that. By its runner, before it sleeps.
    pub(crate) fn watch(&self, wants_any: bool, watched: bool) {
        self.wants_any.store(wants_any, Ordering::Relaxed);
        // Release: whoever sees it watched sees what is armed.
        self.watched.store(watched || wants_any, Ordering::Release);
    }

    /// Whether somebody outside may end its sleep.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Acquire)
    }

    /// Whether somebody has told this participant of something that it may wait for.
    pub(crate) fn is_rung(&self) -> bool {
        self.is_watched()
            && (self.wants_any.load(Ordering::Relaxed) || self.ends.iter().any(|end| end.is_rung()))
    }
}
