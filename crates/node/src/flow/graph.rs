//! A flow as JavaScript describes it: blocks by kind and settings, and what their ports are linked to. The scheduler checks it.

use crate::options::duration;
use millrace::{Delivery, Error, Overflow, Result, ShmManager};
use millrace_flow::blocks::{self, Value};
use millrace_flow::{
    Block, BlockId, BlockOptions, LinkOptions, OnError, Policy, Priority, Scheduler, SchedulerOptions, Then,
};
use napi::bindgen_prelude::Either3;
use napi_derive::napi;
use std::collections::HashMap;
use std::sync::Arc;

/// Values of the settings of a block, by name.
pub(super) type Settings = HashMap<String, Either3<bool, f64, String>>;

/// Blocks and links, to be run by one scheduler.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct BindingFlow {
    /// Threads that run blocks; left out: as many as the machine runs at once.
    pub threads: Option<u32>,
    /// 0 work-stealing, 1 pinned, 2 thread-per-block, 3 single.
    pub policy: u32,
    /// Of policy single.
    pub seed: f64,
    /// How long a block runs before others get their turn, in ms.
    pub slice_ms: Option<f64>,
    /// The blocks.
    pub blocks: Vec<BindingBlock>,
    /// Links between them.
    pub links: Vec<BindingLink>,
    /// Queues that their inputs take from.
    pub inputs: Vec<BindingConnection>,
    /// Queues that their outputs send to.
    pub outputs: Vec<BindingConnection>,
}

/// A block.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct BindingBlock {
    /// Its name in this flow.
    pub name: String,
    /// What it is.
    pub kind: String,
    /// Its settings.
    #[napi(ts_type = "Record<string, boolean | number | string>")]
    pub settings: Settings,
    /// How often a message is tried again that it fails with.
    pub retries: u32,
    /// How long before that, in ms.
    pub backoff_ms: f64,
    /// What becomes of the message after that: 0 fail, 1 skip, 2 dead-letter.
    pub action: u32,
    /// Name of the queue where it goes then.
    pub dead_letters: Option<String>,
    /// 0 high, 1 normal, 2 low.
    pub priority: u32,
    /// With policy pinned: the thread that runs it.
    pub thread: Option<u32>,
}

/// Names of the ports of a block.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct BindingPorts {
    /// Its inputs.
    pub inputs: Vec<String>,
    /// Its outputs.
    pub outputs: Vec<String>,
}

/// A port: number of the block, name of the port.
#[napi(object, object_to_js = false)]
#[derive(Clone, Debug)]
pub struct BindingPort {
    /// Number of the block.
    pub block: u32,
    /// Name of the port.
    pub port: String,
}

/// A link from an output to an input.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct BindingLink {
    /// The output.
    pub from: BindingPort,
    /// The input.
    pub to: BindingPort,
    /// Messages it holds.
    pub capacity: Option<u32>,
    /// As of a queue.
    pub overflow: Option<u32>,
    /// As of a queue.
    pub delivery: Option<u32>,
}

/// A port at a queue that lies outside of the flow.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct BindingConnection {
    /// The port.
    pub at: BindingPort,
    /// Name of the queue.
    pub queue: String,
    /// Whether no other block is at this side of it: it ends with this one.
    pub only: bool,
}

impl BindingFlow {
    /// The scheduler that runs it as participant `shm`.
    pub(super) fn scheduler(self, shm: &Arc<ShmManager>) -> Result<Scheduler> {
        let mut scheduler = Scheduler::new(Arc::clone(shm), self.options()?)?;
        let mut ids = Vec::new();
        for block in self.blocks {
            let made = build(&block.kind, &block.settings)?;
            ids.push(scheduler.add_with(&block.name, made, block.options(shm)?)?);
        }
        let of = |port: &BindingPort| -> Result<BlockId> {
            let missing = || Error::invalid_argument(format!("there is no block number {}", port.block));
            ids.get(port.block as usize).copied().ok_or_else(missing)
        };
        for link in &self.links {
            let (from, to) = (of(&link.from)?, of(&link.to)?);
            scheduler.link((from, &link.from.port), (to, &link.to.port), &link.options()?)?;
        }
        for BindingConnection { at, queue, only } in &self.inputs {
            let port = (of(at)?, at.port.as_str());
            if *only {
                scheduler.connect_only_input(port, queue)
            } else {
                scheduler.connect_input(port, queue)
            }?;
        }
        for BindingConnection { at, queue, only } in &self.outputs {
            let port = (of(at)?, at.port.as_str());
            if *only {
                scheduler.connect_only_output(port, queue)
            } else {
                scheduler.connect_output(port, queue)
            }?;
        }
        Ok(scheduler)
    }

    fn options(&self) -> Result<SchedulerOptions> {
        let default = SchedulerOptions::default();
        let policy = match self.policy {
            0 => Policy::WorkStealing,
            1 => Policy::Pinned,
            2 => Policy::ThreadPerBlock,
            3 => Policy::Single { seed: self.seed as u64 },
            other => return Err(Error::invalid_argument(format!("policy {other} is not known"))),
        };
        Ok(SchedulerOptions {
            threads: self.threads.map_or(default.threads, |threads| threads as usize),
            policy,
            slice: self.slice_ms.map_or(default.slice, duration),
            // JavaScript waits by itself, and asks for stalls.
            ..default
        })
    }
}

impl BindingBlock {
    fn options(&self, shm: &ShmManager) -> Result<BlockOptions> {
        let named = |queue: &String| {
            let missing = || {
                Error::invalid_argument(format!(
                    "block {:?}: queue {queue:?} for dead letters does not exist",
                    self.name
                ))
            };
            shm.find_queue(queue)?.ok_or_else(missing)
        };
        let then = match self.action {
            0 => Then::Fail,
            1 => Then::Skip,
            _ => Then::DeadLetter,
        };
        let priority = match self.priority {
            0 => Priority::High,
            1 => Priority::Normal,
            _ => Priority::Low,
        };
        Ok(BlockOptions {
            on_error: OnError { retries: self.retries, backoff: duration(self.backoff_ms), then },
            dead_letters: self.dead_letters.as_ref().map(named).transpose()?,
            priority,
            thread: self.thread.map(|thread| thread as usize),
        })
    }
}

impl BindingLink {
    fn options(&self) -> Result<LinkOptions> {
        let unknown = |what: &str, value: u32| {
            Error::invalid_argument(format!("link option {what}: {value} is not known"))
        };
        let overflow =
            self.overflow.map(|code| Overflow::from_code(code).ok_or_else(|| unknown("overflow", code)));
        let delivery =
            self.delivery.map(|code| Delivery::from_code(code).ok_or_else(|| unknown("delivery", code)));
        Ok(LinkOptions {
            capacity: self.capacity,
            overflow: overflow.transpose()?,
            delivery: delivery.transpose()?,
        })
    }
}

/// A block of that kind.
pub(super) fn build(kind: &str, settings: &Settings) -> Result<Box<dyn Block>> {
    let value = |value: &Either3<bool, f64, String>| match value {
        Either3::A(flag) => Value::Flag(*flag),
        Either3::B(number) => Value::Number(*number),
        Either3::C(text) => Value::Text(text.clone()),
    };
    let given: Vec<_> = settings.iter().map(|(name, given)| (name.as_str(), value(given))).collect();
    blocks::find(kind)?.build(&given)
}
