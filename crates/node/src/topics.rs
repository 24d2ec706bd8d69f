//! Topics: the slow operations of [`BindingManager`].

use crate::error::{Result, existing, from_core};
use crate::manager::BindingManager;
use crate::options::{BindingQueueInfo, BindingQueueOptions, BindingTopicOptions};
use crate::to_json;
use millrace::{SubscribeOptions, Topic};
use napi_derive::napi;
use serde::Serialize;

/// A topic as it is.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct BindingTopicInfo {
    /// Name.
    pub name: String,
    /// Messages kept for those who subscribe later.
    pub history: u32,
    /// Number of the message type, 0 = none.
    pub type_id: u32,
    /// Name of the codec, empty = none.
    pub codec: String,
    /// Whether it takes no more messages.
    pub closed: bool,
}

/// A subscriber that has no room for a message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Blocked {
    queue: u32,
    name: String,
    participant: Option<usize>,
    pid: Option<u32>,
    process: Option<String>,
}

impl BindingManager {
    fn with_topic<T>(&self, topic: u32, f: impl FnOnce(&Topic) -> T) -> Result<Option<T>> {
        self.session(|session| {
            let topic = existing(session.handles.topic(&session.manager, topic))?;
            Ok(topic.map(|topic| f(topic)))
        })
    }
}

#[napi]
impl BindingManager {
    /// A handle for topic `name`. With options it is created or attached to, without it may not exist yet.
    #[napi(catch_unwind)]
    pub fn topic(&self, name: String, options: Option<BindingTopicOptions>) -> Result<u32> {
        let options = options.map(BindingTopicOptions::into_core);
        self.session(|session| {
            session.handles.add_topic(&session.manager, &name, options.as_ref()).map_err(from_core)
        })
    }

    /// Makes the topic if nobody has, and somebody subscribes to it; whether it exists.
    #[napi(catch_unwind)]
    pub fn make_topic(&self, topic: u32) -> Result<bool> {
        self.session(|session| {
            Ok(existing(session.handles.topic_to_publish(&session.manager, topic))?.is_some())
        })
    }

    /// The topic as it is; null while it does not exist or when it has been destroyed.
    #[napi(catch_unwind)]
    pub fn topic_info(&self, topic: u32) -> Result<Option<BindingTopicInfo>> {
        let info = |topic: &Topic| {
            let options = topic.options();
            BindingTopicInfo {
                name: topic.name().to_owned(),
                history: options.history.unwrap_or_default(),
                type_id: options.type_id.unwrap_or_default(),
                codec: options.codec.unwrap_or_default(),
                closed: topic.is_closed(),
            }
        };
        self.with_topic(topic, |topic| (!topic.is_destroyed()).then(|| info(topic))).map(Option::flatten)
    }

    /// Says "no more".
    #[napi(catch_unwind)]
    pub fn close_topic(&self, topic: u32) -> Result<()> {
        self.with_topic(topic, Topic::close).map(drop)
    }

    /// Removes the topic and its subscriptions for everybody.
    #[napi(catch_unwind)]
    pub fn destroy_topic(&self, topic: u32) -> Result<()> {
        self.with_topic(topic, Topic::destroy)?;
        self.session(|session| {
            session.handles.drop_ended();
            Ok(())
        })
    }

    /// Subscribes to `topic`, which need not exist yet; a handle for the queue. Of the queue options those of a subscription count.
    #[napi(catch_unwind)]
    pub fn subscribe(
        &self,
        topic: String,
        name: Option<String>,
        options: BindingQueueOptions,
    ) -> Result<u32> {
        let queue = options.into_core()?;
        let options = SubscribeOptions {
            name,
            capacity: queue.capacity,
            overflow: queue.overflow,
            delivery: queue.delivery,
            max_deliveries: queue.max_deliveries,
        };
        self.session(|session| {
            session.handles.drop_ended();
            let queue = session.manager.subscribe(&topic, &options).map_err(from_core)?;
            Ok(session.handles.add_subscription(&topic, queue))
        })
    }

    /// Ends a subscription here; with `destroy` for everybody.
    #[napi(catch_unwind)]
    pub fn end_subscription(&self, queue: u32, destroy: bool) -> Result<()> {
        self.session(|session| {
            session.waits.end(queue);
            if let Some(queue) = session.handles.end_subscription(queue).filter(|_| destroy) {
                queue.destroy();
            }
            Ok(())
        })
    }

    /// Removes the subscription of that name, whoever made it; false: there is none.
    #[napi(catch_unwind)]
    pub fn unsubscribe(&self, topic: String, name: String) -> Result<bool> {
        self.session(|session| {
            let done = session.manager.unsubscribe(&topic, &name).map_err(from_core)?;
            session.handles.drop_ended();
            Ok(done)
        })
    }

    /// Who had no room for the last message that `publish` could not give to everybody, as JSON.
    #[napi(catch_unwind)]
    pub fn take_blocked(&self, topic: u32) -> Result<String> {
        self.session(|session| {
            let blocked = std::mem::take(&mut session.blocked);
            let Some(topic) = existing(session.handles.topic(&session.manager, topic))?.cloned() else {
                return Ok("[]".to_owned());
            };
            let describe = |queue: std::sync::Arc<millrace::PortQueue>| {
                let subscriber = topic.subscriber(&queue);
                let (participant, pid, process) = match subscriber.participant {
                    Some((slot, pid, process)) => (Some(slot), Some(pid), Some(process)),
                    None => (None, None, None),
                };
                let queue = session.handles.add_target(topic.name(), queue);
                Blocked { queue, name: subscriber.name, participant, pid, process }
            };
            Ok(to_json(&blocked.into_iter().map(describe).collect::<Vec<_>>()))
        })
    }

    /// Counts a message that subscriber `queue` will never see.
    #[napi(catch_unwind)]
    pub fn pass_over(&self, topic: u32, queue: u32) -> Result<()> {
        self.session(|session| {
            let topic = existing(session.handles.topic(&session.manager, topic))?.cloned();
            if let (Some(topic), Some(queue)) = (topic, session.handles.resolved(queue)) {
                topic.pass_over(queue);
            }
            Ok(())
        })
    }

    /// The codec of a subscription is its topic's; while there is none, nothing is known.
    pub(crate) fn of_topic(
        &self,
        queue: u32,
        info: Option<BindingQueueInfo>,
    ) -> Result<Option<BindingQueueInfo>> {
        self.session(|session| {
            let Some(name) = session.handles.subscribed_topic(queue) else { return Ok(info) };
            let topic = session.manager.find_topic(name).map_err(from_core)?;
            let options = topic.map(|topic| topic.options());
            Ok(info.zip(options).map(|(info, options)| BindingQueueInfo {
                codec: options.codec.unwrap_or_default(),
                type_id: options.type_id.unwrap_or_default(),
                ..info
            }))
        })
    }
}
