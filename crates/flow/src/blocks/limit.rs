//! Less of a stream: its beginning, or so much at a time.

use super::null::{COUNT, count};
use super::{Described, Fallback, Kind, Setting, Settings};
use crate::block::Block;
use crate::io::Io;
use crate::ports::Ports;
use crate::work::Work;
use millrace::{Error, Result};
use std::time::Duration;

/// Passes on a number of messages, then ends; the others stay in the queue. Input: `in`. Output: `out`.
#[derive(Debug)]
pub struct Head {
    count: u64,
    passed: u64,
}

impl Head {
    /// One that passes on `count` messages.
    pub fn new(count: u64) -> Self {
        Self { count, passed: 0 }
    }
}

impl Described for Head {
    const NAME: &'static str = "Head";
    const ABOUT: &'static str = "Passes on a number of messages, then ends; the others stay in the queue.";
    const SETTINGS: &'static [Setting] =
        &[Setting { default: Fallback::Required, about: "It ends after so many messages.", ..COUNT }];

    fn from_settings(settings: &Settings) -> Result<Self> {
        Ok(Self::new(count(settings)))
    }
}

impl Block for Head {
    fn ports(&self) -> Ports {
        Ports::new().input("in").output("out")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let room = io.room(0)? as u64;
        for _ in 0..room.min(self.count - self.passed) {
            let Some(message) = io.next(0)? else { break };
            io.forward(0, message);
            self.passed += 1;
        }
        Ok(if self.passed == self.count { Work::Done } else { Work::Ok })
    }

    fn demand(&self, _input: usize) -> u64 {
        self.count - self.passed
    }
}

const RATE_MIN: f64 = 1e-3;
const RATE_MAX: f64 = 1e9;
const BURST_MAX: u32 = 1 << 20;

/// Passes on messages at a limited rate, by a token bucket: in any time t it lets through `rate` × t messages and `burst` more at most.
/// Input: `in`. Output: `out`.
#[derive(Debug)]
pub struct Throttle {
    /// Time of one message, in nanoseconds.
    interval: f64,
    burst: f64,
    /// When the bucket was empty, in nanoseconds.
    empty_at: Option<f64>,
}

impl Throttle {
    /// At most `rate` messages per second, 0.001 to 10⁹, and `burst` at once, 1 to 2²⁰.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn new(rate: f64, burst: u32) -> Result<Self> {
        if !(RATE_MIN..=RATE_MAX).contains(&rate) {
            return Err(Error::invalid_argument(format!(
                "setting rate of Throttle is {rate}, must be {RATE_MIN} to {RATE_MAX}"
            )));
        }
        if !(1..=BURST_MAX).contains(&burst) {
            return Err(Error::invalid_argument(format!(
                "setting burst of Throttle is {burst}, must be 1 to {BURST_MAX}"
            )));
        }
        Ok(Self { interval: 1e9 / rate, burst: f64::from(burst), empty_at: None })
    }
}

impl Described for Throttle {
    const NAME: &'static str = "Throttle";
    const ABOUT: &'static str =
        "Passes on messages at a limited rate: in any time, `rate` × time messages and `burst` more at most.";
    const SETTINGS: &'static [Setting] = &[
        Setting {
            name: "rate",
            kind: Kind::Real { min: RATE_MIN, max: RATE_MAX },
            unit: "messages/s",
            default: Fallback::Required,
            about: "Messages per second, in the long run.",
        },
        Setting {
            name: "burst",
            kind: Kind::Whole { min: 1, max: BURST_MAX as u64 },
            unit: "messages",
            default: Fallback::Number(1.0),
            about: "Messages that it lets through at once after a pause.",
        },
    ];

    fn from_settings(settings: &Settings) -> Result<Self> {
        let burst = settings.whole("burst").unwrap_or(0) as u32;
        Self::new(settings.number("rate").unwrap_or(0.0), burst)
    }
}

impl Block for Throttle {
    fn ports(&self) -> Ports {
        Ports::new().input("in").output("out")
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let now = io.now().as_nanos() as f64;
        // The bucket as the time at which it was empty: full is `burst` intervals ago, and each message takes it one interval on.
        let full = now - self.burst * self.interval;
        let mut empty_at = self.empty_at.unwrap_or(full).max(full);
        for _ in 0..io.available(0).min(io.room(0)?) {
            let next = empty_at + self.interval;
            if next > now {
                self.empty_at = Some(empty_at);
                return Ok(Work::WaitUntil { at: Duration::from_nanos(next.ceil() as u64) });
            }
            let Some(message) = io.next(0)? else { break };
            io.forward(0, message);
            empty_at = next;
        }
        self.empty_at = Some(empty_at);
        Ok(Work::Ok)
    }
}
