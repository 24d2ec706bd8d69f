//! The usual queue in shared memory, and that of the two systems Millrace comes from: a process-shared mutex, two condition
//! variables, a ring that messages are copied into. A process that dies inside leaves it locked.

use super::{CAPACITY, Contender, Message};
use crate::arena::Shared;
use crate::options::Options;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

struct State {
    ring: [Message; CAPACITY],
    head: usize,
    count: usize,
}

pub(crate) struct Queue {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    not_empty: UnsafeCell<libc::pthread_cond_t>,
    state: UnsafeCell<State>,
}

impl Queue {
    fn new() -> Self {
        Self {
            mutex: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER),
            not_empty: UnsafeCell::new(libc::PTHREAD_COND_INITIALIZER),
            state: UnsafeCell::new(State { ring: [Message::new(0); CAPACITY], head: 0, count: 0 }),
        }
    }

    /// Makes both usable by several processes; they lie where they will stay.
    fn share(&self) {
        let mut mutex = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        let mut condition = MaybeUninit::<libc::pthread_condattr_t>::uninit();
        let shared = libc::PTHREAD_PROCESS_SHARED;
        // SAFETY: attributes of our own, initialised first.
        let results = unsafe {
            [
                libc::pthread_mutexattr_init(mutex.as_mut_ptr()),
                libc::pthread_mutexattr_setpshared(mutex.as_mut_ptr(), shared),
                libc::pthread_condattr_init(condition.as_mut_ptr()),
                libc::pthread_condattr_setpshared(condition.as_mut_ptr(), shared),
                libc::pthread_mutex_init(self.mutex.get(), mutex.as_ptr()),
                libc::pthread_cond_init(self.not_empty.get(), condition.as_ptr()),
            ]
        };
        assert_eq!(results, [0; 6], "no process-shared mutex");
    }

    /// Runs `act` with the lock held.
    fn locked<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: initialised by `share`.
        unsafe { libc::pthread_mutex_lock(self.mutex.get()) };
        // SAFETY: the lock is held.
        let result = act(unsafe { &mut *self.state.get() });
        // SAFETY: we hold it.
        unsafe { libc::pthread_mutex_unlock(self.mutex.get()) };
        result
    }
}

pub(crate) struct MutexQueue(Shared<Queue>);

impl Contender for MutexQueue {
    type Plan = [Shared<Queue>; 2];

    fn plan(options: &Options) -> Self::Plan {
        assert!(!options.fan_out, "each message goes to one consumer");
        let queues = [0, 1].map(|_| Shared::new(Queue::new));
        queues.iter().for_each(|queue| queue.share());
        queues
    }

    fn producer(plan: &Self::Plan, _: &Options, way: usize) -> Self {
        Self(plan[way])
    }

    fn consumer(plan: &Self::Plan, _: &Options, way: usize, _: usize) -> Self {
        Self(plan[way])
    }

    fn send(&mut self, message: &Message) -> bool {
        let sent = self.0.locked(|state| {
            if state.count == CAPACITY {
                return false;
            }
            state.ring[(state.head + state.count) % CAPACITY] = *message;
            state.count += 1;
            true
        });
        // SAFETY: initialised by `share`.
        unsafe { libc::pthread_cond_signal(self.0.not_empty.get()) };
        sent
    }

    fn receive(&mut self) -> Option<Message> {
        self.0.locked(|state| {
            if state.count == 0 {
                return None;
            }
            let message = state.ring[state.head];
            state.head = (state.head + 1) % CAPACITY;
            state.count -= 1;
            Some(message)
        })
    }

    fn sleep(&mut self) {
        // SAFETY: initialised by `share`.
        unsafe { libc::pthread_mutex_lock(self.0.mutex.get()) };
        // SAFETY: the lock is held.
        while unsafe { (*self.0.state.get()).count } == 0 {
            // SAFETY: both are initialised, and the lock is held.
            unsafe { libc::pthread_cond_wait(self.0.not_empty.get(), self.0.mutex.get()) };
        }
        // SAFETY: we hold it.
        unsafe { libc::pthread_mutex_unlock(self.0.mutex.get()) };
    }
}
