//! What the threads of a run share: the tasks, the queues of those that are to be run, time, and the end.

use crate::idle::Idle;
use crate::link::TaskId;
use crate::options::Policy;
use crate::run_state::heard;
use crate::stats::Report;
use crate::task::Task;
use crossbeam::deque::{Injector, Stealer, Worker};
use millrace::{Error, ErrorKind, SharedBufferAllocator, ShmManager};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Priorities of blocks.
const PRIORITIES: usize = 3;
/// Sleep without a timer.
const FOREVER: Duration = Duration::from_secs(3600);

/// What the threads of a run share.
pub(super) struct Shared {
    pub(super) shm: Arc<ShmManager>,
    pub(super) allocator: SharedBufferAllocator,
    pub(super) tasks: Vec<Task>,
    /// Tasks for anybody, by priority.
    pub(super) injectors: [Injector<TaskId>; PRIORITIES],
    /// Tasks for one worker each.
    pub(super) homes: Vec<Injector<TaskId>>,
    pub(super) stealers: Vec<Stealer<TaskId>>,
    pub(super) idle: Idle,
    /// When which task is to be run.
    pub(super) timers: Mutex<BinaryHeap<Reverse<(Duration, TaskId)>>>,
    /// The earliest, in nanoseconds.
    pub(super) next_timer: AtomicU64,
    /// The participant's sequence number at the last look at what is told from outside.
    pub(super) seen: AtomicU32,
    /// Departures from the domain at that look.
    pub(super) departures: AtomicU32,
    pub(super) slice: Duration,
    pub(super) policy: Policy,
    pub(super) started: Instant,
    /// By how much the time of [`Policy::Single`] is ahead, in nanoseconds.
    pub(super) skipped: AtomicU64,
    pub(super) draining: AtomicBool,
    /// A block has failed.
    pub(super) failing: AtomicBool,
    pub(super) stopping: AtomicBool,
    pub(super) paused: AtomicBool,
    end: Mutex<End>,
    pub(super) ended: Condvar,
    /// Blocks that have not ended.
    pub(super) left: AtomicUsize,
    /// Runs that have ever begun.
    pub(super) runs: AtomicU64,
}

#[derive(Default)]
struct End {
    failure: Option<Error>,
    done: Vec<Box<dyn FnOnce() + Send>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} blocks, {} of them not ended", self.tasks.len(), self.left.load(Ordering::Relaxed))
    }
}

impl Shared {
    pub(super) fn new(
        shm: Arc<ShmManager>,
        tasks: Vec<Task>,
        threads: usize,
        slice: Duration,
        policy: Policy,
    ) -> (Self, Vec<Worker<TaskId>>) {
        let deques: Vec<_> = (0..threads).map(|_| Worker::new_fifo()).collect();
        let shared = Self {
            allocator: shm.allocator(),
            seen: AtomicU32::new(shm.wake_sequence()),
            departures: AtomicU32::new(shm.departures()),
            shm,
            injectors: Default::default(),
            homes: (0..threads).map(|_| Injector::new()).collect(),
            stealers: deques.iter().map(Worker::stealer).collect(),
            idle: Idle::new(threads),
            timers: Mutex::default(),
            next_timer: AtomicU64::new(u64::MAX),
            slice,
            policy,
            started: Instant::now(),
            skipped: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            end: Mutex::default(),
            ended: Condvar::new(),
            left: AtomicUsize::new(tasks.len()),
            runs: AtomicU64::new(0),
            tasks,
        };
        for task in 0..shared.tasks.len() {
            // It is made QUEUED.
            shared.push(task, None);
        }
        (shared, deques)
    }

    // Time.

    pub(super) fn now(&self) -> Duration {
        let skipped = Duration::from_nanos(self.skipped.load(Ordering::Relaxed));
        if matches!(self.policy, Policy::Single { .. }) { skipped } else { self.started.elapsed() }
    }

