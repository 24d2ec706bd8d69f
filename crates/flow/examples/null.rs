//! How fast messages go from a source to a sink: `cargo run --release -p millrace-flow --example null -- [messages] [threads] [stages]`.
use millrace::{OpenOptions, ShmManager};
use millrace_flow::blocks::{NullSink, NullSource};
use millrace_flow::{LinkOptions, Scheduler, SchedulerOptions};
use std::sync::Arc;
use std::time::Instant;

fn main() -> millrace::Result<()> {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse().unwrap_or(1_u64));
    let (count, threads) = (args.next().unwrap_or(10_000_000), args.next().unwrap_or(2));
    let shm = Arc::new(ShmManager::open(&format!("null-{}", std::process::id()), &OpenOptions::default())?);
    let options = SchedulerOptions { threads: threads as usize, ..SchedulerOptions::default() };
    let mut scheduler = Scheduler::new(shm, options)?;
    let source = scheduler.add("source", NullSource::new(64, count))?;
    let sink = scheduler.add("sink", NullSink::default())?;
    scheduler.link((source, "out"), (sink, "in"), &LinkOptions::default())?;
    let began = Instant::now();
    let report = scheduler.run()?;
    let took = began.elapsed();
    println!("{count} messages in {took:?}: {:.2} M/s", count as f64 / took.as_secs_f64() / 1e6);
    for block in report.blocks {
        println!("{block:?}");
    }
    Ok(())
}
