//! Measures the core beside what else moves messages between processes. Prints one line of JSON a measurement; the suite
//! (`npm run bench`) puts it into its table. By hand: `cargo run --release -- round-trip millrace --gap-us 2000`.
//!
//! Two processes at least, parted by `fork` before anything is opened. Those that wait awake (streams, `--spin`) are pinned to the cores in turn;
//! those that sleep are not.

mod arena;
mod contenders;
mod flow;
mod instructions;
mod memcpy;
mod numbers;
mod options;
mod processes;
mod round_trip;
mod stream;
mod timed;

use contenders::{ArrayQueue, CacheLine, Futex, Iceoryx, Millrace, MillraceBatches, MutexQueue, Pipe};
use options::Options;

const USAGE: &str = "millrace-bench stream|round-trip CONTENDER [options], \
    millrace-bench flow local|across|copies|messages|work|idle [options], millrace-bench memcpy [options], millrace-bench instructions OPERATION BATCH COUNT FOLDER";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().expect(USAGE);
    if command == "memcpy" {
        return memcpy::measure(&Options::parse(arguments));
    }
    let contender = arguments.next().expect(USAGE);
    if command == "instructions" {
        let mut number = || arguments.next().and_then(|text| text.parse().ok()).expect(USAGE);
        let (batch, count) = (number(), number());
        instructions::run(&arguments.next().expect(USAGE), &contender, batch, count);
    }
    let mut options = Options::parse(arguments);
    if command == "flow" {
        return flow::measure(&contender, &options);
    }
    // Streams never sleep: what is measured is the way, not the wake-up.
    options.spin |= command == "stream";
    match (command.as_str(), contender.as_str()) {
        ("stream", "millrace") => stream::measure::<Millrace>(&options),
        ("stream", "millrace-batches") => stream::measure::<MillraceBatches>(&options),
        ("stream", "iceoryx2") => stream::measure::<Iceoryx>(&options),
        ("stream", "array-queue") => stream::measure::<ArrayQueue>(&options),
        ("stream", "mutex") => stream::measure::<MutexQueue>(&options),
        ("stream", "pipe") => stream::measure::<Pipe>(&options),
        ("round-trip", "millrace") => round_trip::measure::<Millrace>(&options),
        ("round-trip", "iceoryx2") => round_trip::measure::<Iceoryx>(&options),
        ("round-trip", "array-queue") => round_trip::measure::<ArrayQueue>(&options),
        ("round-trip", "mutex") => round_trip::measure::<MutexQueue>(&options),
        ("round-trip", "pipe") => round_trip::measure::<Pipe>(&options),
        ("round-trip", "futex") => round_trip::measure::<Futex>(&options),
        ("round-trip", "cache-line") => round_trip::measure::<CacheLine>(&options),
        _ => panic!("there is no {command} of {contender}; {USAGE}"),
    }
}
