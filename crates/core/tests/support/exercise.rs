//! Calls everything that is public on a domain that may be damaged. Errors are what is expected; anything else is not.

use super::random::Random;
use super::scene;
use millrace::service::{Envelope, MessageKind, Role};
use millrace::{
    Buffer, BufferPtr, Interest, Observer, PortQueue, QueueOptions, Received, ShmManager, TopicOptions,
};
use std::sync::Arc;
use std::time::Duration;

/// A moment: long enough to sleep, short enough to do it often.
const MOMENT: Duration = Duration::from_micros(10);

/// Everything that a participant does, once each, in some order.
pub(crate) fn everything(shm: &ShmManager, random: &mut Random) {
    let _ =
        (shm.reports_since(0), shm.stalled(), shm.stalls(), shm.recoveries(), shm.departures(), shm.remaps());
    let mut cursor = shm.event_cursor();
    drop(shm.take_events(&mut cursor));
    allocate(shm, random);
    for (name, options) in scene::all_queues() {
        let queue = match random.below(3) {
            0 => shm.port_queue(&name, &options).ok(),
            _ => shm.find_queue(&name).ok().flatten(),
        };
        queue.iter().for_each(|queue| use_queue(shm, queue, random));
        let dead = shm.find_queue(&format!("{name}.dead")).ok().flatten();
        dead.iter().for_each(|queue| use_queue(shm, queue, random));
    }
    let new = shm.port_queue("new", &QueueOptions::default());
    let work = shm.work_queue("jobs", &scene::at_least_once());
    [new, work].iter().flatten().for_each(|queue| use_queue(shm, queue, random));
    topics(shm, random);
    service(shm, random);
    numbers_nobody_gave_out(shm, random);
    let _ = shm.trim();
    let _ = shm.segment(random.below(70) as usize).map(|view| view.content(random.next() as u32));
    if random.below(4) == 0 {
        let _ =
            (shm.destroy_service("echo"), shm.unsubscribe("kept", "sure"), shm.unsubscribe("later", "sure"));
    }
}

/// Everything that one can do who does not take part, but evict.
pub(crate) fn look(observer: &Observer) {
    let _ = (observer.snapshot(), observer.stalled());
    let _ = observer.fsck(Duration::ZERO);
}

fn read(buffer: &BufferPtr) {
    let _ = (buffer.attempt(), buffer.sequence(), buffer.is_empty(), buffer.capacity());
    // SAFETY: read only, and whatever is in it.
    std::hint::black_box(unsafe { buffer.bytes() }.iter().map(|byte| u64::from(*byte)).sum::<u64>());
}

fn allocate(shm: &ShmManager, random: &mut Random) {
    let allocator = shm.allocator();
    for bytes in [0, 1, 1000, 100_000] {
        let Ok(mut buffer) = shm.allocate(bytes) else { continue };
        read(&buffer);
        buffer.set_len(random.below(bytes as u64 + 1) as usize);
        let _ = buffer.share().map(|other| read(&other));
    }
    let mut ids = [0; 20];
    if let Ok(count) = allocator.allocate_ids(300, &mut ids) {
        let buffers = ids[..count].iter().map(|id| Buffer { id: *id, received: false });
        let _ = allocator.release_all(buffers);
    }
    if shm.arm_pool(bytes_of(random), 1) {
        shm.park(shm.wake_sequence(), MOMENT);
        shm.disarm_pool();
    }
    shm.arm_names();
    shm.arm_doorbell();
    let _ = shm.doorbell();
}

fn bytes_of(random: &mut Random) -> usize {
    random.one_of(&[1, 300, 5000, 2 << 20])
}

