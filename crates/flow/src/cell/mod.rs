//! One block at work: when it may be called, what is made of what it returns, and how it ends.

mod failure;
mod ready;
mod sleep;

use crate::block::Block;
use crate::clock::Clock;
use crate::io::Io;
use crate::link::{End, TaskId};
use crate::options::OnError;
use crate::port::{BATCH, Input, Outlet, Output};
use crate::ports::Ready;
use crate::stamp::{Carried, source_number, stamp};
use crate::stats::{Activity, BlockReport, BlockState, Counts};
use crate::work::Work;
use millrace::{Error, ErrorKind, PortQueue, Result, SharedBufferAllocator, ShmManager};
use ready::{Verdict, Want};
pub(crate) use sleep::Reason;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a block at work needs of its scheduler.
pub(crate) struct Env<'a> {
    pub(crate) shm: &'a ShmManager,
    pub(crate) allocator: &'a SharedBufferAllocator,
    /// Runs another block, if it does not run.
    pub(crate) wake: &'a dyn Fn(TaskId),
    pub(crate) clock: &'a Clock,
    /// When the call of the block that is under way has begun; 0: none is. For others.
    pub(crate) working: &'a AtomicU64,
    /// Sources end; what is under way arrives.
    pub(crate) draining: bool,
    /// The same because a block has failed: nobody can be waited for who may not hear of it.
    pub(crate) failing: bool,
    /// Nothing is under way any more, and nothing will be: links end like other queues.
    pub(crate) exhausted: bool,
    /// Everything ends.
    pub(crate) stopping: bool,
}

/// What is next for a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Another step.
    Again,
    /// Nothing, until what it waits for comes.
    Sleep(Reason),
    /// Nothing any more.
    Ended,
}

pub(crate) struct Cell {
    name: String,
    block: Box<dyn Block>,
    ready: Ready,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    state: BlockState,
    want: Want,
    on_error: OnError,
    dead_letters: Option<Arc<PortQueue>>,
    /// Failures with the message that is next.
    tries: u32,
    /// Messages that are taken one at a time, since one of them makes work fail.
    careful: usize,
    /// Its last work is done: what is staged is sent, then it ends.
    ending: bool,
    /// We have announced that we wait for memory.
    waits_for_memory: bool,
    /// What it waits for, while it sleeps.
    reason: Option<Reason>,
    counts: Counts,
    /// Its number, if it is a source; 0 otherwise.
    source: u32,
    /// What the messages it makes get of those that it takes, and what that was before the work under way.
    carried: [Carried; 2],
    /// When the last work began.
    began: u64,
    /// What it failed of, for reports.
    failure: Option<String>,
}

/// What a cell is made of.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) block: Box<dyn Block>,
    pub(crate) ready: Ready,
    pub(crate) inputs: Vec<Input>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) on_error: OnError,
    pub(crate) dead_letters: Option<Arc<PortQueue>>,
}

