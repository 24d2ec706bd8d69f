//! What a join knows of its inputs: the times of the messages that wait there, in order.

use crate::io::Io;
use millrace::{Message, Result};
use std::collections::VecDeque;
use std::time::Duration;

/// A message that waits at an input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) time: u64,
    /// When it was first seen.
    pub(super) since: Duration,
    /// It has been part of a set.
    pub(super) used: bool,
    /// Misfits directly before it.
    misfits: usize,
}

/// The messages that wait at one input. Misfits, which no set may have, are left out: those without a time, or with another kind of time
/// than the first message, and those that are older than the one before them.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    waiting: VecDeque<Waiting>,
    /// Misfits behind them.
    misfits: usize,
    /// Messages that have been looked at.
    seen: usize,
    /// The newest time so far.
    newest: u64,
    /// Nothing comes after what waits.
    pub(super) complete: bool,
    /// No more messages are looked at before some of these are taken, and there are more.
    pub(super) overflows: bool,
}

impl Lane {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Waiting> {
        self.waiting.get(at)
    }

    pub(super) fn time(&self, at: usize) -> Option<u64> {
        self.waiting.get(at).map(|waiting| waiting.time)
    }

    /// Times of all that wait.
    pub(super) fn times(&self) -> impl Iterator<Item = u64> {
        self.waiting.iter().map(|waiting| waiting.time)
    }

    /// Whether nothing waits, and nothing comes.
    pub(super) fn has_ended(&self) -> bool {
        self.complete && self.waiting.is_empty()
    }

    /// Whether the next message is a misfit.
    pub(super) fn misfit_is_next(&self) -> bool {
        self.waiting.front().map_or(self.misfits, |waiting| waiting.misfits) > 0
    }

    /// Place in the input of the message behind `at` others that wait.
    pub(super) fn place(&self, at: usize) -> usize {
        self.waiting.iter().take(at + 1).map(|waiting| waiting.misfits + 1).sum::<usize>() - 1
    }

    pub(super) fn mark_used(&mut self, at: usize) {
        if let Some(waiting) = self.waiting.get_mut(at) {
            waiting.used = true;
        }
    }

    /// The next message has been taken from the input.
    pub(super) fn take(&mut self) {
        self.seen -= 1;
        match self.waiting.front_mut() {
            None => self.misfits -= 1,
            Some(waiting) if waiting.misfits > 0 => waiting.misfits -= 1,
            Some(_) => _ = self.waiting.pop_front(),
        }
    }

    #[cfg(test)]
    pub(super) fn of(times: &[u64]) -> Self {
        let waiting =
            times.iter().map(|time| Waiting { time: *time, since: Duration::ZERO, used: false, misfits: 0 });
        Self { waiting: waiting.collect(), complete: true, ..Self::default() }
    }
}

/// The messages that wait at all inputs.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    pub(super) lanes: Vec<Lane>,
    /// Messages that are looked at, of each input.
    pub(super) depth: usize,
    /// Whether times matter.
    timed: bool,
    /// The kind of time of the first message.
    kind: Option<u32>,
}

impl Lanes {
    pub(super) fn new(inputs: usize, depth: usize, timed: bool) -> Self {
        Self { lanes: vec![Lane::default(); inputs], depth, timed, kind: None }
    }

    /// Forgets what has been seen: work has failed, and what it took is there again.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.lanes.len(), self.depth, self.timed);
    }

    /// The kind of time, as far as it is known.
    pub(super) fn kind(&self) -> u32 {
        self.kind.unwrap_or(0)
    }

    /// Looks at what has come.
    pub(super) fn look(&mut self, io: &Io<'_>) -> Result<()> {
        for input in 0..self.lanes.len() {
            loop {
                let lane = &mut self.lanes[input];
                let next = io.peek(input, lane.seen)?;
                lane.complete = next.is_none() && io.is_closed(input);
                lane.overflows = next.is_some() && lane.seen >= self.depth;
                let (Some(message), false) = (next, lane.overflows) else { break };
                self.add(input, &message, io.now());
            }
        }
        Ok(())
    }

    fn add(&mut self, input: usize, message: &Message<'_>, since: Duration) {
        let is_timed = !self.timed || self.has_time(message);
        let lane = &mut self.lanes[input];
        lane.seen += 1;
        let time = if self.timed { message.timestamp() } else { 0 };
        if !is_timed || time < lane.newest {
            lane.misfits += 1;
            return;
        }
        lane.newest = time;
        let misfits = std::mem::take(&mut lane.misfits);
        lane.waiting.push_back(Waiting { time, since, used: false, misfits });
    }

    /// Whether a message has a time, and of the same kind as the others.
    pub(super) fn has_time(&mut self, message: &Message<'_>) -> bool {
        let kind = message.timestamp_kind();
        kind != 0 && *self.kind.get_or_insert(kind) == kind
    }

    /// The oldest and the newest of the messages behind `at` others of their lane each, and their lanes; `Err`: the first lane that has none.
    pub(super) fn span(&self, at: &[usize]) -> std::result::Result<Span, usize> {
        let mut span: Option<Span> = None;
        for (lane, at) in at.iter().enumerate() {
            let time = self.lanes[lane].time(*at).ok_or(lane)?;
            let span = span.get_or_insert(Span { oldest: lane, start: time, newest: lane, end: time });
            if time < span.start {
                (span.oldest, span.start) = (lane, time);
            }
            if time >= span.end {
                (span.newest, span.end) = (lane, time);
            }
        }
        span.ok_or(0)
    }
}

/// From the oldest to the newest message of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) oldest: usize,
    pub(super) start: u64,
    pub(super) newest: usize,
    pub(super) end: u64,
}
