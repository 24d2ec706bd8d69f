//! Two cache lines, one for each direction, that are looked at again and again: the floor of any wait that spins.

use super::{Contender, Message};
use crate::arena::Shared;
use crate::options::Options;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nothing has been said yet.
const NOTHING: u64 = u64::MAX - 1;

#[repr(align(128))]
pub(crate) struct Line(AtomicU64);

pub(crate) struct CacheLine {
    line: Shared<Line>,
    last: u64,
}

impl Contender for CacheLine {
    type Plan = [Shared<Line>; 2];

    fn plan(_: &Options) -> Self::Plan {
        [0, 1].map(|_| Shared::new(|| Line(AtomicU64::new(NOTHING))))
    }

    fn producer(plan: &Self::Plan, _: &Options, way: usize) -> Self {
        Self { line: plan[way], last: NOTHING }
    }

    fn consumer(plan: &Self::Plan, options: &Options, way: usize, _: usize) -> Self {
        Self::producer(plan, options, way)
    }

    fn send(&mut self, message: &Message) -> bool {
        self.line.0.store(message.number(), Ordering::Release);
        true
    }

    fn receive(&mut self) -> Option<Message> {
        let number = self.line.0.load(Ordering::Acquire);
        if number == self.last {
            return None;
        }
        self.last = number;
        Some(Message::new(number))
    }

    fn sleep(&mut self) {
        std::hint::spin_loop();
    }
}
