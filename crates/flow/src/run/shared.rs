//! What the threads of a run share: the tasks, the queues of those that are to be run, time, and the end.

use super::timers::{NEVER, Timers, nanos};
use crate::idle::Idle;
use crate::link::TaskId;
use crate::options::Policy;
use crate::run_state::heard;
use crate::stats::{Alone, Report, Stall};
use crate::task::Task;
use crossbeam::deque::{Injector, Stealer, Worker};
use millrace::{Error, ErrorKind, SharedBufferAllocator, ShmManager};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Priorities of blocks.
const PRIORITIES: usize = 3;
const TOLD: u64 = 1 << 16;
const TELLING: u64 = TOLD - 1;
/// Sleep without a timer.
const FOREVER: Duration = Duration::from_secs(3600);

/// How often it is looked for calls that do not return, at most.
const STALL_LOOK_MIN: Duration = Duration::from_millis(1);

/// How a wait for the end of a run has ended.
pub(super) enum Waited {
    Ended,
    TimedOut,
    Stalled(Stall),
}

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
    pub(super) timers: Timers,
    /// The participant's sequence number at the last look at what is told from outside.
    pub(super) seen: AtomicU32,
    /// Departures from the domain at that look.
    pub(super) departures: AtomicU32,
    pub(super) slice: Duration,
    pub(super) policy: Policy,
    /// As [`millrace::clock_ns`] tells it.
    pub(super) started: u64,
    /// By how much the time of [`Policy::Single`] is ahead, in nanoseconds.
    pub(super) skipped: AtomicU64,
    pub(super) draining: AtomicBool,
    /// A block has failed.
    pub(super) failing: AtomicBool,
    pub(super) exhausted: AtomicBool,
    pub(super) stopping: AtomicBool,
    pub(super) paused: AtomicBool,
    end: Mutex<End>,
    pub(super) ended: Condvar,
    /// Blocks that have not ended.
    pub(super) left: AtomicUsize,
    /// Runs that have ever begun.
    pub(super) runs: AtomicU64,
    /// How many are telling every block something, of which there are at most [`TELLING`], and how many have ever begun to, times [`TOLD`].
    told: AtomicU64,
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
            timers: Timers::new(tasks.len()),
            slice,
            policy,
            started: millrace::clock_ns(),
            skipped: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            exhausted: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            end: Mutex::default(),
            ended: Condvar::new(),
            left: AtomicUsize::new(tasks.len()),
            runs: AtomicU64::new(0),
            told: AtomicU64::new(0),
            tasks,
        };
        for task in 0..shared.tasks.len() {
            // It is made QUEUED.
            shared.push(task, None);
        }
        (shared, deques)
    }

    // Time.

    /// The time of a run that has one of its own.
    pub(super) fn own_time(&self) -> Option<Duration> {
        matches!(self.policy, Policy::Single { .. })
            .then(|| Duration::from_nanos(self.skipped.load(Ordering::Relaxed)))
    }

    /// Time since the start, in ns.
    fn now(&self) -> u64 {
        self.own_time().map_or_else(|| millrace::clock_ns() - self.started, nanos)
    }

    /// Runs `task` at `at`, and at no time it has waited for before; `None`: at no time.
    pub(super) fn set_timer(&self, task: TaskId, at: Option<Duration>) {
        // Of a time of its own, one that never comes would pass up to there at once, and be none.
        let comes = |at: &u64| *at != NEVER || !matches!(self.policy, Policy::Single { .. });
        if self.timers.set(task, at.map(nanos).filter(comes)) {
            // Whoever listens sleeps until a later one.
            self.idle.wake_listener(&self.shm);
        }
    }

    /// Wakes those whose time has come.
    pub(super) fn fire_timers(&self, local: &Worker<TaskId>) {
        let Some(next) = self.timers.next() else { return };
        let now = self.now();
        if now >= next {
            self.timers.take_due(now).into_iter().for_each(|task| self.wake(task, Some(local)));
        }
    }

    /// How long to sleep until the next timer.
    pub(super) fn until_timer(&self) -> Duration {
        let left = |next: u64| Duration::from_nanos(next.saturating_sub(self.now()));
        self.timers.next().map_or(FOREVER, left)
    }

    /// With [`Policy::Single`]: makes it the time of the next timer; `false`: there is none.
    pub(super) fn skip_time(&self) -> bool {
        let Some(next) = self.timers.next() else { return false };
        if !matches!(self.policy, Policy::Single { .. }) || self.is_paused() {
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
        let (runs, told) = (self.runs.load(Ordering::SeqCst), self.told.load(Ordering::SeqCst));
        // Not while everything is being woken, one after the other: those that come first may have run and ended by now.
        if told & TELLING != 0 {
            return false;
        }
        // Nobody runs a block now, and if no run has begun when we have looked at all, nobody has woken one meanwhile.
        self.idle.all_sleep()
            && !self.is_paused()
            && self.left.load(Ordering::Relaxed) > 0
            && self.timers.next().is_none()
            && self
                .tasks
                .iter()
                .all(|task| task.run.has_ended() || (task.run.is_idle() && !task.run.is_watched()))
            && self.runs.load(Ordering::SeqCst) == runs
            && self.told.load(Ordering::SeqCst) == told
    }

    /// Whether all that a stalled run waits for are messages, and there are none, after there were some, or as it is drained: it has only not
    /// ended since its blocks are linked in a cycle.
    fn is_done(&self) -> bool {
        let mut has_worked = self.draining.load(Ordering::Relaxed);
        self.tasks.iter().all(|task| {
            let cell = task.cell();
            has_worked |= cell.has_taken();
            task.run.has_ended() || cell.has_nothing_to_do()
        }) && has_worked
    }

    /// Ends the run if it is stalled; whether it was.
    pub(super) fn end_if_stalled(&self) -> bool {
        let stalled = self.is_stalled();
        if stalled {
            let mut end = lock(&self.end);
            // Several may find out at the same time: for the others, blocks are to run again by now.
            if self.is_stalled() {
                if !self.is_done() || self.exhausted.swap(true, Ordering::Relaxed) {
                    let message = self.explain_stall();
                    end.failure.get_or_insert_with(|| Error::new(ErrorKind::Stalled, message));
                    self.stopping.store(true, Ordering::Relaxed);
                }
                self.wake_everything();
            }
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

    /// Waits until every block has ended, `timeout` has passed, or a call of work takes longer than `stall_timeout`.
    pub(super) fn wait_ended(&self, timeout: Option<Duration>, stall_timeout: Option<Duration>) -> Waited {
        let mut end = lock(&self.end);
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while !self.has_ended() {
            if let Some(stall) = stall_timeout.and_then(|longest| self.stalls(longest).next()) {
                return Waited::Stalled(stall);
            }
            let left = until.map_or(FOREVER, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Waited::TimedOut;
            }
            // Nobody tells of a call that does not return.
            let look = stall_timeout.map_or(left, |longest| left.min((longest / 4).max(STALL_LOOK_MIN)));
            end = self.ended.wait_timeout(end, look).unwrap_or_else(PoisonError::into_inner).0;
        }
        Waited::Ended
    }

    /// Blocks whose call of work has taken longer than that so far.
    pub(super) fn stalls(&self, longer_than: Duration) -> impl Iterator<Item = Stall> {
        self.tasks.iter().filter_map(move |task| {
            let working = task.working_for();
            (working > longer_than).then(|| Stall { block: task.name.clone(), working })
        })
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
        self.tell(&self.draining);
    }

    pub(super) fn stop(&self) {
        self.tell(&self.stopping);
    }

    pub(super) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
        self.idle.wake_all(&self.shm);
    }

    /// Sets `what`, and has every block look at it.
    fn tell(&self, what: &AtomicBool) {
        // SeqCst, as for `runs`: whoever sees what comes of it sees that it has begun.
        self.told.fetch_add(TOLD + 1, Ordering::SeqCst);
        what.store(true, Ordering::Relaxed);
        self.wake_everything();
        self.told.fetch_sub(1, Ordering::SeqCst);
        // Workers that have looked meanwhile whether all is stalled look again.
        self.idle.wake_all(&self.shm);
    }

    pub(super) fn wake_everything(&self) {
        (0..self.tasks.len()).for_each(|task| self.wake(task, None));
        self.idle.wake_all(&self.shm);
    }

    // Reports.

    pub(super) fn report(&self) -> Report {
        let began = Instant::now();
        let mut blocks: Vec<_> = self.tasks.iter().map(|task| task.report(began)).collect();
        for latency in blocks.iter_mut().flat_map(|block| &mut block.latencies) {
            let sources = self.tasks.iter().filter(|task| task.source == latency.source);
            latency.from = sources.map(|task| task.name.clone()).collect();
        }
        let links = self.tasks.iter().flat_map(|task| task.links(&self.allocator));
        Report { blocks, links: links.collect() }
    }

    /// Ports of blocks that sleep, at queues at whose other side nobody is.
    pub(super) fn alone(&self) -> Vec<Alone> {
        let mut all = Vec::new();
        for task in self.tasks.iter().filter(|task| !task.run.has_ended()) {
            if let Some(cell) = task.try_cell().filter(|cell| !cell.has_taken()) {
                all.extend(cell.alone());
            }
        }
        all
    }

    /// What each block waits for that has not ended.
    pub(super) fn explain(&self) -> String {
        let left = (0..self.tasks.len()).filter(|id| !self.tasks[*id].run.has_ended());
        self.explain_all(left)
    }

    fn explain_all(&self, blocks: impl Iterator<Item = TaskId>) -> String {
        let waiting = blocks.map(|id| match self.tasks[id].try_cell() {
            Some(cell) => cell.explain(),
            None => format!("{:?} works{}", self.tasks[id].name, self.tasks[id].for_how_long()),
        });
        waiting.collect::<Vec<_>>().join("; ")
    }

    /// Blocks of a stalled run of which each waits for the next, and the last for the first. `None`: there are none, one waits for a time
    /// that never comes.
    fn find_cycle(&self) -> Option<Vec<TaskId>> {
        let mut path = vec![self.tasks.iter().position(|task| !task.run.has_ended())?];
        loop {
            let others = self.tasks[*path.last()?].cell().waits_for();
            let next = others.into_iter().find(|id| !self.tasks[*id].run.has_ended())?;
            if let Some(first) = path.iter().position(|id| *id == next) {
                return Some(path.split_off(first));
            }
            path.push(next);
        }
    }

    /// Which blocks of a stalled run wait for each other, and at which ports.
    fn explain_stall(&self) -> String {
        let cycle = self.find_cycle().unwrap_or_default();
        if cycle.is_empty() {
            return format!("no block can ever run again: {}", self.explain());
        }
        let others = self.left.load(Ordering::Relaxed) - cycle.len();
        let waiting = self.explain_all(cycle.into_iter());
        let others = if others > 0 { format!("; {others} others wait for these") } else { String::new() };
        format!("blocks wait for each other: {waiting}{others}")
    }

    /// Names of the blocks that are in their work.
    pub(super) fn running(&self) -> String {
        let names = self.tasks.iter().filter(|task| task.run.is_running());
        let names = names.map(|task| format!("{:?}{}", task.name, task.for_how_long()));
        names.collect::<Vec<_>>().join(", ")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
