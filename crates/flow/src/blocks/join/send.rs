//! How a join carries out its decisions.

use super::lanes::Lane;
use super::{Join, Leftovers, Part, Why};
use crate::blocks::bytes::bytes;
use crate::io::{Io, NewMessage};
use crate::work::Work;
use millrace::{Error, Message, Result};

/// What stops a join in the middle of things, if anything does.
type Stop = Option<Work>;

impl Join {
    /// Takes out the next message of a lane.
    pub(super) fn discard(&mut self, io: &mut Io<'_>, lane: usize, why: Why) -> Result<Stop> {
        let was_used =
            why == Why::Passed && self.lanes.lanes[lane].get(0).is_some_and(|waiting| waiting.used);
        let goes_on = self.options.leftovers == Leftovers::Rest && !was_used;
        if goes_on && io.room(self.rest())? == 0 {
            return Ok(Some(Work::NeedOutput { output: self.rest() }));
        }
        // None: it has taken as many as one call may.
        let Some(message) = io.next(lane)? else { return Ok(Some(Work::Ok)) };
        if goes_on {
            io.forward(self.rest(), message);
        }
        if !was_used {
            let count = match why {
                Why::Passed => &mut self.counts.unmatched,
                Why::Expired => &mut self.counts.expired,
                Why::Overflow => &mut self.counts.overflowed,
                Why::Misfit => &mut self.counts.misfits,
            };
            *count += 1;
        }
        self.lanes.lanes[lane].take();
        self.decider.discarded(lane, why);
        Ok(None)
    }

    /// The first output of a set that has no room.
    fn without_room(&self, io: &Io<'_>) -> Result<Stop> {
        for output in 0..self.inputs + usize::from(self.is_window) {
            if io.room(output)? == 0 {
                return Ok(Some(Work::NeedOutput { output }));
            }
        }
        Ok(None)
    }

    /// Sends a set.
    pub(super) fn send(&mut self, io: &mut Io<'_>, parts: &[Part]) -> Result<Stop> {
        let mut takes = parts.iter().enumerate().filter(|(_, part)| **part == Part::Take);
        if takes.any(|(lane, _)| io.available(lane) == 0) {
            // It has taken as many as one call may.
            return Ok(Some(Work::Ok));
        }
        if let Some(stop) = self.without_room(io)? {
            return Ok(Some(stop));
        }
        // New messages first: nothing has been taken if there is no memory for one.
        let mut made = Vec::new();
        for (lane, part) in parts.iter().enumerate() {
            if let Part::Between(at, time) = *part {
                match between(io, lane, &self.lanes.lanes[lane], at, time, self.lanes.kind())? {
                    Between::Made(message) => made.push(message),
                    Between::NoMemory(bytes) => return Ok(Some(Work::NeedMemory { bytes })),
                    Between::Unlike => return self.skip(io, parts),
                }
            }
        }
        let mut made = made.into_iter();
        for (lane, part) in parts.iter().enumerate() {
            match *part {
                Part::Take => {
                    if let Some(message) = io.next(lane)? {
                        io.forward(lane, message);
                    }
                    self.lanes.lanes[lane].take();
                }
                Part::Keep(at) => {
                    io.forward_kept(lane, lane, self.lanes.lanes[lane].place(at));
                    self.lanes.lanes[lane].mark_used(at);
                }
                Part::Between(at, _) => {
                    if let Some(message) = made.next() {
                        io.send(lane, message);
                    }
                    self.lanes.lanes[lane].mark_used(at);
                    self.lanes.lanes[lane].mark_used(at + 1);
                }
            }
        }
        self.counts.sets += 1;
        self.decider.sent();
        Ok(None)
    }

    /// A set of which a part cannot be made: the driver's message is left over.
    fn skip(&mut self, io: &mut Io<'_>, parts: &[Part]) -> Result<Stop> {
        let driver = parts.iter().position(|part| *part == Part::Take);
        self.discard(io, driver.unwrap_or(0), Why::Passed)
    }

    /// Sends a window, whose messages stay: the next one may have them, too.
    pub(super) fn send_window(
        &mut self,
        io: &mut Io<'_>,
        (number, start): (u64, u64),
        counts: &[usize],
    ) -> Result<Stop> {
        if let Some(stop) = self.without_room(io)? {
            return Ok(Some(stop));
        }
        let bytes = size_of::<u64>() * counts.len();
        let Some(mut window) = io.allocate(bytes)? else { return Ok(Some(Work::NeedMemory { bytes })) };
        for (count, into) in counts.iter().zip(window.bytes_mut().as_chunks_mut::<8>().0) {
            *into = (*count as u64).to_le_bytes();
        }
        window.set_timestamp(self.lanes.kind(), start);
        window.set_sequence(number);
        io.send(self.inputs, window);
        for (lane, count) in counts.iter().enumerate() {
            for at in 0..*count {
                io.forward_kept(lane, lane, self.lanes.lanes[lane].place(at));
                self.lanes.lanes[lane].mark_used(at);
            }
        }
        self.counts.sets += 1;
        self.decider.sent();
        Ok(None)
    }

    /// A window has more messages than it may look at. The first of them is to blame: whoever skips failures gets on.
    pub(super) fn fail_too_large(&mut self, io: &mut Io<'_>, lane: usize) -> Result<Work> {
        io.next(lane)?;
        let depth = self.options.depth;
        let message = format!(
            "a window has more than {depth} messages of in{lane}: raise depth to the most that one may have, or set full to drop"
        );
        Err(Error::invalid_argument(message))
    }
}

enum Between<'a> {
    Made(NewMessage<'a>),
    NoMemory(usize),
    /// The two have other numbers of samples, or none that are whole.
    Unlike,
}

/// Makes what lies at `time` between two messages that follow each other.
fn between<'a>(
    io: &Io<'a>,
    input: usize,
    lane: &Lane,
    at: usize,
    time: u64,
    kind: u32,
) -> Result<Between<'a>> {
    let peek = |at: usize| io.peek(input, lane.place(at));
    let (Some(before), Some(after)) = (peek(at)?, peek(at + 1)?) else { return Ok(Between::Unlike) };
    let (Some(first), Some(last)) = (lane.time(at), lane.time(at + 1)) else { return Ok(Between::Unlike) };
    let length = before.len();
    if length != after.len() || !length.is_multiple_of(size_of::<f32>()) {
        return Ok(Between::Unlike);
    }
    let Some(mut made) = io.allocate(length)? else { return Ok(Between::NoMemory(length)) };
    made.describe_as(&before);
    made.set_timestamp(kind, time);
    let share = (time - first) as f64 / (last - first) as f64;
    interpolate(&before, &after, share as f32, made.bytes_mut());
    Ok(Between::Made(made))
}

fn interpolate(before: &Message<'_>, after: &Message<'_>, share: f32, into: &mut [u8]) {
    let samples = |message| bytes(message).as_chunks::<4>().0;
    for ((into, before), after) in
        into.as_chunks_mut::<4>().0.iter_mut().zip(samples(before)).zip(samples(after))
    {
        let (before, after) = (f32::from_ne_bytes(*before), f32::from_ne_bytes(*after));
        *into = (before + (after - before) * share).to_ne_bytes();
    }
}
