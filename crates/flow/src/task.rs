//! A block with its place in the scheduler.

use crate::cell::Cell;
use crate::link::End;
use crate::run_state::RunState;
use crate::stats::{self, BlockReport, BlockState, LinkReport};
use millrace::SharedBufferAllocator;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a report waits for blocks that work, all together.
const PATIENCE: Duration = Duration::from_millis(20);

/// A block, and whether it is to be run.
pub(crate) struct Task {
    pub(crate) run: RunState,
    /// Any notification of the participant may be for it.
    wants_any: AtomicBool,
    ends: Vec<Arc<End>>,
    pub(crate) name: String,
    /// Its number as a source of data; 0: it is none.
    pub(crate) source: u32,
    /// The worker that runs it; none: any.
    pub(crate) home: Option<usize>,
    /// 0: first.
    pub(crate) priority: usize,
    /// When the call of its block that is under way has begun; 0: none is.
    pub(crate) working: AtomicU64,
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
            run: RunState::queued(),
            wants_any: AtomicBool::new(false),
            ends,
            name: cell.name().to_owned(),
            source: cell.source(),
            home,
            priority,
            working: AtomicU64::new(0),
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

    /// What is in the links to it, and in queues of others that it is connected to.
    pub(crate) fn links(&self, allocator: &SharedBufferAllocator) -> impl Iterator<Item = LinkReport> {
        self.ends.iter().filter_map(|end| stats::link(end, allocator))
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
        BlockReport { working: self.working_for(), ..reported.clone() }
    }

    /// How long the call of its block that is under way has taken so far.
    pub(crate) fn working_for(&self) -> Duration {
        match self.working.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            began => Duration::from_nanos(millrace::clock_ns().saturating_sub(began)),
        }
    }

    /// The same in words.
    pub(crate) fn for_how_long(&self) -> String {
        let time = self.working_for();
        if time.is_zero() { String::new() } else { format!(" for {time:.1?}") }
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

    /// Whether it sleeps for somebody outside of this scheduler, and for what. By its runner, before it sleeps.
    pub(crate) fn watch(&self, wants_any: bool, is_armed: bool) {
        self.wants_any.store(wants_any, Ordering::Relaxed);
        self.run.watch(wants_any || is_armed);
    }

    /// Whether somebody has told this participant of something that it may wait for.
    pub(crate) fn is_rung(&self) -> bool {
        self.run.is_watched()
            && (self.wants_any.load(Ordering::Relaxed) || self.ends.iter().any(|end| end.is_rung()))
    }
}
