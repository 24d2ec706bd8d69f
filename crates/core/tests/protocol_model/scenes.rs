//! Short scenes: two processes, each stopped (and perhaps killed) after every number of steps. What the random runs meet once in
//! ten thousand times happens here for certain: the schedules of bugs that were found are kept as these scenes.

use crate::app::{Message, drain, examiner};
use crate::departures::Tenant;
use crate::recovery::sweep;
use crate::ring::End;
use crate::rules::{Rule, Rules};
use crate::send::Item;
use crate::sim::{Body, Cpu, Sim, Wait};
use crate::world::{Options, Overflow};

const AT_LEAST_ONCE: Options =
    Options { capacity: 2, limit: 0, at_least_once: true, max_deliveries: 0, overflow: Overflow::Block };
const AT_MOST_ONCE: Options = Options { at_least_once: false, ..AT_LEAST_ONCE };

/// What becomes of the two processes when both have been stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    BothGoOn,
    FirstDies,
    BothDie,
    /// The second acted to its end when the first had been stopped; then the first went on, was stopped again, and died.
    FirstGoesOnAndDies,
}

/// A scene: who prepares the ground, who acts first, who acts second. Each marks the point from which steps are counted.
pub(crate) struct Scene {
    /// The rule whose absence the scene shows.
    pub(crate) rule: Rule,
    buffers: usize,
    cast: [fn(Cpu) -> Body; 3],
    then: Then,
}

pub(crate) const SCENES: [Scene; 10] = [
    Scene {
        rule: Rule::HoldWhileLeased,
        buffers: 3,
        cast: [|c| Box::pin(two_queues(c)), |c| Box::pin(forwarder(c)), |c| Box::pin(recycler(c))],
        then: Then::FirstDies,
    },
    Scene {
        rule: Rule::NackLooksAgain,
        buffers: 3,
        cast: [|c| Box::pin(one_message(c)), |c| Box::pin(refuser(c)), |c| Box::pin(destroyer(c))],
        then: Then::BothGoOn,
    },
    Scene {
        rule: Rule::PendingIsNotTheEnd,
        buffers: 3,
        cast: [|c| Box::pin(one_message(c)), |c| Box::pin(closing_receiver(c)), |c| Box::pin(refuser(c))],
        then: Then::BothGoOn,
    },
    Scene {
        rule: Rule::ReservationBecomesMessage,
        buffers: 6,
        cast: [|c| Box::pin(full_queue(c)), |c| Box::pin(receiver(c)), |c| Box::pin(dropper(c))],
        then: Then::BothDie,
    },
    Scene {
        rule: Rule::ReadyIsNotTheEnd,
        buffers: 6,
        cast: [|c| Box::pin(one_message(c)), |c| Box::pin(hoarder(c)), |c| Box::pin(receiver(c))],
        then: Then::BothGoOn,
    },
    Scene {
        rule: Rule::SenderLooksAgain,
        buffers: 4,
        cast: [|c| Box::pin(one_message(c)), |c| Box::pin(sender(c)), |c| Box::pin(destroyer(c))],
        then: Then::BothGoOn,
    },
    Scene {
        rule: Rule::SenderLooksAgain,
        buffers: 4,
        cast: [|c| Box::pin(one_message(c)), |c| Box::pin(copier(c)), |c| Box::pin(closer(c))],
        then: Then::FirstGoesOnAndDies,
    },
    Scene {
        rule: Rule::CopiesAreTold,
        buffers: 3,
        cast: [|c| Box::pin(one_copy(c)), |c| Box::pin(getter(c)), |c| Box::pin(closer(c))],
        then: Then::FirstDies,
    },
    Scene {
        rule: Rule::RemovedIsTold,
        buffers: 6,
        cast: [|c| Box::pin(full_of_copies(c)), |c| Box::pin(dropper(c)), |c| Box::pin(closer(c))],
        then: Then::FirstDies,
    },
    Scene {
        rule: Rule::MailboxEndsWithOwner,
        buffers: 4,
        cast: [|c| Box::pin(client(c)), |c| Box::pin(server(c)), |c| Box::pin(poster(c))],
        then: Then::FirstDies,
    },
];