fn use_queue(shm: &ShmManager, queue: &Arc<PortQueue>, random: &mut Random) {
    let allocator = shm.allocator();
    let small = [[5_u8; 60]; 20];
    for round in 0..4_u64 {
        if let Ok(buffer) = shm.allocate(bytes_of(random).min(5000)) {
            let _ = queue.try_send(buffer);
        }
        let _ = queue.put(small[..random.below(20) as usize].iter().map(<[u8; 60]>::as_slice));
        if let Ok(Some(peeked)) = queue.peek() {
            let _ = allocator.release(peeked);
        }
        let _ = queue.get(&mut [0; 200], &mut [0; 4]);
        if let Ok((Some(message), _)) = queue.try_receive() {
            read(&message);
            let _ = (message.envelope(), message.request().state());
            if (round + random.below(2)).is_multiple_of(3) {
                let _ = message.nack();
            }
        }
        let mut received = [Received::default(); 5];
        if let Ok((count, _)) = queue.receive(&mut received) {
            for message in &received[..count] {
                let _ = allocator.share(message.buffer).map(|other| allocator.release(other));
                let _ = queue.send(&[message.buffer]);
                let _ = allocator.release(message.buffer);
            }
        }
    }
    // Each sleep costs more than all of the above.
    let sleeps = random.below(8) == 0;
    for interest in [Interest::Data, Interest::Space, Interest::Idle] {
        let _ = (queue.is_ready(interest), sleeps && queue.wait(interest, MOMENT));
        if let Some(end) = queue.arm(interest) {
            let _ = end.is_unrung(interest);
            if !end.rearm(interest) {
                end.disarm(interest);
            }
        }
    }
    if random.below(4) == 0 {
        let _ = (queue.resize(random.one_of(&[1, 16, 64])), queue.instead());
    }
    let _ = (queue.len(), queue.is_idle(), queue.is_empty(), queue.stats(), queue.is_closed());
    match random.below(6) {
        0 => queue.close(),
        1 => {
            queue.destroy();
        }
        _ => {}
    }
}

fn topics(shm: &ShmManager, random: &mut Random) {
    for (name, options) in
        [("kept", scene::kept()), ("bare", TopicOptions::default()), ("later", scene::kept())]
    {
        let ends = [shm.subscribe(name, &scene::named()), shm.subscribe(name, &scene::unnamed())];
        let topic = match random.below(2) {
            0 => shm.topic(name, &options).ok(),
            _ => shm.find_topic(name).ok().flatten(),
        };
        for topic in topic.iter() {
            for _ in 0..6 {
                let Ok(buffer) = shm.allocate(100) else { continue };
                if let Ok(published) = topic.try_publish(buffer) {
                    published.blocked.iter().for_each(|queue| topic.pass_over(queue));
                }
            }
            ends.iter().flatten().for_each(|end| _ = topic.subscriber(end));
            let _ = (topic.options(), topic.is_closed(), topic.forget_ended());
        }
        for end in ends.iter().flatten() {
            use_queue(shm, end, random);
            if end.name() == name {
                end.destroy();
            }
        }
        match (topic, random.below(6)) {
            (Some(topic), 0) => topic.close(),
            (Some(topic), 1) => topic.destroy(),
            _ => {}
        }
    }
}

fn service(shm: &ShmManager, random: &mut Random) {
    let mailboxes = [Role::Client, Role::Server].map(|role| shm.create_mailbox("echo", role, 16));
    let Ok(requests) = shm.requests("echo", &scene::at_least_once()) else { return };
    for call in 0..4 {
        let Ok(mut request) = shm.allocate(20) else { continue };
        request.set_envelope(&Envelope::request(shm.id(), call));
        let kept = request.share();
        let _ = requests.try_send(request);
        let Ok((Some(received), _)) = requests.try_receive() else { continue };
        let asked = received.envelope();
        let _ = received.request().claim(shm.id(), 2);
        let _ = received.request().state().last_run.map(|runner| shm.is_runner_alive(runner));
        let _ = kept.map(|kept| kept.request().cancel());
        let Some(asked) = asked else { continue };
        let _ = shm.is_alive(asked.from.slot, asked.from.epoch);
        if let (Ok(Some(to)), Ok(mut reply)) =
            (shm.find_mailbox("echo", Role::Client, asked.from), shm.allocate(20))
        {
            reply.set_envelope(&asked.reply(shm.id(), MessageKind::Value, 1));
            let _ = to.try_send(reply);
        }
    }
    for server in shm.servers("echo") {
        let _ = shm.find_mailbox("echo", Role::Server, server);
    }
    mailboxes.iter().flatten().chain([&requests]).for_each(|queue| use_queue(shm, queue, random));
}

fn numbers_nobody_gave_out(shm: &ShmManager, random: &mut Random) {
    let allocator = shm.allocator();
    for _ in 0..8 {
        let id = if random.below(2) == 0 { random.next() } else { random.below(64) << 14 | random.below(64) };
        let buffer = Buffer { id: id as u32, received: random.below(2) == 0 };
        let _ = allocator.share(buffer);
        let _ = allocator.request(buffer).map(|request| request.state());
        let _ = allocator.release(buffer);
    }
}
