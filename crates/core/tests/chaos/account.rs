//! What arrived, what was reported, and whether it comes to what was sent.

use crate::support::Isolated;
use crate::under_test::{BYTES, COPIED, Place, UNDER_TEST, bytes_of, number_of};
use crate::work::{copier, in_hand};
use crate::worker::Worker;
use millrace::{Delivery, Overflow, PortQueue, QueueSnapshot, ShmManager};
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Default)]
pub(crate) struct Account {
    /// How often each message arrived, per queue.
    arrived: [HashMap<u64, u32>; UNDER_TEST.len()],
    /// Messages reported lost, by the name of the dead.
    lost: HashMap<String, u64>,
    pub(crate) redelivered: u64,
    pub(crate) sent: u64,
    /// The last report read.
    seen: u64,
    /// Copiers that were killed, and what they had in hand.
    copiers: Vec<(u64, Option<u64>)>,
}

impl Account {
    /// Takes what consumers have passed on.
    pub(crate) fn drain(&mut self, sinks: &[Arc<PortQueue>]) {
        let (mut bytes, mut lengths) = ([0; 64 * BYTES], [0; 64]);
        for (queue, arrived) in sinks.iter().zip(&mut self.arrived) {
            while let (count @ 1.., ..) = queue.get(&mut bytes, &mut lengths).unwrap() {
                let mut rest = &bytes[..];
                for length in &lengths[..count] {
                    let (message, behind) = rest.split_at(*length as usize);
                    let number = number_of(message);
                    let bytes = bytes_of(number & 0xffff_ffff);
                    assert_eq!(message.len(), bytes, "message {number:x} came as it went");
                    *arrived.entry(number).or_default() += 1;
                    rest = behind;
                }
            }
        }
    }

    pub(crate) fn read_reports(&mut self, shm: &ShmManager) {
        for report in shm.reports_since(self.seen) {
            assert_eq!(report.missed, 0, "every report is read");
            self.seen = report.sequence;
            self.redelivered += u64::from(report.redelivered);
            *self.lost.entry(report.name).or_default() += u64::from(report.lost);
        }
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.values().sum()
    }

    /// It has been killed.
    pub(crate) fn account_for(&mut self, worker: &Worker, isolated: &Isolated) {
        if worker.role == format!("consumer {COPIED}") {
            self.copiers.push((worker.birth, in_hand(isolated, worker.birth)));
        }
    }

    /// What went with each copier: a message that its recovery has reported, or the one it had in hand, if that has not arrived; which is
    /// the same where it died in between.
    fn lost_with_copiers(&self) -> u64 {
        let of = |(birth, hand): &(u64, Option<u64>)| {
            let reported = self.lost.get(&copier(*birth)).copied().unwrap_or(0);
            let in_hand = hand.is_some_and(|number| !self.arrived[COPIED].contains_key(&number));
            assert!(reported <= 1, "a copier has one message at a time");
            reported.max(in_hand.into())
        };
        self.copiers.iter().map(of).sum()
    }

    fn lost_on(&self, index: usize) -> u64 {
        let by = |role: &str| self.lost.get(&format!("{role} {index}")).copied().unwrap_or(0);
        // What a client loses are replies, from its mailbox.
        let by_producers = if UNDER_TEST[index].place == Place::Requests { 0 } else { by("producer") };
        by_producers + if index == COPIED { self.lost_with_copiers() } else { by("consumer") }
    }

    /// Checks the account of one queue, of which nothing is under way any more.
    pub(crate) fn check(&mut self, index: usize, queue: &QueueSnapshot, kills: u64) {
        let tested = &UNDER_TEST[index];
        let (name, arrived) = (tested.name, &self.arrived[index]);
        let (distinct, sent) = (arrived.len() as u64, queue.sent);
        let twice = arrived.values().filter(|times| **times > 1).count() as u64;
        let lost = self.lost_on(index);
        println!(
            "{name:<12} sent {sent:>9} = arrived {distinct:>9} + dropped {:>9} + lost {lost:>4}   (twice {twice})",
            queue.dropped
        );
        assert_eq!((queue.depth, queue.leased), (0, 0), "{name}");
        let accounted = distinct + queue.dropped + lost;
        match (tested.delivery, tested.overflow) {
            (Delivery::AtLeastOnce, _) => {
                assert_eq!((distinct, lost), (sent, 0), "{name}: everything sent has arrived");
                assert!(
                    twice <= queue.redelivered,
                    "{name}: {twice} twice, {} redelivered",
                    queue.redelivered
                );
            }
            // Of the queue of copiers: or in the hand of one that died.
            (_, Overflow::Block) => assert_eq!(accounted, sent, "{name}: arrived or reported"),
            // A producer killed between a drop and its count leaves that one uncounted.
            _ => assert!((sent - kills..=sent).contains(&accounted), "{name}: {accounted} of {sent}"),
        }
        assert!(tested.delivery == Delivery::AtLeastOnce || twice == 0, "{name}: at most once");
        self.sent += sent;
    }
}