impl Scene {
    /// The scene that shows `rule`, if there is one.
    pub(crate) fn of(rule: Rule) -> Option<&'static Self> {
        SCENES.iter().find(|scene| scene.rule == rule)
    }

    /// Plays every variant: the first process stopped after `a` steps, the second (or the first, again) after `b`. Returns how many
    /// there are.
    pub(crate) fn play(&self, rules: Rules) -> Result<usize, String> {
        let mut played = 0;
        for a in 0.. {
            let mut first_done = false;
            for b in 0.. {
                let (done, result) = self.variant(rules, a, b);
                result.map_err(|what| format!("{:?} after {a} and {b} steps: {what}", self.then))?;
                played += 1;
                first_done = done[0];
                if done[1] {
                    break;
                }
            }
            if first_done {
                break;
            }
        }
        Ok(played)
    }

    /// Plays one variant; returns who was done at either stop.
    fn variant(&self, rules: Rules, a: usize, b: usize) -> ([bool; 2], Result<(), String>) {
        let mut sim = Sim::new(1, self.buffers, rules);
        let mut done = [false; 2];
        let result = (|| {
            for actor in self.cast {
                let process = sim.spawn([actor]);
                // A process has one thread here: its number is the process's.
                while sim.marks(process) < 1 {
                    sim.step(process)?;
                }
            }
            if self.then == Then::FirstGoesOnAndDies {
                sim.steps(1, a)?;
                done[0] = sim.marks(1) == 2;
                while sim.marks(2) < 2 {
                    sim.step(2)?;
                }
                sim.steps(1, b)?;
                done[1] = sim.marks(1) == 2;
            } else {
                for (process, steps) in [(1, a), (2, b)] {
                    sim.steps(process, steps)?;
                    done[process - 1] = sim.marks(process) == 2;
                }
            }
            if self.then != Then::BothGoOn {
                sim.kill(1);
            }
            if self.then == Then::BothDie {
                sim.kill(2);
            }
            // The dead are recovered and what they left is received while the living still have what they have.
            let process = sim.spawn([successor as fn(_) -> _]);
            sim.settle(Some(process))?;
            sim.shared.calm.set(true);
            sim.settle(None)?;
            sim.spawn([examiner as fn(_) -> _]);
            sim.settle(None)?;
            sim.everything_is_back()
        })();
        (done, result)
    }
}

/// Recovers, and receives what can be received.
fn successor(cpu: Cpu) -> Body {
    Box::pin(async move {
        cpu.join().await;
        sweep(&cpu).await;
        for name in 0..2 {
            if let Some(end) = cpu.attach(name).await {
                drain(&cpu, &end).await;
                cpu.detach(&end).await;
            }
        }
        cpu.leave().await;
    })
}

impl Cpu {
    /// From here on steps count (first mark); all is done (second mark), wait for the others.
    async fn mark(&self) {
        self.own.marks.set(self.own.marks.get() + 1);
        self.wait(Wait::Nothing).await;
        while self.own.marks.get() == 2 && !self.shared.calm.get() {
            self.wait(Wait::Death).await;
        }
    }

    async fn make(&self, name: usize, options: Options) -> End {
        self.attach_or_create(name, options).await.expect("there is room for it")
    }

    async fn new_message(&self) -> Item {
        let id = self.allocate().await.expect("a buffer is left");
        Item { id, received: false, content: self.write(id).await }
    }

    async fn put(&self, end: &End) {
        let item = self.new_message().await;
        if self.send(end, &[item]).await == 0 {
            self.pin().await;
            self.release(item.id, false).await;
            self.unpin().await;
        }
    }

    async fn get(&self, end: &End) -> Option<Message> {
        self.receive(end, 1).await.ok().and_then(|mut messages| messages.pop())
    }

    async fn go(&self, ends: &[&End], hand: impl IntoIterator<Item = Message>) {
        self.mark().await;
        for message in hand {
            self.let_go(message).await;
        }
        for end in ends {
            self.detach(end).await;
        }
        self.leave().await;
    }
}

async fn two_queues(cpu: Cpu) {
    cpu.join().await;
    let ends = (cpu.make(0, AT_LEAST_ONCE).await, cpu.make(1, AT_MOST_ONCE).await);
    cpu.put(&ends.0).await;
    cpu.mark().await;
    cpu.go(&[&ends.0, &ends.1], None).await;
}

async fn one_message(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(0, AT_LEAST_ONCE).await;
    cpu.put(&end).await;
    cpu.mark().await;
    cpu.go(&[&end], None).await;
}

/// Two messages in the queue, a third under lease.
async fn full_queue(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(0, Options { overflow: Overflow::DropOldest, ..AT_LEAST_ONCE }).await;
    cpu.put(&end).await;
    let leased = cpu.get(&end).await;
    cpu.put(&end).await;
    cpu.put(&end).await;
    cpu.mark().await;
    cpu.go(&[&end], leased).await;
}

/// Leases a message and moves it on.
async fn forwarder(cpu: Cpu) {
    cpu.join().await;
    let ends = (cpu.make(0, AT_LEAST_ONCE).await, cpu.make(1, AT_MOST_ONCE).await);
    let message = cpu.get(&ends.0).await.expect("one was sent");
    cpu.mark().await;
    cpu.put_down(&message);
    cpu.send_leased(&ends.1, &message).await;
    cpu.go(&[&ends.0, &ends.1], None).await;
}

