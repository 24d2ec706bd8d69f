//! What a block waits for, and how it announces that.

use super::{Cell, Env, Want};
use crate::link::{End, TaskId};
use crate::stats::{Activity, Alone};
use millrace::Interest;
use std::sync::Arc;
use std::time::Duration;

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
            self.waits_for_memory = env.shm.arm_pool(bytes, 1);
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
        if self.counts.activity() != activity {
            self.counts.switch(activity, env.clock.last());
        }
        self.reason = Some(reason);
        true
    }

    /// Whether every notification may be for it: it waits for memory, or for a queue that does not exist.
    pub(crate) fn waits_for_anything(&self) -> bool {
        self.waits_for_memory || self.ends().any(|end| end.known().is_none())
    }

    /// Its ports at queues at whose other side nobody is.
    pub(crate) fn alone(&self) -> impl Iterator<Item = Alone> {
        self.ends().filter(|end| end.is_alone()).map(|end| Alone {
            port: end.port.label.clone(),
            queue: end.name(),
            receives: end.interest == Interest::Data,
        })
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

    /// What it waits at, if it sleeps.
    fn waits_at(&self) -> Vec<&Arc<End>> {
        match self.reason {
            Some(Reason::Input(input)) => vec![&self.inputs[input].end],
            Some(Reason::AnyInput | Reason::Time(_)) => self.inputs.iter().map(|input| &input.end).collect(),
            Some(Reason::Output(output)) => {
                let ends: Vec<_> = self.outputs[output].outlets.iter().map(|outlet| &outlet.end).collect();
                // Of several that it feeds, those that hold it up; all, if it is about to wake.
                let is_full =
                    |end: &&&Arc<End>| end.known().is_none_or(|queue| !queue.is_ready(Interest::Space));
                let full: Vec<_> = ends.iter().filter(is_full).copied().collect();
                if full.is_empty() { ends } else { full }
            }
            Some(Reason::Memory(_)) | None => Vec::new(),
        }
    }

    /// Blocks of this scheduler of which any could end its sleep.
    pub(crate) fn waits_for(&self) -> Vec<TaskId> {
        let locals = self.waits_at().into_iter().filter_map(|end| Some((end.interest, end.local.as_ref()?)));
        let others = locals.flat_map(|(interest, local)| match interest {
            Interest::Space => std::slice::from_ref(&local.to),
            _ => &local.from,
        });
        others.map(|port| port.block).collect()
    }

    /// Why it sleeps, in words.
    pub(crate) fn explain(&self) -> String {
        let name = &self.name;
        let others: Vec<_> = self.waits_at().into_iter().map(|end| end.other_side()).collect();
        let others = others.join(", ");
        match self.reason {
            None => format!("{name:?} has not begun"),
            Some(Reason::Input(input)) => {
                let (port, has) = (&self.inputs[input].end.port.label, self.inputs[input].len());
                let min = match self.want {
                    Want::Input { min, .. } => min,
                    _ => self.inputs[input].min,
                };
                format!("{port:?} has {has} of {min} messages and waits for {others}")
            }
            Some(Reason::AnyInput) => format!("{name:?} waits for messages from {others}"),
            Some(Reason::Time(_)) if others.is_empty() => format!("{name:?} waits for a time"),
            Some(Reason::Time(_)) => format!("{name:?} waits for a time, or for messages from {others}"),
            Some(Reason::Output(output)) => {
                let port = self.outputs[output].outlets.first().map_or(name, |outlet| &outlet.end.port.label);
                format!("{port:?} waits for room in {others}")
            }
            Some(Reason::Memory(bytes)) => format!("{name:?} waits for a buffer of {bytes} bytes"),
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
