//! Processes as coroutines, a scheduler that gives each turn to one of them, and a death that may come before any turn.

use crate::habits::Habits;
use crate::oracle::{Fate, Process};
use crate::rules::Rules;
use crate::world::World;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Turns after which a run that ought to end is stuck.
const PATIENCE: u64 = 400_000;

/// A small, fast generator; the whole run follows from its seed.
#[derive(Debug)]
pub(crate) struct Random(Cell<u64>);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03))
    }

    fn next(&self) -> u64 {
        // splitmix64
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `end`.
    pub(crate) fn below(&self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// What a thread waits for; the scheduler passes it over most of the time until it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Nothing,
    /// The end of a recovery.
    Recovery,
    /// A death.
    Death,
}

/// What all threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) world: RefCell<World>,
    pub(crate) random: Random,
    pub(crate) habits: Habits,
    /// No more chaos: finish what you are at, give everything back, leave.
    pub(crate) calm: Cell<bool>,
    /// Tell what happens.
    aloud: bool,
    pub(crate) turns: Cell<u64>,
    waits: RefCell<Vec<Wait>>,
}

/// A thread's door to the world. Every access to it is one turn.
#[derive(Clone, Debug)]
pub(crate) struct Cpu {
    pub(crate) shared: Rc<Shared>,
    pub(crate) process: usize,
    thread: usize,
    pub(crate) own: Rc<Own>,
}

/// What the threads of one process share among themselves.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// The participant slot, once the process has joined.
    pub(crate) slot: Cell<Option<usize>>,
    /// Helpers at work.
    pub(crate) helpers: Cell<usize>,
    /// Helpers should finish.
    pub(crate) leaving: Cell<bool>,
    /// The slot has been given up.
    pub(crate) left: Cell<bool>,
    /// How far it has come in its scene.
    pub(crate) marks: Cell<u32>,
}

impl Cpu {
    /// One shared-memory step.
    pub(crate) async fn step<T>(&self, f: impl FnOnce(&mut World) -> T) -> T {
        Turn(false).await;
        f(&mut self.shared.world.borrow_mut())
    }

    /// Looks at what is no shared memory (locks, the observer's knowledge) without a turn.
    pub(crate) fn now<T>(&self, f: impl FnOnce(&mut World) -> T) -> T {
        f(&mut self.shared.world.borrow_mut())
    }

    /// Tells the story of a run that is repeated alone.
    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.shared.aloud {
            println!(
                "{:>6} process {} slot {:?}: {}",
                self.shared.turns.get(),
                self.process,
                self.own.slot.get(),
                what()
            );
        }
    }

    /// Records a violation of the observer's.
    pub(crate) fn check(&self, result: Result<(), String>) {
        if let Err(what) = result {
            self.now(|w| w.fail(|| what));
        }
    }

    pub(crate) async fn wait(&self, what: Wait) {
        self.shared.waits.borrow_mut()[self.thread] = what;
        Turn(false).await;
        self.shared.waits.borrow_mut()[self.thread] = Wait::Nothing;
    }

    pub(crate) fn random(&self) -> &Random {
        &self.shared.random
    }

    pub(crate) fn rules(&self) -> Rules {
        self.shared.world.borrow().rules
    }

    /// Our participant slot.
    pub(crate) fn me(&self) -> usize {
        self.own.slot.get().expect("joined")
    }
}

struct Turn(bool);

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        Poll::Pending
    }
}

pub(crate) type Body = Pin<Box<dyn Future<Output = ()>>>;

struct Thread {
    process: usize,
    body: Option<Body>,
    own: Rc<Own>,
    /// Stopped until this turn.
    stopped: u64,
}

/// The machine.
pub(crate) struct Sim {
    pub(crate) shared: Rc<Shared>,
    threads: Vec<Thread>,
    last: usize,
    /// Out of 100 turns so many go to the thread that had the last one.
    stickiness: usize,
}

impl Sim {
    pub(crate) fn new(seed: u64, buffers: usize, rules: Rules) -> Self {
        let random = Random::new(seed);
        let stickiness = [0, 50, 80, 95][random.below(4)];
        let shared = Rc::new(Shared {
            world: RefCell::new(World::new(buffers, rules)),
            habits: Habits::new(&random),
            random,
            calm: Cell::new(false),
            aloud: std::env::var_os("MILLRACE_SEED").is_some(),
            turns: Cell::new(0),
            waits: RefCell::default(),
        });
        Self { shared, threads: Vec::new(), last: 0, stickiness }
    }

    /// Starts a process with the given threads.
    pub(crate) fn spawn(&mut self, threads: impl IntoIterator<Item = fn(Cpu) -> Body>) -> usize {
        let process = {
            let mut world = self.shared.world.borrow_mut();
            world.oracle.processes.push(Process {
                fate: Fate::Alive,
                in_hand: Vec::new(),
                custody: Vec::new(),
                attempted: false,
            });
            world.oracle.processes.len() - 1
        };
        let own = Rc::<Own>::default();
        for body in threads {
            let thread = self.threads.len();
            self.shared.waits.borrow_mut().push(Wait::Nothing);
            let cpu = Cpu { shared: Rc::clone(&self.shared), process, thread, own: Rc::clone(&own) };
            self.threads.push(Thread { process, body: Some(body(cpu)), own: Rc::clone(&own), stopped: 0 });
        }
        process
    }

