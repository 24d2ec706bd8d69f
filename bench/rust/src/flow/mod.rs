//! Blocks that a scheduler runs: what goes through them in a time.

mod across;
mod blocks;
mod local;

use crate::options::Options;
use millrace::ShmManager;
use millrace_flow::{LinkOptions, Scheduler, SchedulerOptions};
use std::sync::Arc;

/// Does the measurement of that name.
pub(crate) fn measure(what: &str, options: &Options) {
    match what {
        "local" => local::stream(options),
        "across" => across::stream(options),
        "copies" => local::pipes(options, &local::copies),
        "messages" => local::pipes(options, &local::messages),
        "work" => local::work_calls(options),
        "idle" => local::idle(options),
        _ => panic!("no flow is called {what}"),
    }
}

fn scheduler(shm: &Arc<ShmManager>, options: &Options) -> Scheduler {
    let own = SchedulerOptions::default();
    let threads = if options.threads == 0 { own.threads } else { options.threads };
    Scheduler::new(Arc::clone(shm), SchedulerOptions { threads, ..own }).expect("a scheduler")
}

fn link(capacity: usize) -> LinkOptions {
    LinkOptions { capacity: Some(capacity as u32), ..LinkOptions::default() }
}