    pub(super) fn set_timer(&self, at: Duration, task: TaskId) {
        if nanos(at) == NEVER && matches!(self.policy, Policy::Single { .. }) {
            // Its own time would pass up to there at once, and be none.
            return;
        }
        let mut timers = lock(&self.timers);
        timers.push(Reverse((at, task)));
        if self.note_next(&timers) {
            // Whoever listens sleeps until a later one.
            self.idle.wake_listener(&self.shm);
        }
    }

    /// Notes the earliest timer; whether it is earlier than before.
    fn note_next(&self, timers: &BinaryHeap<Reverse<(Duration, TaskId)>>) -> bool {
        let next = timers.peek().map_or(u64::MAX, |Reverse((at, _))| nanos(*at));
        self.next_timer.swap(next, Ordering::SeqCst) > next
    }

    /// Wakes those whose time has come.
    pub(super) fn fire_timers(&self, local: &Worker<TaskId>) {
        let next = self.next_timer.load(Ordering::Relaxed);
        if next == u64::MAX || nanos(self.now()) < next {
            return;
        }
        let now = self.now();
        let mut due = Vec::new();
        let mut timers = lock(&self.timers);
        while let Some(Reverse((_, task))) = timers.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            timers.pop();
            due.push(task);
        }
        self.note_next(&timers);
        drop(timers);
        due.into_iter().for_each(|task| self.wake(task, Some(local)));
    }

    /// How long to sleep until the next timer.
    pub(super) fn until_timer(&self) -> Duration {
        let next = self.next_timer.load(Ordering::SeqCst);
        if next == u64::MAX { FOREVER } else { Duration::from_nanos(next.saturating_sub(nanos(self.now()))) }
    }

    /// With [`Policy::Single`]: makes it the time of the next timer; `false`: there is none.
    pub(super) fn skip_time(&self) -> bool {
        let next = self.next_timer.load(Ordering::Relaxed);
        if !matches!(self.policy, Policy::Single { .. }) || next == u64::MAX || self.is_paused() {
            return false;
        }
        self.skipped.store(next, Ordering::Relaxed);
        true
    }

    // Queues of tasks.

    pub(super) fn wake(&self, task: TaskId, local: Option<&Worker<TaskId>>) {
        if self.tasks[task].run.wake() {
            self.push(task, local);
        }
    }

    pub(super) fn push(&self, task: TaskId, local: Option<&Worker<TaskId>>) {
        let Task { home, priority, .. } = &self.tasks[task];
        match (home, local) {
            (Some(home), _) => {
                self.homes[*home].push(task);
                return self.idle.wake(*home, &self.shm);
            }
            (None, Some(local)) if *priority == 1 => local.push(task),
            (None, _) => self.injectors[*priority].push(task),
        }
        self.idle.wake_one(&self.shm);
    }

    pub(super) fn is_paused(&self) -> bool {
        let ends = self.stopping.load(Ordering::Relaxed) || self.draining.load(Ordering::Relaxed);
        self.paused.load(Ordering::Relaxed) && !ends
    }

    /// Whether there is a task that worker `me` could run.
    pub(super) fn has_task(&self, me: usize) -> bool {
        let (homes, injectors) = (&self.homes[me], &self.injectors);
        let any = || !homes.is_empty() || injectors.iter().any(|queue| !queue.is_empty());
        !self.is_paused() && (any() || self.stealers.iter().any(|queue| !queue.is_empty()))
    }

    // What is told from outside.

    /// Looks whom a notification of the participant was for, if there was one; whether it was for anybody.
    pub(super) fn listen(&self, local: &Worker<TaskId>) -> bool {
        let sequence = self.shm.wake_sequence();
        if self.seen.load(Ordering::Relaxed) == sequence {
            return false;
        }
        // Before the look: what is told after it shows in the next one.
        self.seen.store(sequence, Ordering::SeqCst);
        // Who died after it had sent, and before it notified, has told nobody: recovery does, for everything.
        let departures = self.shm.departures();
        heard();
        let all = self.departures.swap(departures, Ordering::SeqCst) != departures;
        let rung = self.tasks.iter().enumerate();
        let rung = rung.filter(|(_, task)| if all { task.run.is_watched() } else { task.is_rung() });
        rung.map(|(task, _)| self.wake(task, Some(local))).count() > 0
    }

    /// Whether no block can ever run again: all wait, none for a time or for anything outside.
    fn is_stalled(&self) -> bool {
        let runs = self.runs.load(Ordering::SeqCst);
        // Nobody runs a block now, and if no run has begun when we have looked at all, nobody has woken one meanwhile.
        self.idle.all_sleep()
            && !self.is_paused()
            && self.left.load(Ordering::Relaxed) > 0
            && self.next_timer.load(Ordering::SeqCst) == u64::MAX
            && self
                .tasks
                .iter()
                .all(|task| task.run.has_ended() || (task.run.is_idle() && !task.run.is_watched()))
            && self.runs.load(Ordering::SeqCst) == runs
    }

    /// Ends the run if it is stalled; whether it was.
    pub(super) fn fail_if_stalled(&self) -> bool {
        let stalled = self.is_stalled();
        // Several may find out at the same time; one of them says so.
        if stalled && !self.stopping.swap(true, Ordering::Relaxed) {
            let message = format!("every block waits for another: {}", self.explain());
            self.fail(Error::new(ErrorKind::Stalled, message));
            self.stop();
        }
        stalled
    }

    // Ends.

    pub(super) fn fail(&self, error: Error) {
        lock(&self.end).failure.get_or_insert(error);
    }

    pub(super) fn take_failure(&self) -> Option<Error> {
        lock(&self.end).failure.take()
    }

    pub(super) fn task_ended(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let done = std::mem::take(&mut lock(&self.end).done);
        self.ended.notify_all();
        self.idle.wake_all(&self.shm);
        done.into_iter().for_each(|done| done());
    }

    pub(super) fn has_ended(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }

    /// Waits until every block has ended; `false`: `timeout` has passed before.
    pub(super) fn wait_ended(&self, timeout: Option<Duration>) -> bool {
        let mut end = lock(&self.end);
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while !self.has_ended() {
            let left = until.map_or(FOREVER, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            end = self.ended.wait_timeout(end, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(super) fn on_end(&self, done: Box<dyn FnOnce() + Send>) {
        let mut end = lock(&self.end);
        if self.has_ended() {
            drop(end);
            done();
        } else {
            end.done.push(done);
        }
    }

    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.wake_everything();
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.wake_everything();
    }

    pub(super) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
        self.idle.wake_all(&self.shm);
    }

    pub(super) fn wake_everything(&self) {
        (0..self.tasks.len()).for_each(|task| self.wake(task, None));
        self.idle.wake_all(&self.shm);
    }

    // Reports.

    pub(super) fn report(&self) -> Report {
        let began = Instant::now();
        Report { blocks: self.tasks.iter().map(|task| task.report(began)).collect() }
    }

    /// What each block waits for that has not ended.
    pub(super) fn explain(&self) -> String {
        let waiting =
            self.tasks.iter().filter(|task| !task.run.has_ended()).map(|task| match task.try_cell() {
                Some(cell) => cell.explain(),
                None => format!("{:?} works", task.name),
            });
        waiting.collect::<Vec<_>>().join("; ")
    }

    /// Names of the blocks that are in their work.
    pub(super) fn running(&self) -> String {
        let names =
            self.tasks.iter().filter(|task| task.run.is_running()).map(|task| format!("{:?}", task.name));
        names.collect::<Vec<_>>().join(", ")
    }
}

/// A time that is too far away to come.
const NEVER: u64 = u64::MAX - 1;

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NEVER)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
