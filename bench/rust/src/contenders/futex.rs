//! A word in shared memory and the kernel's futex: the floor of any wait that sleeps.

use super::{Contender, Message};
use crate::arena::Shared;
use crate::options::Options;
use std::sync::atomic::{AtomicU32, Ordering};

/// Nothing has been said yet.
const NOTHING: u32 = u32::MAX - 1;

#[repr(align(128))]
pub(crate) struct Word(AtomicU32);

pub(crate) struct Futex {
    word: Shared<Word>,
    last: u32,
}

impl Contender for Futex {
    type Plan = [Shared<Word>; 2];

    fn plan(_: &Options) -> Self::Plan {
        [0, 1].map(|_| Shared::new(|| Word(AtomicU32::new(NOTHING))))
    }

    fn producer(plan: &Self::Plan, _: &Options, way: usize) -> Self {
        Self { word: plan[way], last: NOTHING }
    }

    fn consumer(plan: &Self::Plan, options: &Options, way: usize, _: usize) -> Self {
        Self::producer(plan, options, way)
    }

    fn send(&mut self, message: &Message) -> bool {
        self.word.0.store(message.number() as u32, Ordering::Release);
        // SAFETY: the word is mapped.
        unsafe { libc::syscall(libc::SYS_futex, self.word.0.as_ptr(), libc::FUTEX_WAKE, 1) };
        true
    }

    fn receive(&mut self) -> Option<Message> {
        let number = self.word.0.load(Ordering::Acquire);
        if number == self.last {
            return None;
        }
        self.last = number;
        // The end of a run is the largest number in all widths.
        Some(Message::new(if number == u32::MAX { u64::MAX } else { u64::from(number) }))
    }

    fn sleep(&mut self) {
        let no_timeout = std::ptr::null::<libc::timespec>();
        // SAFETY: the word is mapped; the kernel looks at it once more before it puts us to sleep.
        unsafe {
            libc::syscall(libc::SYS_futex, self.word.0.as_ptr(), libc::FUTEX_WAIT, self.last, no_timeout)
        };
    }
}
