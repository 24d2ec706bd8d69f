//! What the processes do that are killed.

use crate::support::{Isolated, say};
use crate::under_test::{
    BYTES, COPIED, NAME, Place, SUBSCRIBED, UNDER_TEST, bytes_of, done, number_of, open, queue, topic,
};
use millrace::service::{Claim, Envelope, MessageKind, Role};
use millrace::{
    BufferPtr, Delivery, ErrorKind, Interest, Overflow, PortQueue, PutOutcome, QueueOptions, SendOutcome,
    ShmManager, SubscribeOptions, TakeOutcome, Topic, TrySendError,
};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A child: `<producer|consumer|churner> <index> <birth>`.
pub(crate) fn work(role: &str, isolated: &Isolated) {
    let parts: Vec<_> = role.split(' ').collect();
    let (index, birth) = (parts[1].parse::<usize>().unwrap(), parts[2].parse().unwrap());
    let is_copier = (parts[0], index) == ("consumer", COPIED);
    let shm = open(isolated, &if is_copier { copier(birth) } else { format!("{} {index}", parts[0]) });
    match parts[0] {
        "producer" => produce(&shm, index, birth),
        "consumer" if is_copier => copy(&shm, &hand_of(isolated, birth)),
        "consumer" => consume(&shm, index),
        _ => churn(&shm, birth),
    }
}

/// Sends, waiting as long as it takes; false: the queue has ended.
fn send(queue: &Arc<PortQueue>, buffer: BufferPtr) -> bool {
    let mut pending = Some(buffer);
    while let Some(buffer) = pending.take() {
        match queue.try_send(buffer) {
            Ok(()) => {}
            Err(TrySendError::Full(back)) => {
                queue.wait(Interest::Space, Duration::from_millis(100));
                pending = Some(back);
            }
            Err(TrySendError::Failed(_, error)) => panic!("{error}"),
            Err(_) => return false,
        }
    }
    true
}

/// Copies messages in, waiting as long as it takes; false: the queue has ended.
fn put(queue: &Arc<PortQueue>, messages: &[&[u8]]) -> bool {
    let mut done = 0;
    while done < messages.len() {
        let (count, outcome) = queue.put(messages[done..].iter().copied());
        done += count;
        match outcome.unwrap() {
            PutOutcome::Done => {}
            PutOutcome::Exhausted => std::thread::yield_now(),
            PutOutcome::Refused(SendOutcome::Full) => {
                queue.wait(Interest::Space, Duration::from_millis(100));
            }
            PutOutcome::Refused(_) => return false,
        }
    }
    true
}

/// Publishes, waiting for those who do not want to miss it; false: the topic has ended.
fn publish(topic: &Topic, buffer: BufferPtr) -> bool {
    let Err(refused) = topic.try_publish(buffer) else { return true };
    match refused.published.outcome.unwrap() {
        SendOutcome::Full => {
            refused
                .published
                .blocked
                .iter()
                .for_each(|queue| _ = send(queue, refused.buffer.share().unwrap()));
            true
        }
        _ => false,
    }
}