    /// How far the thread `index` has come in its scene.
    pub(crate) fn marks(&self, index: usize) -> u32 {
        self.threads[index].own.marks.get()
    }

    pub(crate) fn turns(&self) -> u64 {
        self.shared.turns.get()
    }

    /// Processes that have not ended.
    pub(crate) fn alive(&self) -> Vec<usize> {
        let mut alive: Vec<_> = self.threads.iter().filter(|t| t.body.is_some()).map(|t| t.process).collect();
        alive.dedup();
        alive
    }

    /// The process whose turn it was.
    pub(crate) fn current(&self) -> Option<usize> {
        self.threads.get(self.last).filter(|t| t.body.is_some()).map(|t| t.process)
    }

    /// SIGKILL: the process is never heard of again.
    pub(crate) fn kill(&mut self, process: usize) {
        for thread in self.threads.iter_mut().filter(|t| t.process == process) {
            thread.body = None;
        }
        if self.shared.aloud {
            println!("{:>6} process {process} is killed", self.turns());
        }
        self.end(process, Fate::Killed);
    }

    /// SIGSTOP, and SIGCONT after so many turns.
    pub(crate) fn stop(&mut self, process: usize, turns: u64) {
        let until = self.turns() + turns;
        for thread in self.threads.iter_mut().filter(|t| t.process == process) {
            thread.stopped = until;
        }
    }

    fn end(&mut self, process: usize, fate: Fate) {
        let mut world = self.shared.world.borrow_mut();
        world.kernel.release_all(process);
        world.oracle.processes[process].fate = fate;
        world.oracle.processes[process].in_hand.clear();
        let mut waits = self.shared.waits.borrow_mut();
        waits.iter_mut().filter(|w| **w == Wait::Death).for_each(|w| *w = Wait::Nothing);
    }

    /// Gives one turn to some thread. `Err`: a violation.
    pub(crate) fn turn(&mut self) -> Result<(), String> {
        self.shared.turns.set(self.turns() + 1);
        match self.pick() {
            Some(index) => self.step(index),
            None => Ok(()),
        }
    }

    /// Gives a turn to thread `index`.
    pub(crate) fn step(&mut self, index: usize) -> Result<(), String> {
        self.last = index;
        let thread = &mut self.threads[index];
        let Some(body) = &mut thread.body else { return Ok(()) };
        if body.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            let process = thread.process;
            thread.body = None;
            if self.threads.iter().all(|t| t.process != process || t.body.is_none()) {
                self.end(process, Fate::Left);
            }
        }
        match self.shared.world.borrow_mut().violation.take() {
            Some(what) => Err(what),
            None => Ok(()),
        }
    }

    /// Gives so many turns to thread `index`.
    pub(crate) fn steps(&mut self, index: usize, count: usize) -> Result<(), String> {
        (0..count).try_for_each(|_| self.step(index))
    }

    /// Gives turns to everybody until `process` (or, if `None`, everybody) has ended.
    pub(crate) fn settle(&mut self, process: Option<usize>) -> Result<(), String> {
        let deadline = self.turns() + PATIENCE;
        while match process {
            Some(process) => self.alive().contains(&process),
            None => !self.alive().is_empty(),
        } {
            if self.turns() > deadline {
                return Err(format!("processes {:?} do not come to an end", self.alive()));
            }
            self.turn()?;
        }
        Ok(())
    }

    /// At the end of everything no buffer is in use.
    pub(crate) fn everything_is_back(&self) -> Result<(), String> {
        let world = self.shared.world.borrow();
        match world.buffers.iter().position(|b| b.allocated) {
            Some(id) => Err(format!("buffer {id} is not back: {:?}", world.buffers[id])),
            None => Ok(()),
        }
    }

    fn pick(&self) -> Option<usize> {
        let random = &self.shared.random;
        let can_run = |index: usize| self.threads[index].body.is_some();
        let wants_to = |index: usize| match self.shared.waits.borrow()[index] {
            Wait::Nothing => true,
            Wait::Recovery => self.shared.world.borrow().recovering == 0 || random.one_in(16),
            Wait::Death => random.one_in(16),
        };
        if random.below(100) < self.stickiness
            && self.last < self.threads.len()
            && can_run(self.last)
            && wants_to(self.last)
            && self.threads[self.last].stopped <= self.turns()
        {
            return Some(self.last);
        }
        let runnable: Vec<_> = (0..self.threads.len())
            .filter(|i| can_run(*i) && self.threads[*i].stopped <= self.turns())
            .collect();
        if runnable.is_empty() {
            return None;
        }
        let start = random.below(runnable.len());
        let rotated = runnable[start..].iter().chain(&runnable[..start]);
        rotated.copied().find(|i| wants_to(*i))
    }
}
