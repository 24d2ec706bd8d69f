//! Whether a block may be run.

use super::{Cell, Env, Reason};
use crate::port::Input;
use crate::ports::Ready;
use millrace::{Error, ErrorKind, Result};
use std::time::Duration;

/// What the last work asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// That its ports are as they say.
    Ports,
    Input {
        input: usize,
        min: usize,
    },
    Output(usize),
    Memory(usize),
    /// A time, or more messages than had come by then.
    Time {
        at: Duration,
        received: u64,
    },
    /// More messages than had come by then: it did nothing with those it has.
    Change {
        received: u64,
    },
}

/// What is next for a block that has sent everything.
pub(super) enum Verdict {
    Work,
    Wait(Reason),
    End,
}

impl Cell {
    /// Messages that have ever come, and inputs that have ended: it changes whenever an input does.
    pub(super) fn received(&self) -> u64 {
        self.inputs.iter().map(|input| input.received() + u64::from(input.is_closed())).sum()
    }

    pub(super) fn verdict(&mut self, env: &Env<'_>) -> Result<Verdict> {
        if self.inputs.is_empty() && env.draining {
            // Whatever it waits for.
            return Ok(Verdict::End);
        }
        match self.want {
            Want::Ports => {}
            Want::Input { input, min } => {
                let source = &self.inputs[input];
                if source.len() >= min {
                    return Ok(Verdict::Work);
                }
                if !source.is_closed() {
                    return Ok(Verdict::Wait(Reason::Input(input)));
                }
                // It will never have so many.
                if self.ready == Ready::All {
                    return Ok(Verdict::End);
                }
            }
            Want::Output(output) => {
                let has_room = self.outputs[output].room(env.shm)? > 0;
                return Ok(if has_room { Verdict::Work } else { Verdict::Wait(Reason::Output(output)) });
            }
            Want::Memory(bytes) => return Ok(Verdict::Wait(Reason::Memory(bytes))),
            Want::Time { at, received } => {
                let has_changed = self.tries == 0 && self.received() != received;
                // The last reading will do: if it is due since, so is the timer, at once.
                let is_due = has_changed || env.clock.time(env.clock.last()) >= at;
                return Ok(if is_due { Verdict::Work } else { Verdict::Wait(Reason::Time(at)) });
            }
            Want::Change { received } if self.received() == received && !self.inputs.is_empty() => {
                return Ok(Verdict::Wait(Reason::AnyInput));
            }
            Want::Change { .. } => {}
        }
        for (at, output) in self.outputs.iter().enumerate() {
            if output.room(env.shm)? == 0 {
                return Ok(Verdict::Wait(Reason::Output(at)));
            }
        }
        Ok(self.verdict_of_inputs())
    }

    fn verdict_of_inputs(&self) -> Verdict {
        if self.inputs.is_empty() {
            return Verdict::Work;
        }
        // Of an input that has ended, none is ever enough.
        let has_enough =
            |input: &Input| !input.has_ended() && (input.len() >= input.min || input.is_closed());
        match self.ready {
            Ready::All => match self.inputs.iter().position(|input| !has_enough(input)) {
                None => Verdict::Work,
                Some(_) if self.inputs.iter().any(Input::has_ended) => Verdict::End,
                Some(at) => Verdict::Wait(Reason::Input(at)),
            },
            Ready::Any if self.inputs.iter().any(has_enough) => Verdict::Work,
            Ready::Any if self.inputs.iter().all(Input::has_ended) => Verdict::End,
            Ready::Any => Verdict::Wait(Reason::AnyInput),
        }
    }

    /// Refuses what a block may not ask for.
    pub(super) fn check_want(&self) -> Result<()> {
        let (what, number, count) = match self.want {
            Want::Input { input, .. } => ("input", input, self.inputs.len()),
            Want::Output(output) => ("output", output, self.outputs.len()),
            _ => return Ok(()),
        };
        if number < count {
            return Ok(());
        }
        let message = format!("work() waits for {what} {number}, and it has {count}");
        Err(Error::new(ErrorKind::BlockFailed, message))
    }
}
