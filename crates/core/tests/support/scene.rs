//! A domain with something of everything in it.

use millrace::service::{Envelope, MessageKind, Role};
use millrace::{
    BufferPtr, Delivery, Overflow, PortQueue, QueueOptions, ShmManager, SubscribeOptions, TopicOptions,
};
use std::sync::Arc;

const POLICIES: [Overflow; 5] =
    [Overflow::Block, Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest, Overflow::Latest];
const DELIVERIES: [Delivery; 2] = [Delivery::AtMostOnce, Delivery::AtLeastOnce];

/// Every policy with every delivery; where there can be one, with a limit.
pub(crate) fn all_queues() -> impl Iterator<Item = (String, QueueOptions)> {
    let options = |overflow, delivery| {
        let limit = (delivery == Delivery::AtLeastOnce && overflow != Overflow::Latest).then_some(25);
        QueueOptions {
            capacity: Some(32),
            limit,
            overflow: Some(overflow),
            delivery: Some(delivery),
            max_deliveries: (delivery == Delivery::AtLeastOnce).then_some(2),
            // One queue whose ends are taken.
            producers: (overflow == Overflow::Reject).then_some(1),
            consumers: (overflow == Overflow::Reject).then_some(1),
            ..QueueOptions::default()
        }
    };
    POLICIES.into_iter().flat_map(move |overflow| {
        DELIVERIES.map(|delivery| (format!("{overflow:?}-{delivery:?}"), options(overflow, delivery)))
    })
}

/// Of queues of requests and work queues.
pub(crate) fn at_least_once() -> QueueOptions {
    QueueOptions {
        capacity: Some(16),
        limit: Some(12),
        delivery: Some(Delivery::AtLeastOnce),
        max_deliveries: Some(3),
        ..QueueOptions::default()
    }
}

/// With a name that outlives its maker.
pub(crate) fn named() -> SubscribeOptions {
    SubscribeOptions {
        name: Some("sure".into()),
        capacity: Some(16),
        overflow: Some(Overflow::DropOldest),
        delivery: Some(Delivery::AtLeastOnce),
        max_deliveries: Some(2),
    }
}

/// Without a name: it ends with its maker.
pub(crate) fn unnamed() -> SubscribeOptions {
    SubscribeOptions {
        capacity: Some(8),
        overflow: Some(Overflow::DropNewest),
        ..SubscribeOptions::default()
    }
}

/// A topic that keeps messages.
pub(crate) fn kept() -> TopicOptions {
    TopicOptions { history: Some(8), ..TopicOptions::default() }
}

/// What has to live for the scene to stay as it is.
pub(crate) struct Contents {
    _buffers: Vec<BufferPtr>,
    _ends: Vec<Arc<PortQueue>>,
}

/// Makes something of everything. The two take part at the same time, each with something in hand.
pub(crate) fn make(shm: &ShmManager, other: &ShmManager) -> millrace::Result<Contents> {
    let (mut buffers, mut ends) = (Vec::new(), Vec::new());
    for (name, options) in all_queues() {
        let queue = shm.port_queue(&name, &options)?;
        fill(shm, &queue)?;
        take(&queue, &mut buffers)?;
        ends.push(queue);
    }
    let work = other.work_queue("jobs", &at_least_once())?;
    fill(other, &work)?;
    take(&work, &mut buffers)?;
    ends.push(work);
    topics(shm, other, &mut buffers, &mut ends)?;
    service(shm, other, &mut buffers, &mut ends)?;
    for bytes in [3000, 70_000] {
        buffers.push(other.allocate(bytes)?);
        buffers.push(shm.allocate(bytes)?);
    }
    // A place in the table of segments whose segment has been taken out, and later ones that have not.
    drop(shm.allocate(700_000)?);
    buffers.push(shm.allocate(1_100_000)?);
    shm.trim()?;
    Ok(Contents { _buffers: buffers, _ends: ends })
}

/// Some messages of their own, some that share a buffer.
fn fill(shm: &ShmManager, queue: &PortQueue) -> millrace::Result<()> {
    for sequence in 0..5 {
        let mut buffer = shm.allocate(100 << sequence)?;
        buffer.set_sequence(sequence);
        let _ = queue.try_send(buffer);
    }
    let small = [[7_u8; 40]; 18];
    queue.put(small.iter().map(<[u8; 40]>::as_slice)).1.map(|_| ())
}

