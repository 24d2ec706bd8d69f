//! One operation of the core, a number of times, for a tool that counts instructions. What comes before is the same for any number,
//! and nothing comes after: the difference between two numbers is the operation alone. Leaves the domain to whoever asked.

use millrace::{Buffer, OpenOptions, PortQueue, QueueOptions, Received, ShmManager};
use std::sync::Arc;

/// Buffers that exist, and messages that a queue holds.
const COUNT: usize = 4096;

struct Bench {
    shm: ShmManager,
    queue: Arc<PortQueue>,
    held: Vec<Buffer>,
}

/// Does `operation` (`allocate`, `send`, `receive`, `release`) `count` times, `batch` to a call, in domain `bench` of `directory`.
pub(crate) fn run(directory: &str, operation: &str, batch: usize, count: usize) -> ! {
    assert!(count <= COUNT && count.is_multiple_of(batch), "{count} in batches of {batch}");
    let options = OpenOptions { directory: Some(directory.into()), ..OpenOptions::default() };
    let shm = ShmManager::open("bench", &options).expect("a domain");
    let options = QueueOptions { capacity: Some(COUNT as u32), ..QueueOptions::default() };
    let queue = shm.port_queue("queue", &options).expect("a queue");
    let mut bench = Bench { shm, queue, held: Vec::with_capacity(2 * COUNT) };
    // All buffers exist, so that nothing grows, and all paths have been taken once.
    bench.allocate(64, COUNT);
    bench.send(64, COUNT);
    bench.receive(64, COUNT);
    bench.release(64, COUNT);
    match operation {
        "allocate" => bench.allocate(batch, count),
        "send" => {
            bench.allocate(64, COUNT);
            bench.send(batch, count);
        }
        "receive" => {
            bench.allocate(64, COUNT);
            bench.send(64, COUNT);
            bench.receive(batch, count);
        }
        "release" => {
            bench.allocate(64, COUNT);
            bench.release(batch, count);
        }
        _ => panic!("there is no operation {operation}"),
    }
    // SAFETY: ends the process without anything that would count.
    unsafe { libc::_exit(0) }
}

impl Bench {
    fn allocate(&mut self, batch: usize, count: usize) {
        let allocator = self.shm.allocator();
        let mut ids = [0; 64];
        for _ in 0..count / batch {
            let got = allocator.allocate_ids(64, &mut ids[..batch]).expect("buffers");
            assert_eq!(got, batch, "there are enough");
            self.held.extend(ids[..batch].iter().map(|&id| Buffer { id, received: false }));
        }
    }

    fn send(&mut self, batch: usize, count: usize) {
        for _ in 0..count / batch {
            let from = self.held.len() - batch;
            let (sent, outcome) = self.queue.send(&self.held[from..]);
            outcome.expect("a send");
            assert_eq!(sent, batch, "there is room");
            self.held.truncate(from);
        }
    }

    fn receive(&mut self, batch: usize, count: usize) {
        let mut taken = [Received::default(); 64];
        for _ in 0..count / batch {
            let (got, _) = self.queue.receive(&mut taken[..batch]).expect("a receive");
            assert_eq!(got, batch, "there are enough");
            self.held.extend(taken[..batch].iter().map(|received| received.buffer));
        }
    }

    fn release(&mut self, batch: usize, count: usize) {
        let allocator = self.shm.allocator();
        for _ in 0..count / batch {
            let from = self.held.len() - batch;
            let (released, outcome) = allocator.release_all(self.held.drain(from..));
            outcome.expect("a release");
            assert_eq!(released, batch, "all were held");
        }
    }
}
