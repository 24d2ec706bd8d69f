//! Blocks and options that several tests use.

use millrace::Result;
use millrace_flow::{Block, Io, LinkOptions, Policy, Ports, SchedulerOptions, Work};
use std::sync::{Arc, Mutex};

/// The policies that all must do the same.
pub(crate) fn policies() -> Vec<SchedulerOptions> {
    let options = |threads, policy| SchedulerOptions { threads, policy, ..SchedulerOptions::default() };
    vec![
        options(1, Policy::WorkStealing),
        options(2, Policy::WorkStealing),
        options(4, Policy::WorkStealing),
        options(2, Policy::Pinned),
        options(1, Policy::ThreadPerBlock),
        options(1, Policy::Single { seed: 7 }),
    ]
}

/// Takes messages and keeps their numbers.
pub(crate) struct Numbers(pub(crate) Arc<Mutex<Vec<u64>>>);

impl Block for Numbers {
    fn ports(&self) -> Ports {
        Ports::new().input("in")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let mut numbers = self.0.lock().unwrap();
        while let Some(message) = io.next(0)? {
            numbers.push(message.sequence());
        }
        Ok(Work::Ok)
    }
}

/// A block of one input and one output that does what `work` does.
pub(crate) struct Step<F>(pub(crate) F);

impl<F: FnMut(&mut Io<'_>) -> Result<Work> + Send + 'static> Block for Step<F> {
    fn ports(&self) -> Ports {
        Ports::new().input("in").output("out")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        (self.0)(io)
    }
}

pub(crate) fn forward(io: &mut Io<'_>) -> Result<Work> {
    while let Some(message) = io.next(0)? {
        io.forward(0, message);
    }
    Ok(Work::Ok)
}

pub(crate) fn small(capacity: u32) -> LinkOptions {
    LinkOptions { capacity: Some(capacity), ..LinkOptions::default() }
}
