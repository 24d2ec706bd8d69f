//! What a block waits for, and how it announces that.

use super::{Cell, Env, Want};
use crate::link::End;
use crate::stats::Activity;
use std::time::{Duration, Instant};

/// What a block waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Messages at this input.
    Input(usize),
    /// Messages at any input, or the end of one.
    AnyInput,
    /// Room at this output.
    Output(usize),
    /// A buffer of so many bytes.
    Memory(usize),
    /// A time, or messages at any input.
    Time(Duration),
}

impl Reason {
    /// When its sleep ends in any case.
    pub(crate) fn time(self) -> Option<Duration> {
        match self {
            Self::Time(at) => Some(at),
            _ => None,
        }
    }
}

impl Cell {
    /// Announces what it waits for; `false`: it has come already. Whatever it does not wait for, it does not announce.
    pub(crate) fn prepare_sleep(&mut self, reason: Reason, env: &Env<'_>) -> bool {
        for (at, input) in self.inputs.iter().enumerate() {
            let waits = match reason {
                Reason::Input(input) => input == at,
                Reason::AnyInput | Reason::Time(_) => true,
                Reason::Output(_) | Reason::Memory(_) => false,
            };
            if !announce(&input.end, waits && input.wants_more(), env) {
                return false;
            }
        }
        for (at, output) in self.outputs.iter().enumerate() {
            let waits = reason == Reason::Output(at);
            let mut blocked = 0;
            for outlet in &output.outlets {
                let is_blocked = waits && outlet.is_blocked(env.shm);
                blocked += usize::from(is_blocked);
                if !announce(&outlet.end, is_blocked, env) {
                    return false;
                }
            }
            if waits && blocked == 0 {
                // There is room by now.
                return false;
            }
        }
        if let Reason::Memory(bytes) = reason {
            self.waits_for_memory = env.shm.arm_pool(bytes);
            if !self.waits_for_memory {
                self.want = Want::Ports;
                return false;
            }
        }
        let activity = match reason {
            Reason::Input(_) | Reason::AnyInput => Activity::Starved,
            Reason::Output(_) | Reason::Memory(_) => Activity::Backpressured,
            Reason::Time(_) => Activity::Idle,
        };
        self.counts.switch(activity, Instant::now());
        self.reason = Some(reason);
        true
    }

    /// Whether every notification may be for it: it waits for memory, or for a queue that does not exist.
    pub(crate) fn waits_for_anything(&self) -> bool {
        self.waits_for_memory || self.ends().any(|end| end.known().is_none())
    }

    /// Whether it has announced to others that it waits.
    pub(crate) fn is_armed(&self) -> bool {
        self.ends().any(|end| end.is_armed())
    }

    /// Whether it waits for messages alone, and there are none.
    pub(crate) fn has_nothing_to_do(&self) -> bool {
        let is_empty = |end: &End| end.known().is_none_or(|queue| queue.is_empty());
        matches!(self.reason, Some(Reason::Input(_) | Reason::AnyInput))
            && self.inputs.iter().all(|input| input.len() == 0 && is_empty(&input.end))
    }

    /// Whether it has ever dealt with a message.
    pub(crate) fn has_taken(&self) -> bool {
        self.counts.items_in > 0
    }

    /// Why it sleeps, in words.
    pub(crate) fn explain(&self) -> String {
        let name = &self.name;
        let Some(reason) = self.reason else { return format!("{name:?} has not begun") };
        match reason {
            Reason::Input(input) => {
                format!("{name:?} waits for messages in {:?}", self.inputs[input].end.name())
            }
            Reason::AnyInput | Reason::Time(_) => format!("{name:?} waits for messages"),
            Reason::Output(output) => {
                let full = self.outputs[output].outlets.iter().map(|outlet| outlet.end.name());
                format!("{name:?} waits for room in {:?}", full.collect::<Vec<_>>().join(", "))
            }
            Reason::Memory(bytes) => format!("{name:?} waits for a buffer of {bytes} bytes"),
        }
    }
}

/// Announces that a block waits at `end`, or that it does not; `false`: what it waits for is there.
fn announce(end: &End, waits: bool, env: &Env<'_>) -> bool {
    if !waits {
        end.disarm();
        return true;
    }
    if end.known().is_none() {
        env.shm.arm_names();
        // An error shows when the block is stepped.
        if !matches!(end.queue(env.shm), Ok(None)) {
            return false;
        }
    }
    end.arm()
}