/// A message of its own; waits for memory.
fn message(shm: &ShmManager, number: u64) -> BufferPtr {
    loop {
        match shm.allocate(bytes_of(number & 0xffff_ffff)) {
            Ok(mut buffer) => {
                // SAFETY: nobody else has it.
                let start = unsafe { &mut buffer.bytes_mut()[..8] };
                start.copy_from_slice(&number.to_le_bytes());
                return buffer;
            }
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// A few, or so many that they share a buffer.
fn batch(first: u64, count: u64) -> Vec<Vec<u8>> {
    let more = 0..if count.is_multiple_of(3) { 16 + count % 32 } else { 1 + count % 4 };
    let bytes = |more: u64| {
        let mut bytes = vec![0; bytes_of(count + more)];
        bytes[..8].copy_from_slice(&(first + more).to_le_bytes());
        bytes
    };
    more.map(bytes).collect()
}

fn produce(shm: &ShmManager, index: usize, birth: u64) {
    let (queue, place) = (queue(shm, index), UNDER_TEST[index].place);
    let topic = (place == Place::Subscription).then(|| topic(shm));
    let mut client = (place == Place::Requests).then(|| Client::new(shm));
    say("ready");
    let mut count = 0;
    loop {
        let number = birth << 32 | count;
        let sent = if let Some(topic) = &topic {
            count += 1;
            publish(topic, message(shm, number))
        } else if let Some(client) = client.as_mut().filter(|_| birth % 2 == 1) {
            count += 1;
            client.request(&queue, message(shm, number), count)
        } else if birth.is_multiple_of(2) {
            let batch = batch(number, count);
            count += batch.len() as u64;
            put(&queue, &batch.iter().map(Vec::as_slice).collect::<Vec<_>>())
        } else {
            count += 1;
            send(&queue, message(shm, number))
        };
        if place == Place::Work && count % 8 == 0 {
            queue.wait(Interest::Idle, Duration::from_millis(5));
        }
        if !sent {
            return;
        }
    }
}

/// Asks, cancels some of it, and takes what is replied.
struct Client<'a> {
    shm: &'a ShmManager,
    replies: Arc<PortQueue>,
}

impl<'a> Client<'a> {
    fn new(shm: &'a ShmManager) -> Self {
        loop {
            match shm.create_mailbox(NAME, Role::Client, 16) {
                Ok(replies) => return Self { shm, replies },
                // The pool may be in a churner's hands.
                Err(e) => assert_eq!(e.kind(), ErrorKind::Exhausted, "{e}"),
            }
        }
    }

    fn request(&mut self, queue: &Arc<PortQueue>, mut request: BufferPtr, call: u64) -> bool {
        request.set_envelope(&Envelope::request(self.shm.id(), call as u32));
        let kept = request.share().unwrap();
        let sent = send(queue, request);
        if call.is_multiple_of(5) {
            kept.request().cancel();
        }
        while let Some(reply) = self.replies.try_receive().unwrap().0 {
            assert_eq!(reply.envelope().unwrap().kind, MessageKind::Value);
        }
        sent
    }
}

/// Claims a run and replies, if it is a request of somebody who is there.
fn serve(shm: &ShmManager, request: &BufferPtr) {
    let Some(asked) = request.envelope() else { return };
    let Claim::Run(run) = request.request().claim(shm.id(), 100) else { return };
    let Some(mailbox) = shm.find_mailbox(NAME, Role::Client, asked.from).unwrap() else { return };
    let Ok(mut reply) = shm.allocate(8) else { return };
    reply.set_envelope(&asked.reply(shm.id(), MessageKind::Value, run as u8));
    send_if_room(&mailbox, reply);
}

/// Copies messages from one queue to the other, one at a time, so that a death takes along one at most: into memory that outlives this
/// process, so that it can be seen which.
fn copy(shm: &ShmManager, hand: &Path) {
    let (queue, done) = (queue(shm, COPIED), done(shm, COPIED));
    let file = File::options().read(true).write(true).create_new(true).open(hand).unwrap();
    file.set_len(BYTES as u64).unwrap();
    let (read_write, shared) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
    // SAFETY: a mapping of its own, at no particular place.
    let start = unsafe { mmap(std::ptr::null_mut(), BYTES, read_write, shared, &file, 0) }.unwrap();
    // SAFETY: just mapped, and nobody makes the file shorter.
    let bytes = unsafe { std::slice::from_raw_parts_mut(start.cast::<u8>(), BYTES) };
    say("ready");
    let mut length = [0];
    loop {
        match queue.get(bytes, &mut length).unwrap() {
            (1, ..) if put(&done, &[&bytes[..length[0] as usize]]) => {}
            (0, _, TakeOutcome::Empty) => {
                queue.wait(Interest::Data, Duration::from_millis(100));
            }
            _ => return,
        }
    }
}

fn consume(shm: &ShmManager, index: usize) {
    let (queue, done, tested) = (queue(shm, index), done(shm, index), &UNDER_TEST[index]);
    say("ready");
    for count in 0_u64.. {
        match queue.try_receive().unwrap() {
            (Some(message), _)
                if tested.delivery == Delivery::AtLeastOnce && message.attempt() == 1 && count % 97 == 5 =>
            {
                message.nack().unwrap_or_default();
            }
            (Some(message), _) => {
                if tested.place == Place::Requests {
                    serve(shm, &message);
                }
                if !send(&done, message) {
                    return;
                }
            }
            (None, TakeOutcome::Empty) => {
                queue.wait(Interest::Data, Duration::from_millis(100));
            }
            (None, _) => return,
        }
    }
}

/// Sends unless there is no room.
fn send_if_room(queue: &PortQueue, buffer: BufferPtr) {
    assert!(!matches!(queue.try_send(buffer), Err(TrySendError::Failed(..))));
}

/// Makes and destroys queues, subscribes and leaves; hoards the pool, in buffers of another size each time, until it is exhausted, lets
/// go, and gives back what is empty.
fn churn(shm: &ShmManager, birth: u64) {
    say("ready");
    for count in birth.. {
        let queue = passing_queue(shm, birth * 3 + count % 3);
        late_subscriber(shm);
        let bytes = [12_000, 40_000, 200_000, 900_000][count as usize % 4];
        let hoard: Vec<_> = (0..200).map_while(|_| shm.allocate(bytes).ok()).collect();
        hoard.into_iter().for_each(|buffer| send_if_room(&queue, buffer));
        queue.destroy();
        shm.trim().unwrap();
        resize(shm, count);
    }
}

/// Puts another ring in the place of one under test. It has been made long ago.
fn resize(shm: &ShmManager, count: u64) {
    let index = count as usize % SUBSCRIBED;
    match queue(shm, index).resize([8, 256, 32, 2][(count / SUBSCRIBED as u64) as usize % 4]) {
        Ok(()) => {}
        Err(e) if [ErrorKind::Closed, ErrorKind::Destroyed, ErrorKind::Timeout].contains(&e.kind()) => {}
        Err(e) => assert_eq!(e.kind(), ErrorKind::Exhausted, "{e}"),
    }
}

fn passing_queue(shm: &ShmManager, number: u64) -> Arc<PortQueue> {
    let (capacity, delivery) = (Some(128), Some(Delivery::AtLeastOnce));
    let options = QueueOptions { capacity, delivery, ..QueueOptions::default() };
    loop {
        // The pool may be exhausted by another churner.
        match shm.port_queue(&format!("churn-{}", number % 7), &options) {
            Ok(queue) => return queue,
            Err(e) => assert_eq!(e.kind(), ErrorKind::Exhausted, "{e}"),
        }
    }
}

fn late_subscriber(shm: &ShmManager) {
    let (capacity, overflow) = (Some(8), Some(Overflow::DropNewest));
    match shm.subscribe(NAME, &SubscribeOptions { capacity, overflow, ..SubscribeOptions::default() }) {
        Ok(queue) => {
            let received = (0..4).filter_map(|_| queue.try_receive().unwrap().0);
            // SAFETY: nobody writes to what has been published.
            received.for_each(|message| assert_ne!(number_of(unsafe { message.bytes() }), 0));
            queue.destroy();
        }
        Err(e) => assert_eq!(e.kind(), ErrorKind::Exhausted, "{e}"),
    }
}

/// What the participant is called that copies.
pub(crate) fn copier(birth: u64) -> String {
    format!("copier {birth}")
}

/// The file in which it has what it has in hand.
pub(crate) fn hand_of(isolated: &Isolated, birth: u64) -> PathBuf {
    isolated.base.with_extension(format!("copier-{birth}"))
}

/// The message that a copier had in hand when it was killed, or the last one that it has passed on; `None`: it has had none.
pub(crate) fn in_hand(isolated: &Isolated, birth: u64) -> Option<u64> {
    let hand = hand_of(isolated, birth);
    let bytes = std::fs::read(&hand).ok()?;
    std::fs::remove_file(hand).unwrap();
    Some(number_of(bytes.get(..8)?)).filter(|number| *number != 0)
}
