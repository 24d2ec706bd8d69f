//! Options as JavaScript gives them.

use crate::error::Result;
use millrace::{Delivery, ErrorKind, Overflow, QueueOptions, ResolvedOptions, TopicOptions};
use napi_derive::napi;
use std::time::Duration;

/// How to open a domain; see `OpenOptions` of the core.
#[napi(object, object_to_js = false)]
#[derive(Debug, Default)]
pub struct BindingOpenOptions {
    /// Pool budget in bytes.
    pub max_bytes: Option<f64>,
    /// Whether the domain outlives its last participant.
    pub persist: Option<bool>,
    /// Name of this participant.
    pub name: Option<String>,
    /// Directory of all domains.
    pub directory: Option<String>,
    /// How long to wait for others who open or close the domain, in ms.
    pub open_timeout_ms: Option<f64>,
}

impl From<BindingOpenOptions> for millrace::OpenOptions {
    fn from(options: BindingOpenOptions) -> Self {
        Self {
            max_bytes: options.max_bytes.map(|bytes| bytes as u64),
            persist: options.persist,
            name: options.name,
            directory: options.directory.map(Into::into),
            timeout: options.open_timeout_ms.map(duration),
        }
    }
}

/// Options of a queue; see `QueueOptions` of the core. Enums as their numbers.
#[napi(object, object_to_js = false)]
#[derive(Debug, Default)]
pub struct BindingQueueOptions {
    /// Messages the queue holds.
    pub capacity: Option<u32>,
    /// Messages the queue may come to hold, 0 = its capacity does not follow its load.
    pub max_capacity: Option<u32>,
    /// Messages that a send may leave in the queue, 0 = as many as it holds.
    pub limit: Option<u32>,
    /// 0 block, 1 reject, 2 drop-oldest, 3 drop-newest, 4 latest.
    pub overflow: Option<u32>,
    /// 0 at-most-once, 1 at-least-once.
    pub delivery: Option<u32>,
    /// Deliveries of one message before it is given up, 0 = unlimited.
    pub max_deliveries: Option<u32>,
    /// 0 = many, 1 = one.
    pub producers: Option<u32>,
    /// 0 = many, 1 = one.
    pub consumers: Option<u32>,
    /// Whether it closes when its last producer has gone.
    pub close_with_producers: Option<bool>,
    /// Number of the message type, 0 = none.
    pub type_id: Option<u32>,
    /// Name of the codec.
    pub codec: Option<String>,
    /// What the codec is for as long as nobody names one.
    pub default_codec: Option<String>,
}

impl BindingQueueOptions {
    pub(crate) fn into_core(self) -> Result<QueueOptions> {
        let unknown = |what: &str, value: u32| {
            let message = format!("queue option {what}: {value} is not supported");
            napi::Error::new(ErrorKind::InvalidArgument.code(), message)
        };
        let overflow =
            (self.overflow).map(|code| Overflow::from_code(code).ok_or_else(|| unknown("overflow", code)));
        let delivery =
            (self.delivery).map(|code| Delivery::from_code(code).ok_or_else(|| unknown("delivery", code)));
        Ok(QueueOptions {
            capacity: self.capacity,
            max_capacity: self.max_capacity,
            limit: self.limit,
            overflow: overflow.transpose()?,
            delivery: delivery.transpose()?,
            max_deliveries: self.max_deliveries,
            producers: self.producers,
            consumers: self.consumers,
            close_with_producers: self.close_with_producers,
            type_id: self.type_id,
            codec: self.codec,
            default_codec: self.default_codec,
        })
    }
}

/// Options of a topic; see `TopicOptions` of the core.
#[napi(object, object_to_js = false)]
#[derive(Debug, Default)]
pub struct BindingTopicOptions {
    /// Messages kept for those who subscribe later.
    pub history: Option<u32>,
    /// Number of the message type, 0 = none.
    pub type_id: Option<u32>,
    /// Name of the codec.
    pub codec: Option<String>,
}

impl BindingTopicOptions {
    pub(crate) fn into_core(self) -> TopicOptions {
        TopicOptions { history: self.history, type_id: self.type_id, codec: self.codec }
    }
}

/// A queue as it is.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct BindingQueueInfo {
    /// Name.
    pub name: String,
    /// Messages the queue holds.
    pub capacity: u32,
    /// Fewest and most messages it comes to hold, if its capacity follows its load; else both 0.
    pub min_capacity: u32,
    /// See `min_capacity`.
    pub max_capacity: u32,
    /// Messages that a send may leave in the queue, 0 = as many as it holds.
    pub limit: u32,
    /// 0 block, 1 reject, 2 drop-oldest, 3 drop-newest, 4 latest.
    pub overflow: u32,
    /// 0 at-most-once, 1 at-least-once.
    pub delivery: u32,
    /// Deliveries of one message before it is given up, 0 = unlimited.
    pub max_deliveries: u32,
    /// 0 = many, 1 = one.
    pub producers: u32,
    /// 0 = many, 1 = one.
    pub consumers: u32,
    /// Whether it closes when its last producer has gone.
    pub close_with_producers: bool,
    /// Number of the message type, 0 = none.
    pub type_id: u32,
    /// Name of the codec, empty = none.
    pub codec: String,
    /// Whether that may still become what somebody asks for.
    pub codec_open: bool,
    /// Messages in it now.
    pub depth: u32,
    /// Whether it takes no more messages.
    pub closed: bool,
}

impl BindingQueueInfo {
    pub(crate) fn new(queue: &millrace::PortQueue) -> Self {
        let now = queue.instead();
        let queue = now.as_deref().unwrap_or(queue);
        let options: ResolvedOptions = queue.options_meant();
        Self {
            name: queue.name().to_owned(),
            capacity: options.capacity,
            min_capacity: options.capacities.0,
            max_capacity: options.capacities.1,
            limit: options.limit,
            overflow: options.overflow as u32,
            delivery: options.delivery as u32,
            max_deliveries: options.max_deliveries,
            producers: options.producers,
            consumers: options.consumers,
            close_with_producers: options.close_with_producers,
            type_id: options.type_id,
            codec: options.codec,
            codec_open: queue.is_codec_open(),
            depth: queue.len() as u32,
            closed: queue.is_closed(),
        }
    }
}

/// `ms` milliseconds, none if they are negative.
pub(crate) fn duration(ms: f64) -> Duration {
    // Infinity, which JavaScript may ask for, is more than any clock counts.
    Duration::from_secs_f64(ms.clamp(0.0, 1e12) / 1e3)
}
