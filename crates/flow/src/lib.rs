//! Blocks, links and a scheduler over the queues of [`millrace`].
//!
//! A [`Block`] has input and output ports. A link between two ports is a queue in shared memory, whatever lies between them: the same
//! thread, another one, another process. A [`Scheduler`] runs the blocks of one process by threads that steal work from each other, each
//! block when its inputs have messages and its outputs have room, and sleeps when there is nothing to do.
//!
//! ```
//! use millrace::{OpenOptions, ShmManager};
//! use millrace_flow::blocks::{NullSink, NullSource};
//! use millrace_flow::{LinkOptions, Scheduler, SchedulerOptions};
//! use std::sync::Arc;
//!
//! # fn main() -> millrace::Result<()> {
//! # let name = format!("doc-flow-{}", std::process::id());
//! let shm = Arc::new(ShmManager::open(&name, &OpenOptions::default())?);
//! let mut scheduler = Scheduler::new(shm, SchedulerOptions { threads: 2, ..Default::default() })?;
//! let source = scheduler.add("source", NullSource::new(1024, 1000))?;
//! let sink = scheduler.add("sink", NullSink::default())?;
//! scheduler.link((source, "out"), (sink, "in"), &LinkOptions::default())?;
//! let report = scheduler.run()?;
//! assert_eq!(report.block("sink").unwrap().items_in, 1000);
//! # Ok(())
//! # }
//! ```
//!
//! Map, from the bottom up: `options`, [`ports`], [`work`] → `link` (one end of a queue) → `stamp`, `stats` → `port` (messages that are taken, or to be sent) → [`io`] (what a block
//! sees) → [`block`] (what a block is) → `clock` → `cell` (one block at work) → `run_state`, `task` (when it runs) → `idle` → [`Run`] →
//! [`Scheduler`]; beside it [`blocks`].

pub mod block;
pub mod blocks;
mod cell;
mod clock;
mod idle;
pub mod io;
mod link;
mod options;
mod port;
pub mod ports;
mod run;
mod run_state;
mod scheduler;
mod stamp;
mod stats;
mod task;
pub mod work;

pub use block::Block;
pub use io::{InputMessage, Io, NewMessage};
pub use options::{BlockOptions, LinkOptions, OnError, Policy, Priority, SchedulerOptions, Then};
pub use ports::{Ports, Ready};
pub use run::Run;
pub use scheduler::{BlockId, Scheduler};
pub use stats::{Alone, BlockReport, BlockState, LatencyReport, LinkReport, Report, Stall};
pub use work::Work;
