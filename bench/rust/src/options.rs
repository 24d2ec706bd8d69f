//! What is asked for on the command line.

use std::time::Duration;

/// How long and how many; see the names of the options.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) warmup: Duration,
    pub(crate) timed: Duration,
    pub(crate) producers: usize,
    pub(crate) consumers: usize,
    /// Every consumer gets every message; else each message goes to one of them.
    pub(crate) fan_out: bool,
    /// Rest between an answer and the next message of a round trip.
    pub(crate) gap: Duration,
    /// Wait by looking again and again; else by sleeping in the kernel.
    pub(crate) spin: bool,
    /// Size of a message of a flow.
    pub(crate) bytes: usize,
    /// Threads of a scheduler; 0: as many as there are cores.
    pub(crate) threads: usize,
    pub(crate) pipes: usize,
    /// Blocks between the source and the sink of a pipe.
    pub(crate) stages: usize,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut options = Self {
            warmup: Duration::from_millis(100),
            timed: Duration::from_millis(500),
            producers: 1,
            consumers: 1,
            fan_out: false,
            gap: Duration::ZERO,
            spin: false,
            bytes: 1024,
            threads: 0,
            pipes: 1,
            stages: 1,
        };
        while let Some(name) = arguments.next() {
            let mut number = || {
                let value = arguments.next().unwrap_or_else(|| panic!("{name} needs a number"));
                value.parse::<u64>().unwrap_or_else(|e| panic!("{name} {value}: {e}"))
            };
            match name.as_str() {
                "--warmup-ms" => options.warmup = Duration::from_millis(number()),
                "--ms" => options.timed = Duration::from_millis(number()),
                "--producers" => options.producers = number() as usize,
                "--consumers" => options.consumers = number() as usize,
                "--fan-out" => options.fan_out = true,
                "--gap-us" => options.gap = Duration::from_micros(number()),
                "--bytes" => options.bytes = number() as usize,
                "--threads" => options.threads = number() as usize,
                "--pipes" => options.pipes = number() as usize,
                "--stages" => options.stages = number() as usize,
                "--spin" => options.spin = true,
                _ => panic!("there is no option {name}"),
            }
        }
        options
    }
}
