//! Threads that run blocks.

use super::shared::Shared;
use crate::cell::{Env, Step};
use crate::clock::Clock;
use crate::link::TaskId;
use crate::options::Policy;
use crossbeam::deque::{Injector, Steal, Worker};
use millrace::{Error, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A listener that is about to run a block which takes longer lets another worker listen.
const LONG_WORK: Duration = Duration::from_micros(50);
/// Steps that a block gets in a row with [`Policy::Single`].
const SINGLE_STEPS: u32 = 8;

/// What worker `me` does until every block has ended.
pub(super) fn work(shared: &Shared, me: usize, deque: &Worker<TaskId>) {
    shared.idle.join(me);
    let mut chooser = Chooser::new(shared.policy);
    let mut turn = 0_usize;
    let mut listened = false;
    while !shared.has_ended() {
        turn = turn.wrapping_add(1);
        shared.listen(deque);
        shared.fire_timers(deque);
        if let Some(task) = chooser.choose(|| shared.find(me, deque, turn)) {
            if listened && shared.tasks[task].try_cell().is_some_and(|cell| cell.usual_work() > LONG_WORK) {
                shared.idle.wake_one(&shared.shm);
            }
            listened = false;
            let run = AssertUnwindSafe(|| shared.run(task, deque));
            if catch_unwind(run).is_err() {
                // A defect of this crate: no block is to wait for what this run would have done.
                shared.fail(Error::new(
                    ErrorKind::Internal,
                    "a scheduler's thread panicked: please report this",
                ));
                shared.tasks[task].run.end();
                shared.task_ended();
                shared.stop();
            }
            shared.tasks[task].tell_after_run();
        } else if !shared.skip_time() {
            // The last one to fall asleep finds out whether anybody will ever be woken.
            let look = || shared.has_ended() || shared.has_task(me) || shared.end_if_stalled();
            let listen = || shared.listen(deque);
            listened = shared.idle.sleep(me, &shared.shm, || shared.until_timer(), look, listen);
        }
    }
}

impl Shared {
    fn find(&self, me: usize, deque: &Worker<TaskId>, turn: usize) -> Option<TaskId> {
        if self.is_paused() {
            return None;
        }
        let steal = |queue: &Injector<TaskId>| settle(|| queue.steal());
        let batch = || settle(|| self.injectors[1].steal_batch_and_pop(deque));
        // Now and then those first who come from outside: else a full deque of our own keeps them waiting.
        let outsiders = || if turn.is_multiple_of(61) { batch() } else { None };
        let others = || {
            let count = self.stealers.len();
            let all = (1..count).map(|step| &self.stealers[(me + step) % count]);
            all.into_iter().find_map(|other| settle(|| other.steal_batch_and_pop(deque)))
        };
        steal(&self.homes[me])
            .or_else(|| steal(&self.injectors[0]))
            .or_else(outsiders)
            .or_else(|| deque.pop())
            .or_else(batch)
            .or_else(others)
            .or_else(|| steal(&self.injectors[2]))
    }

    /// Whether a run of so many steps is over. In time of its own it depends on nothing that differs from run to run.
    fn has_had_its_time(&self, steps: u32, clock: &Clock) -> bool {
        match self.policy {
            Policy::Single { .. } => steps >= SINGLE_STEPS,
            _ => clock.elapsed() >= self.slice,
        }
    }

    /// Runs a task until it sleeps, ends, or has had its time.
    fn run(&self, id: TaskId, deque: &Worker<TaskId>) {
        let task = &self.tasks[id];
        self.runs.fetch_add(1, Ordering::SeqCst);
        task.run.begin();
        let wake = |other| self.wake(other, Some(deque));
        let clock = Clock::new(self.started, self.own_time());
        let mut cell = task.cell();
        let mut steps = 0;
        loop {
            // Before the look at the queues.
            let (sequence, departures) = (self.shm.wake_sequence(), self.shm.departures());
            let env = Env {
                shm: &self.shm,
                allocator: &self.allocator,
                wake: &wake,
                clock: &clock,
                working: &task.working,
                // At each step: whoever is told of an end while it runs is not told again.
                draining: self.draining.load(Ordering::Relaxed),
                failing: self.failing.load(Ordering::Relaxed),
                exhausted: self.exhausted.load(Ordering::Relaxed),
                stopping: self.stopping.load(Ordering::Relaxed),
            };
            match cell.step(&env) {
                Ok(Step::Again) => {}
                Ok(Step::Sleep(reason)) if cell.prepare_sleep(reason, &env) => {
                    self.set_timer(id, reason.time());
                    task.watch(cell.waits_for_anything(), cell.is_armed());
                    if task.run.sleep() {
                        let told = || {
                            let departed = || self.shm.departures() != departures;
                            self.shm.wake_sequence() != sequence && (task.is_rung() || departed())
                        };
                        if task.run.has_missed(told) {
                            self.wake(id, Some(deque));
                        }
                        return;
                    }
                }
                Ok(Step::Sleep(_)) => {
                    // Others are faster, perhaps for ever: this counts as its time.
                    clock.read();
                }
                ended @ (Ok(Step::Ended) | Err(_)) => {
                    drop(cell);
                    return self.end_task(id, ended.err());
                }
            }
            task.tell(&cell);
            steps += 1;
            if self.has_had_its_time(steps, &clock) {
                drop(cell);
                task.run.requeue();
                return self.push(id, Some(deque));
            }
        }
    }

    /// Ends the blocks that nobody else may get to, as threads `missing` could not be started; the run is stopped.
    pub(super) fn end_queued(&self, missing: std::ops::Range<usize>) {
        let deque = Worker::new_fifo();
        let queues = || self.homes[missing.clone()].iter().chain(&self.injectors);
        let find = || deque.pop().or_else(|| queues().find_map(|queue| settle(|| queue.steal())));
        while let Some(task) = find() {
            self.run(task, &deque);
        }
    }

    /// A block has ended, or failed.
    fn end_task(&self, id: TaskId, failure: Option<Error>) {
        let mut is_first = false;
        if let Some(error) = failure {
            self.fail(error);
            // Nobody gets what the others would go on with for ever.
            self.draining.store(true, Ordering::Relaxed);
            is_first = !self.failing.swap(true, Ordering::Relaxed);
        }
        self.set_timer(id, None);
        self.tasks[id].run.end();
        self.task_ended();
        if is_first {
            self.wake_everything();
        }
    }
}

/// Chooses among the tasks that could run: the first, or with [`Policy::Single`] any.
struct Chooser {
    random: Option<u64>,
    ready: Vec<TaskId>,
}

impl Chooser {
    fn new(policy: Policy) -> Self {
        let random = match policy {
            // Xorshift (Marsaglia 2003) needs a state other than 0.
            Policy::Single { seed } => Some(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            _ => None,
        };
        Self { random, ready: Vec::new() }
    }

    fn choose(&mut self, find: impl Fn() -> Option<TaskId>) -> Option<TaskId> {
        let Some(random) = &mut self.random else { return find() };
        self.ready.extend(std::iter::from_fn(find));
        if self.ready.is_empty() {
            return None;
        }
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        let at = (*random % self.ready.len() as u64) as usize;
        Some(self.ready.swap_remove(at))
    }
}

/// Steals until that is settled.
fn settle(steal: impl Fn() -> Steal<TaskId>) -> Option<TaskId> {
    loop {
        match steal() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}