impl Cell {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { name, block, ready, inputs, outputs, on_error, dead_letters } = parts;
        let source = if inputs.is_empty() { source_number(&name) } else { 0 };
        Self {
            name,
            block,
            ready,
            inputs,
            outputs,
            state: BlockState::Created,
            want: Want::Ports,
            on_error,
            dead_letters,
            tries: 0,
            careful: 0,
            ending: false,
            waits_for_memory: false,
            reason: None,
            counts: Counts::new(millrace::clock_ns()),
            source,
            carried: Default::default(),
            began: 0,
            failure: None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Every queue it is linked to.
    pub(crate) fn ends(&self) -> impl Iterator<Item = &Arc<End>> {
        let outlets = self.outlets().map(|outlet| &outlet.end);
        self.inputs.iter().map(|input| &input.end).chain(outlets)
    }

    fn outlets(&self) -> impl Iterator<Item = &Outlet> {
        self.outputs.iter().flat_map(|output| &output.outlets)
    }

    /// Its number as a source; 0: it is none.
    pub(crate) fn source(&self) -> u32 {
        self.source
    }

    /// How long its calls of work take.
    pub(crate) fn usual_work(&self) -> Duration {
        self.counts.usual_work()
    }

    /// Does the next thing: sends, settles, takes, calls the block. After an error it has ended.
    pub(crate) fn step(&mut self, env: &Env<'_>) -> Result<Step> {
        self.try_step(env).map_err(|error| self.fail(env, error))
    }

    fn try_step(&mut self, env: &Env<'_>) -> Result<Step> {
        if self.waits_for_memory {
            self.waits_for_memory = false;
            env.shm.disarm_pool();
            self.want = Want::Ports;
        }
        if env.stopping {
            return self.finish(env);
        }
        if self.state == BlockState::Created {
            self.state = BlockState::Running;
            self.guarded(|block, _| block.start(), env, 0)?;
        }
        if let Some(output) = self.flush(env)? {
            return Ok(Step::Sleep(Reason::Output(output)));
        }
        self.settle(env)?;
        let nobody_listens = !self.outputs.is_empty() && self.outputs.iter().all(Output::is_closed);
        if self.ending || nobody_listens {
            return self.finish(env);
        }
        self.fill(env)?;
        match self.verdict(env)? {
            Verdict::Work => self.work(env),
            Verdict::Wait(reason) => Ok(Step::Sleep(reason)),
            Verdict::End => self.begin_end(env),
        }
    }

    /// Sends what is staged; returns the output that has no room for all of it.
    fn flush(&mut self, env: &Env<'_>) -> Result<Option<usize>> {
        let mut blocked = None;
        for (at, output) in self.outputs.iter_mut().enumerate() {
            for outlet in &mut output.outlets {
                let flushed = outlet.flush(env.shm, env.allocator)?;
                self.counts.items_out += flushed.sent as u64;
                if flushed.sent > 0
                    && let Some(local) = &outlet.end.local
                {
                    (env.wake)(local.to.block);
                }
                if !flushed.all {
                    blocked = blocked.or(Some(at));
                }
            }
        }
        Ok(blocked)
    }

    /// All that was sent is in queues: lets go of what it was made of.
    fn settle(&mut self, env: &Env<'_>) -> Result<()> {
        for input in &mut self.inputs {
            self.counts.items_in += input.settle(env.allocator, self.began)? as u64;
        }
        Ok(())
    }

    fn fill(&mut self, env: &Env<'_>) -> Result<()> {
        for (at, input) in self.inputs.iter_mut().enumerate() {
            let min = match self.want {
                Want::Input { input, min } if input == at => min,
                _ => input.min,
            };
            // A link ends when those who send to it do.
            let is_link = input.end.local.is_some() || (input.end.only && !env.failing);
            let draining = env.exhausted || (env.draining && !is_link);
            let got = input.fill(env.shm, min, self.block.demand(at), draining)?;
            if got
                && let Some(local) = &input.end.local
                && local.take_blocked()
            {
                local.from.iter().for_each(|port| (env.wake)(port.block));
            }
        }
        Ok(())
    }

    fn work(&mut self, env: &Env<'_>) -> Result<Step> {
        let budget = if self.careful > 0 { 1 } else { BATCH };
        self.began = env.clock.read();
        self.counts.switch(Activity::Busy, self.began);
        let worked = self.called(|block, io| block.work(io), env, budget);
        self.counts.worked(env.clock.read());
        let work = match worked {
            Called::Returned(Ok(work)) => work,
            Called::Returned(Err(error)) => return self.try_again(env, error),
            Called::Panicked(error) => return Err(error),
        };
        let taken: usize = self.inputs.iter().map(Input::taken).sum();
        let sent = self.commit(env)?;
        if taken > 0 {
            self.tries = 0;
            self.careful = self.careful.saturating_sub(taken);
        }
        let received = self.received();
        self.want = match work {
            Work::Ok if taken + sent > 0 => Want::Ports,
            Work::Ok => match self.outputs.iter().position(|output| output.was_full.get()) {
                Some(output) => Want::Output(output),
                None => Want::Change { received },
            },
            Work::NeedInput { input, min } => Want::Input { input, min },
            Work::NeedOutput { output } => Want::Output(output),
            Work::NeedMemory { bytes } => Want::Memory(bytes),
            Work::WaitUntil { at } => Want::Time { at, received },
            Work::Done => {
                self.ending = true;
                Want::Ports
            }
        };
        self.check_want()?;
        Ok(Step::Again)
    }

    /// Stages what the work has sent; returns how many messages that are.
    fn commit(&mut self, env: &Env<'_>) -> Result<usize> {
        let mut sent = 0;
        // First: should one of these fail, the outputs have some of the inputs' references already.
        self.inputs.iter_mut().for_each(Input::commit);
        let stamp = if self.source == 0 { 0 } else { stamp(self.source, env.clock.last()) };
        for output in &mut self.outputs {
            sent += output.pending();
            output.commit(&mut self.inputs, env.allocator, stamp)?;
        }
        Ok(sent)
    }

    fn rollback(&mut self, env: &Env<'_>) {
        self.outputs.iter_mut().for_each(|output| output.rollback(env.allocator));
        self.inputs.iter_mut().for_each(Input::rollback);
        self.carried[0] = self.carried[1];
    }

    /// Every input has ended, or the sources are to: what is held back is sent, then it ends.
    fn begin_end(&mut self, env: &Env<'_>) -> Result<Step> {
        self.ending = true;
        self.guarded(|block, io| block.end(io), env, BATCH)?;
        self.commit(env)?;
        Ok(Step::Again)
    }

    /// Calls the block; a panic is an error, as what it returns is.
    fn guarded(
        &mut self,
        call: impl FnOnce(&mut dyn Block, &mut Io<'_>) -> Result<()>,
        env: &Env<'_>,
        budget: usize,
    ) -> Result<()> {
        match self.called(call, env, budget) {
            Called::Returned(result) => result,
            Called::Panicked(error) => Err(error),
        }
    }

    fn called<T>(
        &mut self,
        call: impl FnOnce(&mut dyn Block, &mut Io<'_>) -> Result<T>,
        env: &Env<'_>,
        budget: usize,
    ) -> Called<T> {
        self.carried[1] = self.carried[0];
        let Self { block, inputs, outputs, tries, carried: [carried, _], .. } = self;
        outputs.iter().for_each(|output| output.was_full.set(false));
        let (shm, allocator, began) = (env.shm, env.allocator, env.clock.last());
        let (now, tries) = (env.clock.time(began), *tries);
        let mut io = Io { inputs, outputs, shm, allocator, carried, now, tries, budget };
        // Relaxed: whoever reports it is content with what it was a moment ago.
        env.working.store(began, Ordering::Relaxed);
        // What a panic leaves of the block is never used again: it has failed.
        let called = catch_unwind(AssertUnwindSafe(|| call(&mut **block, &mut io)));
        env.working.store(0, Ordering::Relaxed);
        match called {
            Ok(result) => Called::Returned(result),
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                let text = text.unwrap_or_else(|| "a panic without a text".to_owned());
                Called::Panicked(Error::new(ErrorKind::BlockFailed, format!("panicked: {text}")))
            }
        }
    }

    /// Ends it: everything goes back to where it belongs, and its neighbours hear of it.
    fn finish(&mut self, env: &Env<'_>) -> Result<Step> {
        if self.state == BlockState::Stopped {
            // It has, and its stop() has failed.
            return Ok(Step::Ended);
        }
        let stopped = if self.state == BlockState::Running {
            self.guarded(|block, _| block.stop(), env, 0)
        } else {
            Ok(())
        };
        self.state = BlockState::Stopped;
        // What came of it is in queues, so it is done; of other work nothing is settled.
        let settled = if self.outlets().all(Outlet::is_flushed) { self.settle(env) } else { Ok(()) };
        // What was made of messages that come again is made again.
        let (mut made_of, mut comes_again) = (0, true);
        for input in &mut self.inputs {
            made_of += input.taken();
            let left = input.leave(env.shm, env.allocator);
            self.counts.lost += left.lost;
            comes_again &= left.comes_again;
        }
        for outlet in self.outputs.iter_mut().flat_map(|output| &mut output.outlets) {
            let left = outlet.leave(env.shm, env.allocator);
            self.counts.lost += if made_of > 0 && comes_again { 0 } else { left };
        }
        for local in self.ends().filter_map(|end| end.local.as_ref()) {
            local.from.iter().chain([&local.to]).for_each(|port| (env.wake)(port.block));
        }
        self.counts.switch(Activity::Idle, env.clock.read());
        stopped.and(settled).map(|()| Step::Ended)
    }

    pub(crate) fn report(&self) -> BlockReport {
        let mut report = BlockReport {
            name: self.name.clone(),
            state: self.state,
            error: self.failure.clone(),
            gaps: self.inputs.iter().map(Input::gaps).sum(),
            undelivered: self.outlets().map(|outlet| outlet.undelivered).sum(),
            latencies: self
                .inputs
                .iter()
                .flat_map(|input| input.latencies.report(&input.end.port.label))
                .collect(),
            counters: self.block.counters(),
            ..BlockReport::default()
        };
        self.counts.fill(&mut report, matches!(self.state, BlockState::Stopped | BlockState::Failed));
        report
    }
}

enum Called<T> {
    Returned(Result<T>),
    Panicked(Error),
}
