//! What becomes of a message that work fails with, and of a block that has failed.

use super::{Cell, Env, Step, Want};
use crate::options::{OnError, Then};
use crate::port::Input;
use crate::stats::BlockState;
use millrace::{Error, Result};

impl Cell {
    /// Work has failed: does what is to be done then.
    pub(super) fn try_again(&mut self, env: &Env<'_>, error: Error) -> Result<Step> {
        let taken = self.inputs.iter().map(Input::taken).max().unwrap_or(0);
        let all: usize = self.inputs.iter().map(Input::taken).sum();
        let OnError { retries, backoff, then } = self.on_error;
        if taken > 1 && (retries > 0 || then != Then::Fail) {
            // One of them is to blame: it is found by taking one at a time.
            self.rollback(env);
            self.careful = taken;
            return Ok(Step::Again);
        }
        self.tries += 1;
        if self.tries <= retries {
            self.rollback(env);
            self.counts.retried += 1;
            let pause = backoff.saturating_mul(1 << (self.tries - 1).min(16));
            self.want = Want::Time {
                at: env.clock.time(env.clock.last()).saturating_add(pause),
                received: self.received(),
            };
            return Ok(Step::Again);
        }
        if then == Then::Fail || all == 0 {
            // Without a message to blame it would fail again, for ever.
            self.rollback(env);
            return Err(error);
        }
        self.tries = 0;
        // The pause before the last retry is over: the next call is about other messages.
        self.want = Want::Ports;
        self.careful = self.careful.saturating_sub(taken);
        self.outputs.iter_mut().for_each(|output| output.rollback(env.allocator));
        let moved = if then == Then::DeadLetter { self.dead_letter(env)? } else { 0 };
        self.counts.dead_lettered += moved;
        self.counts.skipped += all as u64 - moved;
        for input in &mut self.inputs {
            input.settle(env.allocator, self.began)?;
        }
        Ok(Step::Again)
    }

    /// Moves what was taken to the dead letters, as far as they take it; returns how many messages that were.
    fn dead_letter(&mut self, env: &Env<'_>) -> Result<u64> {
        let Some(queue) = &self.dead_letters else { return Ok(0) };
        let mut moved = 0;
        for input in &mut self.inputs {
            for at in 0..input.taken() {
                let buffer = input.reference(at, env.allocator)?;
                let (sent, outcome) = queue.send(&[buffer]);
                moved += sent as u64;
                if sent == 0 {
                    env.allocator.release(buffer)?;
                    outcome?;
                }
            }
        }
        Ok(moved)
    }

    /// Ends it, since it has failed; returns the error that tells of it.
    pub(super) fn fail(&mut self, env: &Env<'_>, error: Error) -> Error {
        let error = error.about(&format!("block {:?}", self.name));
        self.failure = Some(error.to_string());
        self.rollback(env);
        // Its first error counts.
        let _ = self.finish(env);
        self.state = BlockState::Failed;
        error
    }
}
