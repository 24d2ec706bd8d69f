//! Join: messages of several inputs that belong together.

mod approximate;
mod driven;
mod lanes;
mod policy;
mod send;
mod settings;
mod window;

use super::split::PORTS_MAX;
use crate::block::Block;
use crate::io::Io;
use crate::ports::{Ports, Ready};
use crate::work::Work;
use lanes::Lanes;
use millrace::{Error, Result};
use policy::{Decider, Decision, Part, Why};
use std::time::Duration;

pub use policy::JoinPolicy;

/// Messages that a join may look at, of each input.
const DEPTH_MAX: usize = 1024;

/// What becomes of more messages than [`JoinOptions::depth`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Full {
    /// They stay in their queue, and whoever sends them waits in the end.
    #[default]
    Wait,
    /// The oldest is taken out, as a leftover.
    Drop,
}

/// What becomes of messages that are in no set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leftovers {
    /// They are let go of.
    #[default]
    Drop,
    /// They are sent at output `rest`.
    Rest,
}

/// Options of a [`Join`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinOptions {
    /// Messages of each input that it looks at, 1 to 1024. Default 16.
    pub depth: usize,
    /// How long a message may wait for others, since the join has seen it. After that, the best set that there is is sent, or the message is a
    /// leftover. Default: for ever.
    pub deadline: Option<Duration>,
    /// What becomes of more messages than `depth`.
    pub full: Full,
    /// What becomes of messages that are in no set.
    pub leftovers: Leftovers,
}

impl Default for JoinOptions {
    fn default() -> Self {
        Self { depth: 16, deadline: None, full: Full::Wait, leftovers: Leftovers::Drop }
    }
}

#[derive(Debug, Default)]
struct Counts {
    sets: u64,
    unmatched: u64,
    expired: u64,
    overflowed: u64,
    misfits: u64,
}

/// Puts together messages of several inputs by their times. Inputs: `in0`, `in1`, … Outputs: `out0`, `out1`, …, which are in step: message n of
/// each is its part of set n. They are the messages themselves, not copies, with their own times and sequence numbers; so link the outputs
/// by queues that drop nothing.
///
/// With [`JoinPolicy::Window`] a set has any number of messages of each input. Then there is output `window`, with a message per set: its
/// sequence number is that of the window, its time the window's beginning, and its bytes say how many messages of each output
/// belong to it, each a `u64`, little-endian.
///
/// Messages wait in their inputs; what no set will have is let go of at once, or goes to output `rest`, which exists with
/// [`Leftovers::Rest`]. It ends when no further set is possible, with [`Leftovers::Rest`] when all inputs have ended. Counters: `sets`, and of
/// leftovers: `unmatched`; `expired`: the deadline was over; `overflowed`: more than `depth`; `misfits`: without a time, with another kind of
/// time than the first message, or older than the message before.
///
/// ```
/// use millrace_flow::Block;
/// use millrace_flow::blocks::{Join, JoinOptions, JoinPolicy};
///
/// // Camera and lidar, at most 20 ms apart.
/// let policy = JoinPolicy::Approximate { tolerance: 20_000_000 };
/// let join = Join::new(2, policy, JoinOptions::default())?;
/// assert_eq!(join.ports().outputs.len(), 2);
/// # Ok::<_, millrace::Error>(())
/// ```
#[derive(Debug)]
pub struct Join {
    inputs: usize,
    is_window: bool,
    options: JoinOptions,
    decider: Decider,
    lanes: Lanes,
    counts: Counts,
}

