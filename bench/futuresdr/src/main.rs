//! Pipes beside each other, each a source, stages, a sink, as `bench/rust/src/flow/local.rs` has them. Prints a line of JSON as the suite reads it.

use futuresdr::blocks::{Copy, Head, MessageBurst, MessageCopy, MessageSink, NullSink, NullSource};
use futuresdr::runtime::scheduler::SmolScheduler;
use futuresdr::runtime::{BlockRef, Flowgraph, Pmt, Runtime};
use std::time::{Duration, Instant};

const USAGE: &str = "futuresdr-bench copies|messages --pipes N --stages N --threads N --ms N";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Options {
    pipes: usize,
    stages: usize,
    threads: usize,
    timed: Duration,
    bytes: u64,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().expect(USAGE);
    let mut options =
        Options { pipes: 1, stages: 1, threads: 2, timed: Duration::from_millis(500), bytes: 8192 };
    while let Some(name) = arguments.next() {
        let number: u64 = arguments.next().expect(USAGE).parse()?;
        match name.as_str() {
            "--pipes" => options.pipes = number as usize,
            "--stages" => options.stages = number as usize,
            "--threads" => options.threads = number as usize,
            "--bytes" => options.bytes = number,
            "--ms" => options.timed = Duration::from_millis(number),
            // It warms up by the runs that find out how much fits the time.
            "--warmup-ms" => {}
            _ => panic!("{name}; {USAGE}"),
        }
    }
    let build = match what.as_str() {
        "copies" => copies,
        "messages" => messages,
        _ => panic!("{USAGE}"),
    };
    // It ends after a number of messages, not after a time: more and more, until they take long enough.
    let mut count = 256;
    loop {
        let runtime = Runtime::with_scheduler(SmolScheduler::with_config(options.threads, false));
        let flowgraph = build(&options, count)?;
        let (started, cpu) = (Instant::now(), cpu_seconds());
        runtime.run(flowgraph)?;
        let elapsed = started.elapsed();
        if elapsed >= options.timed {
            let messages = count * options.pipes as u64;
            let value = messages as f64 / elapsed.as_secs_f64();
            let per_million = (cpu_seconds() - cpu) / messages as f64 * 1e6;
            println!("{{\"value\":{value},\"cpuPerMillion\":{per_million},\"rssMib\":{}}}", rss_mib());
            return Ok(());
        }
        count *= 2;
    }
}

/// Samples, which each stage copies: as many as `count` messages have. The first stage ends it.
fn copies(options: &Options, count: u64) -> Result<Flowgraph> {
    let mut graph = Flowgraph::new();
    for _ in 0..options.pipes {
        let source = graph.add(NullSource::<f32>::new())?;
        let head = graph.add(Head::<f32>::new(count * options.bytes / size_of::<f32>() as u64))?;
        graph.stream(&source, |block| block.output(), &head, |block| block.input())?;
        let copies = (1..options.stages).map(|_| graph.add(Copy::<f32>::new()));
        let copies = copies.collect::<std::result::Result<Vec<BlockRef<Copy<f32>>>, _>>()?;
        let (first, last) = (copies.first().expect("two stages"), copies.last().expect("two stages"));
        graph.stream(&head, |block| block.output(), first, |block| block.input())?;
        for pair in copies.windows(2) {
            graph.stream(&pair[0], |block| block.output(), &pair[1], |block| block.input())?;
        }
        let sink = graph.add(NullSink::<f32>::new())?;
        graph.stream(last, |block| block.output(), &sink, |block| block.input())?;
    }
    Ok(graph)
}

/// Messages, which each stage hands on.
fn messages(options: &Options, count: u64) -> Result<Flowgraph> {
    let mut graph = Flowgraph::new();
    for _ in 0..options.pipes {
        let mut from = graph.add(MessageBurst::new(Pmt::U64(1), count))?.id();
        for _ in 0..options.stages {
            let stage = graph.add(MessageCopy::new())?.id();
            graph.message(from, "out", stage, "in")?;
            from = stage;
        }
        let sink = graph.add(MessageSink::new())?.id();
        graph.message(from, "out", sink, "in")?;
    }
    Ok(graph)
}

/// Of this process so far.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours to write.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4096.0 / f64::from(1 << 20)
}
