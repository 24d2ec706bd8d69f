//! Threads that run blocks.

use super::shared::Shared;
use crate::cell::{Env, Step};
use crate::link::TaskId;
use crate::options::Policy;
use crossbeam::deque::{Injector, Steal, Worker};
use millrace::{Error, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

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
            if listened && shared.tasks[task].try_cell().is_some_and(|cell| cell.last_work() > LONG_WORK) {
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
            let look = || shared.has_ended() || shared.has_task(me) || shared.fail_if_stalled();
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
    fn has_had_its_time(&self, steps: u32, began: Instant) -> bool {
        match self.policy {
            Policy::Single { .. } => steps >= SINGLE_STEPS,
            _ => began.elapsed() >= self.slice,
        }
    }

    /// Runs a task until it sleeps, ends, or has had its time.
    fn run(&self, id: TaskId, deque: &Worker<TaskId>) {
        let task = &self.tasks[id];
        self.runs.fetch_add(1, Ordering::SeqCst);
        task.run.begin();
        let (wake, now) = (|other| self.wake(other, Some(deque)), || self.now());
        let mut cell = task.cell();
        let (began, mut steps) = (Instant::now(), 0);
        loop {
            // Before the look at the queues.
            let (sequence, departures) = (self.shm.wake_sequence(), self.shm.departures());
            let env = Env {
                shm: &self.shm,
                allocator: &self.allocator,
                wake: &wake,
                now: &now,
                // At each step: whoever is told of an end while it runs is not told again.
                draining: self.draining.load(Ordering::Relaxed),
                failing: self.failing.load(Ordering::Relaxed),
                stopping: self.stopping.load(Ordering::Relaxed),
            };
            match cell.step(&env) {
                Step::Again => {}
                Step::Sleep(reason) if cell.prepare_sleep(reason, &env) => {
                    if let Some(at) = reason.time() {
                        self.set_timer(at, id);
                    }
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
                Step::Sleep(_) => {}
                Step::Ended => {
                    let mut failed = false;
                    if let Some(error) = cell.take_error() {
                        self.fail(error);
                        // Nobody gets what the others would go on with for ever.
                        self.draining.store(true, Ordering::Relaxed);
                        failed = !self.failing.swap(true, Ordering::Relaxed);
                    }
                    drop(cell);
                    task.run.end();
                    self.task_ended();
                    if failed {
                        self.wake_everything();
                    }
                    return;
                }
            }
            task.tell(&cell);
            steps += 1;
            if self.has_had_its_time(steps, began) {
                drop(cell);
                task.run.requeue();
                return self.push(id, Some(deque));
            }
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