impl Join {
    /// One with `inputs` inputs, 2 to 64.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn new(inputs: usize, policy: JoinPolicy, options: JoinOptions) -> Result<Self> {
        let refuse = |what: String| Err(Error::invalid_argument(what));
        if !(2..=PORTS_MAX).contains(&inputs) {
            return refuse(format!("setting inputs of Join is {inputs}, must be 2 to {PORTS_MAX}"));
        }
        if !(1..=DEPTH_MAX).contains(&options.depth) {
            return refuse(format!("setting depth of Join is {}, must be 1 to {DEPTH_MAX}", options.depth));
        }
        match policy {
            JoinPolicy::Latest { driver }
            | JoinPolicy::Nearest { driver, .. }
            | JoinPolicy::Interpolate { driver, .. }
                if driver >= inputs =>
            {
                return refuse(format!("setting driver of Join is {driver}, must be below {inputs}"));
            }
            JoinPolicy::Nearest { .. } | JoinPolicy::Interpolate { .. } if options.depth < 2 => {
                return refuse(
                    "setting depth of Join is 1, must be 2 at least: one before and one after".to_owned(),
                );
            }
            JoinPolicy::Window { size, slide } if size == 0 || slide == 0 => {
                return refuse(format!(
                    "settings size and slide of Join are {size} and {slide}, must be 1 at least"
                ));
            }
            _ => {}
        }
        let timed = !matches!(policy, JoinPolicy::Latest { .. });
        let is_window = matches!(policy, JoinPolicy::Window { .. });
        Ok(Self {
            inputs,
            is_window,
            options,
            decider: Decider::new(policy, inputs),
            lanes: Lanes::new(inputs, options.depth + usize::from(is_window), timed),
            counts: Counts::default(),
        })
    }

    /// Number of output `rest`.
    fn rest(&self) -> usize {
        self.inputs + usize::from(self.is_window)
    }

    /// Does one thing after the other, until there is nothing to do, or it has to stop for others.
    fn work_on(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let mut done = 0_usize;
        loop {
            self.lanes.look(io)?;
            let step = match self.decide(io) {
                Decision::Wait => return Ok(self.wait(io.now())),
                Decision::Over => return self.end_with(io),
                Decision::Discard(lane, why) => self.discard(io, lane, why)?,
                Decision::Send(parts) => self.send(io, &parts)?,
                Decision::SendWindow { number, start, counts } => {
                    self.send_window(io, (number, start), &counts)?
                }
                Decision::TooLarge(lane) if self.options.full == Full::Drop => {
                    self.discard(io, lane, Why::Overflow)?
                }
                // An error takes back what was done before: it has to be sent first.
                Decision::TooLarge(_) if done > 0 => Some(Work::Ok),
                Decision::TooLarge(lane) => return self.fail_too_large(io, lane),
            };
            if let Some(work) = step {
                return Ok(work);
            }
            done += 1;
        }
    }

    fn decide(&mut self, io: &Io<'_>) -> Decision {
        if let Some(lane) = self.lanes.lanes.iter().position(lanes::Lane::misfit_is_next) {
            return Decision::Discard(lane, Why::Misfit);
        }
        let decision = self.decider.decide(&self.lanes);
        if decision != Decision::Wait {
            return decision;
        }
        if self.options.full == Full::Drop
            && let Some(lane) = self.lanes.lanes.iter().position(|lane| lane.overflows)
        {
            return Decision::Discard(lane, Why::Overflow);
        }
        let Some(deadline) = self.options.deadline else { return Decision::Wait };
        let now = io.now();
        let is_over = |lane: &lanes::Lane| lane.get(0).is_some_and(|waiting| waiting.since + deadline <= now);
        (0..self.inputs)
            .filter(|lane| is_over(&self.lanes.lanes[*lane]))
            .map(|lane| self.decider.expire(&self.lanes, lane, deadline, now))
            .find(|decision| *decision != Decision::Wait)
            .unwrap_or(Decision::Wait)
    }

    /// Until when it can do nothing.
    fn wait(&self, now: Duration) -> Work {
        if self.lanes.lanes.iter().all(lanes::Lane::has_ended) {
            return Work::Done;
        }
        let seen = self.lanes.lanes.iter().filter_map(|lane| lane.get(0));
        let ends = seen.zip(std::iter::repeat(self.options.deadline)).filter_map(|(waiting, deadline)| {
            // What is over already waits for something else.
            Some(waiting.since + deadline?).filter(|at| *at > now)
        });
        ends.min().map_or(Work::Ok, |at| Work::WaitUntil { at })
    }

    /// No set is possible any more: what waits is left over, and with output `rest` also what comes.
    fn end_with(&mut self, io: &mut Io<'_>) -> Result<Work> {
        while let Some(lane) =
            self.lanes.lanes.iter().position(|lane| lane.len() > 0 || lane.misfit_is_next())
        {
            let why = if self.lanes.lanes[lane].misfit_is_next() { Why::Misfit } else { Why::Passed };
            if let Some(work) = self.discard(io, lane, why)? {
                return Ok(work);
            }
            self.lanes.look(io)?;
        }
        let all_ended = self.lanes.lanes.iter().all(lanes::Lane::has_ended);
        Ok(if all_ended || self.options.leftovers == Leftovers::Drop { Work::Done } else { Work::Ok })
    }
}

impl Block for Join {
    fn ports(&self) -> Ports {
        let ports = (0..self.inputs).fold(Ports::new(), |ports, at| ports.input(format!("in{at}")));
        // One more than it looks at: to see whether there are more.
        let ports = ports.ready(Ready::Any).prefetch(self.lanes.depth + 1);
        let ports = (0..self.inputs).fold(ports, |ports, at| ports.output(format!("out{at}")));
        let ports = if self.is_window { ports.output("window") } else { ports };
        if self.options.leftovers == Leftovers::Rest { ports.output("rest") } else { ports }
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let worked = self.work_on(io);
        if worked.is_err() {
            self.lanes.reset();
            self.decider.reset();
        }
        worked
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let Counts { sets, unmatched, expired, overflowed, misfits } = self.counts;
        vec![
            ("sets", sets),
            ("unmatched", unmatched),
            ("expired", expired),
            ("overflowed", overflowed),
            ("misfits", misfits),
        ]
    }
}
