//! A scheduler is killed while messages are in its links: each of them is in the report of the death.

#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{Delivery, QueueOptions};
use millrace_flow::blocks::Head;
use millrace_flow::{LinkOptions, Ports, Scheduler, SchedulerOptions, Work};
use std::io::{BufRead, BufReader};
use support::blocks::Made;
use support::{Domain, child, role, until, used};

const CHILD: &str = "a_child";
const SENT: u64 = 300;

/// Not a test: passes messages on to a block that never returns from its work.
#[test]
fn a_child() {
    let Some((role, isolated)) = role() else { return };
    let shm = Domain(isolated).open();
    let options = SchedulerOptions { threads: 2, ..SchedulerOptions::default() };
    let mut scheduler = Scheduler::new(shm, options).unwrap();
    let head = scheduler.add("head", Head::new(u64::MAX)).unwrap();
    let work = |io: &mut millrace_flow::Io<'_>| -> millrace::Result<Work> {
        let _taken = io.next(0)?;
        println!("\nstuck");
        loop {
            std::thread::park();
        }
    };
    let stuck = scheduler.add("stuck", Made { ports: Ports::new().input("in"), work }).unwrap();
    let delivery = if role == "at-least-once" { Delivery::AtLeastOnce } else { Delivery::AtMostOnce };
    let link = LinkOptions { capacity: Some(64), delivery: Some(delivery), ..LinkOptions::default() };
    scheduler.connect_input((head, "in"), "port").unwrap();
    scheduler.link((head, "out"), (stuck, "in"), &link).unwrap();
    scheduler.run().unwrap();
}

#[test]
fn what_was_in_its_links_is_lost_and_reported() {
    for delivery in ["at-most-once", "at-least-once"] {
        let domain = Domain::new();
        let shm = domain.open();
        let options = QueueOptions { capacity: Some(512), ..QueueOptions::default() };
        let queue = shm.port_queue("port", &options).unwrap();
        let mut child = child(CHILD, delivery, &domain, &[]);
        for _ in 0..SENT {
            queue.try_send(shm.allocate(64).unwrap()).unwrap();
        }
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "stuck"));
        // The link is full, and Head has more than that.
        until("the link is full", || SENT - queue.len() as u64 > 64);
        child.kill().unwrap();
        child.wait().unwrap();
        until("it is recovered", || shm.snapshot().unwrap().participants.len() == 1);
        let lost = shm.snapshot().unwrap().recovered.lost;
        assert_eq!(queue.len() as u64 + lost, SENT, "{lost} reported lost over a link {delivery}");
        assert!(shm.fsck().unwrap().is_empty());
        assert_eq!(used(&shm), queue.len() as u64);
    }
}
