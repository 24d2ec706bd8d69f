//! crossbeam's ArrayQueue, itself, with its slots in shared memory: see `arena.rs`. It copies messages into them. It has no way to
//! sleep and no way to survive the death of anybody.

use super::{CAPACITY, Contender, Message};
use crate::arena::Shared;
use crate::options::Options;

pub(crate) struct ArrayQueue(Shared<crossbeam_queue::ArrayQueue<Message>>);

impl Contender for ArrayQueue {
    type Plan = [Shared<crossbeam_queue::ArrayQueue<Message>>; 2];

    fn plan(options: &Options) -> Self::Plan {
        assert!(!options.fan_out, "each message goes to one consumer");
        [0, 1].map(|_| Shared::new(|| crossbeam_queue::ArrayQueue::new(CAPACITY)))
    }

    fn producer(plan: &Self::Plan, _: &Options, way: usize) -> Self {
        Self(plan[way])
    }

    fn consumer(plan: &Self::Plan, _: &Options, way: usize, _: usize) -> Self {
        Self(plan[way])
    }

    fn send(&mut self, message: &Message) -> bool {
        self.0.push(*message).is_ok()
    }

    fn receive(&mut self) -> Option<Message> {
        self.0.pop()
    }

    fn sleep(&mut self) {
        std::thread::yield_now();
    }
}
