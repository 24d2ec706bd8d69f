//! iceoryx2: publish-subscribe without copies; an event beside it where the receiver sleeps. Lossless, as the others are.

use super::{CAPACITY, Contender, Message};
use crate::options::Options;
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

type Samples = Publisher<ipc::Service, [u64; 8], ()>;
type Taken = Subscriber<ipc::Service, [u64; 8], ()>;

pub(crate) struct Iceoryx {
    publisher: Option<Samples>,
    notifier: Option<Notifier<ipc::Service>>,
    subscriber: Option<Taken>,
    listener: Option<Listener<ipc::Service>>,
    _node: Node<ipc::Service>,
}

impl Iceoryx {
    fn open(name: &str, options: &Options, way: usize, sends: bool) -> Self {
        set_log_level(LogLevel::Error);
        let node = NodeBuilder::new().create::<ipc::Service>().expect("a node");
        let service = format!("{name}/{way}");
        let service: ServiceName = service.as_str().try_into().expect("a name");
        let samples = node
            .service_builder(&service)
            .publish_subscribe::<[u64; 8]>()
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(CAPACITY)
            .max_publishers(options.producers)
            .max_subscribers(options.consumers)
            .max_nodes(options.producers + options.consumers + 2)
            .open_or_create()
            .expect("a service");
        let event = || node.service_builder(&service).event().open_or_create().expect("an event");
        let sleeps = !options.spin;
        let (mut publisher, mut notifier, mut subscriber, mut listener) = (None, None, None, None);
        if sends {
            let builder = samples.publisher_builder();
            let builder = builder.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
            publisher = Some(builder.create().expect("a publisher"));
            notifier = sleeps.then(|| event().notifier_builder().create().expect("a notifier"));
        } else {
            let builder = samples.subscriber_builder().buffer_size(CAPACITY);
            subscriber = Some(builder.create().expect("a subscriber"));
            listener = sleeps.then(|| event().listener_builder().create().expect("a listener"));
        }
        Self { publisher, notifier, subscriber, listener, _node: node }
    }
}

impl Contender for Iceoryx {
    type Plan = String;

    fn plan(_: &Options) -> String {
        format!("millrace-bench/{}", std::process::id())
    }

    fn producer(plan: &String, options: &Options, way: usize) -> Self {
        Self::open(plan, options, way, true)
    }

    fn consumer(plan: &String, options: &Options, way: usize, _: usize) -> Self {
        Self::open(plan, options, way, false)
    }

    fn send(&mut self, message: &Message) -> bool {
        let publisher = self.publisher.as_ref().expect("an end that sends");
        let sample = publisher.loan_uninit().expect("a sample").write_payload(message.0);
        sample.send().expect("a send");
        if let Some(notifier) = &self.notifier {
            notifier.notify().expect("a notification");
        }
        true
    }

    fn receive(&mut self) -> Option<Message> {
        let subscriber = self.subscriber.as_ref().expect("an end that receives");
        subscriber.receive().expect("a receive").map(|sample| Message(*sample))
    }

    fn sleep(&mut self) {
        let listener = self.listener.as_ref().expect("an end that sleeps");
        listener.blocking_wait(|_| {}).expect("a wait");
    }
}
