//! What a call of work costs beside the work: blocks that do nothing, one message a call, on one thread.
//! `cargo run --release -p millrace-flow --example calls -- [messages] [rounds]`.
use millrace::{OpenOptions, Result, ShmManager};
use millrace_flow::{Block, Io, LinkOptions, Ports, Scheduler, SchedulerOptions, Work};
use std::sync::Arc;
use std::time::Instant;

/// Sends one message a call.
struct One(u64);

impl Block for One {
    fn ports(&self) -> Ports {
        Ports::new().output("out")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let sent = io.emit(0, 8, 1, |_, _| Ok(()))? as u64;
        self.0 -= sent;
        Ok(if self.0 == 0 { Work::Done } else { Work::Ok })
    }
}

/// Takes one message a call.
struct Take;

impl Block for Take {
    fn ports(&self) -> Ports {
        Ports::new().input("in")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        io.next(0)?;
        Ok(Work::Ok)
    }
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse().unwrap_or(1_u64));
    let (count, rounds) = (args.next().unwrap_or(1_000_000), args.next().unwrap_or(10));
    let shm = Arc::new(ShmManager::open(&format!("calls-{}", std::process::id()), &OpenOptions::default())?);
    let mut best = f64::MAX;
    for _ in 0..rounds {
        let options = SchedulerOptions { threads: 1, ..SchedulerOptions::default() };
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options)?;
        let source = scheduler.add("source", One(count))?;
        let sink = scheduler.add("sink", Take)?;
        scheduler.link((source, "out"), (sink, "in"), &LinkOptions::default())?;
        let began = Instant::now();
        let report = scheduler.run()?;
        let calls: u64 = report.blocks.iter().map(|block| block.work_calls).sum();
        best = best.min(began.elapsed().as_nanos() as f64 / calls as f64);
    }
    println!("{best:.1} ns a call, the best of {rounds} rounds");
    Ok(())
}