/// Receives a message, lets it go, and uses its buffer for one of its own.
async fn recycler(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(1, AT_MOST_ONCE).await;
    cpu.mark().await;
    if let Some(message) = cpu.get(&end).await {
        cpu.let_go(message).await;
    }
    let mut mine = None;
    if let Some(id) = cpu.allocate().await {
        let content = cpu.write(id).await;
        let item = Item { id, received: false, content };
        mine = Some(Message { item, position: 0, attempt: 0, lease: None });
    }
    cpu.go(&[&end], mine).await;
}

/// Leases a message and gives it back.
async fn refuser(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(0, AT_LEAST_ONCE).await;
    let message = cpu.get(&end).await;
    cpu.mark().await;
    let mut kept = None;
    if let Some(message) = message
        && let Some(lease) = &message.lease
        && !cpu.nack(lease, &message).await
    {
        kept = Some(message);
    }
    cpu.go(&[&end], kept).await;
}

async fn destroyer(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(0, AT_LEAST_ONCE).await;
    cpu.mark().await;
    cpu.destroy(&end).await;
    cpu.go(&[&end], None).await;
}

async fn sender(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(0, AT_LEAST_ONCE).await;
    cpu.mark().await;
    cpu.put(&end).await;
    cpu.go(&[&end], None).await;
}

/// A message in an at-most-once queue.
async fn one_copy(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(0, AT_MOST_ONCE).await;
    cpu.put_copies(&end, 1).await;
    cpu.mark().await;
    cpu.go(&[&end], None).await;
}

/// An at-most-once queue that drops its oldest message for the next.
async fn full_of_copies(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(0, Options { overflow: Overflow::DropOldest, ..AT_MOST_ONCE }).await;
    cpu.put(&end).await;
    cpu.put(&end).await;
    cpu.mark().await;
    cpu.go(&[&end], None).await;
}

/// The slot of the server, and its first tenant: the client has joined before it.
const SERVER: Tenant = (1, 1);

/// Stays until it has heard that the server is gone, however it went.
async fn client(cpu: Cpu) {
    cpu.join().await;
    cpu.mark().await;
    cpu.watch(SERVER).await;
    cpu.leave().await;
}

/// Makes its mailbox, looks into it, ends it and leaves.
async fn server(cpu: Cpu) {
    cpu.join().await;
    cpu.mark().await;
    let mailbox = cpu.make_mailbox().await.expect("there is room for it");
    let message = cpu.fetch(&mailbox).await.pop();
    cpu.destroy(&mailbox).await;
    if let Some(message) = message {
        cpu.let_go(message).await;
    }
    cpu.detach(&mailbox).await;
    cpu.leave().await;
    cpu.mark().await;
}

/// Sends to the server, if it is there.
async fn poster(cpu: Cpu) {
    cpu.join().await;
    cpu.mark().await;
    cpu.post(SERVER.0).await;
    cpu.go(&[], None).await;
}

/// Copies a message in.
async fn copier(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(0, AT_LEAST_ONCE).await;
    cpu.mark().await;
    cpu.put_copies(&end, 1).await;
    cpu.go(&[&end], None).await;
}

/// Copies a message out.
async fn getter(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(0, AT_MOST_ONCE).await;
    cpu.mark().await;
    let _ = cpu.get_copies(&end, 1).await;
    cpu.go(&[&end], None).await;
}

async fn closer(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(0, AT_LEAST_ONCE).await;
    cpu.mark().await;
    cpu.close(&end).await;
    cpu.go(&[&end], None).await;
}

/// Closes the queue, then receives.
async fn closing_receiver(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(0, AT_LEAST_ONCE).await;
    cpu.close(&end).await;
    cpu.mark().await;
    let message = cpu.get(&end).await;
    cpu.go(&[&end], message).await;
}

async fn receiver(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(0, AT_LEAST_ONCE).await;
    cpu.mark().await;
    let message = cpu.get(&end).await;
    cpu.go(&[&end], message).await;
}

/// Sends into a full queue, which drops its oldest message.
async fn dropper(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(0, AT_LEAST_ONCE).await;
    cpu.mark().await;
    cpu.put(&end).await;
    cpu.go(&[&end], None).await;
}

/// Has as many leases as there can be when another message comes and the queue is closed; then receives.
async fn hoarder(cpu: Cpu) {
    cpu.join().await;
    let end = cpu.make(0, AT_LEAST_ONCE).await;
    cpu.put(&end).await;
    let mut hand: Vec<_> = cpu.get(&end).await.into_iter().collect();
    hand.extend(cpu.get(&end).await);
    cpu.put(&end).await;
    cpu.close(&end).await;
    cpu.mark().await;
    hand.extend(cpu.get(&end).await);
    cpu.go(&[&end], hand).await;
}