/// One in hand, one dealt with; of an at-least-once queue one in hand for the second time, and one that waits to be delivered again.
fn take(queue: &Arc<PortQueue>, buffers: &mut Vec<BufferPtr>) -> millrace::Result<()> {
    buffers.extend(queue.try_receive()?.0);
    drop(queue.try_receive()?);
    if queue.options().delivery == Delivery::AtLeastOnce {
        queue.try_receive()?.0.map_or(Ok(()), BufferPtr::nack)?;
        buffers.extend(queue.try_receive()?.0);
        queue.try_receive()?.0.map_or(Ok(()), BufferPtr::nack)?;
    }
    // One that keeps the newest only has none left.
    queue.put([&[3_u8; 30][..]].into_iter()).1.map(|_| ())
}

fn topics(
    shm: &ShmManager,
    other: &ShmManager,
    buffers: &mut Vec<BufferPtr>,
    ends: &mut Vec<Arc<PortQueue>>,
) -> millrace::Result<()> {
    let (kept, bare) = (shm.topic("kept", &kept())?, other.topic("bare", &TopicOptions::default())?);
    for topic in [&kept, &bare] {
        ends.extend([shm.subscribe(topic.name(), &named())?, other.subscribe(topic.name(), &unnamed())?]);
        for sequence in 0..12 {
            let mut buffer = if topic.name() == "kept" { shm } else { other }.allocate(200)?;
            buffer.set_sequence(sequence);
            let _ = topic.try_publish(buffer);
        }
    }
    for end in ends.iter().rev().take(4) {
        take(end, buffers)?;
    }
    // One that came late, and one whose topic is not there yet.
    ends.extend([shm.subscribe("kept", &unnamed())?, shm.subscribe("later", &named())?]);
    Ok(())
}

/// Requests in every state: new, running, run and given back, cancelled, answered.
fn service(
    client: &ShmManager,
    server: &ShmManager,
    buffers: &mut Vec<BufferPtr>,
    ends: &mut Vec<Arc<PortQueue>>,
) -> millrace::Result<()> {
    let requests = client.requests("echo", &at_least_once())?;
    let (replies, control) =
        (client.create_mailbox("echo", Role::Client, 16)?, server.create_mailbox("echo", Role::Server, 16)?);
    for call in 0..8 {
        let mut request = client.allocate(300)?;
        request.set_envelope(&Envelope::request(client.id(), call));
        buffers.push(request.share()?);
        let _ = requests.try_send(request);
    }
    buffers.iter().rev().take(2).for_each(|request| _ = request.request().cancel());
    let theirs = server.requests("echo", &at_least_once())?;
    let mailbox = server.find_mailbox("echo", Role::Client, client.id())?;
    for (call, kind) in [MessageKind::Value, MessageKind::Item, MessageKind::Lost].into_iter().enumerate() {
        let Some(request) = theirs.try_receive()?.0 else { continue };
        request.request().claim(server.id(), 2);
        let asked = request.envelope().unwrap_or(Envelope::request(client.id(), 0));
        let mut reply = server.allocate(50)?;
        reply.set_envelope(&asked.reply(server.id(), kind, 1));
        mailbox.iter().for_each(|mailbox| _ = mailbox.put([&[1_u8; 9][..]].into_iter()));
        if let Some(mailbox) = &mailbox {
            let _ = mailbox.try_send(reply);
        }
        match call {
            0 => buffers.push(request),
            2 => request.nack()?,
            _ => {}
        }
    }
    let mut cancel = client.allocate(0)?;
    cancel.set_envelope(&Envelope { kind: MessageKind::Cancel, ..Envelope::request(client.id(), 3) });
    client
        .find_mailbox("echo", Role::Server, server.id())?
        .iter()
        .for_each(|to| _ = to.put([&[2_u8][..]].into_iter()));
    let _ = control.try_send(cancel);
    ends.extend([requests, theirs, replies, control]);
    ends.extend(mailbox);
    Ok(())
}
