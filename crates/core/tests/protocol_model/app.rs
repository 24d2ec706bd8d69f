//! What the processes do: anything, in any order; and the examiner, which comes last and finds everything in place.

use crate::habits::Act;
use crate::receive::{Lease, Nothing};
use crate::recovery::sweep;
use crate::ring::End;
use crate::rules::Rule;
use crate::send::Item;
use crate::sim::{Body, Cpu, Wait};
use crate::world::{Overflow, Payload, SLOTS, World};

/// Queues the processes use, by number.
const NAMES: usize = 2;
/// The queue of messages that were delivered too often.
pub(crate) const DEAD_LETTERS: usize = NAMES;

/// A message, or a buffer that may become one, in an application's hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) item: Item,
    /// Where it was in its queue.
    pub(crate) position: u64,
    pub(crate) attempt: u32,
    pub(crate) lease: Option<Lease>,
}

impl World {
    /// What buffer `id` says, if it holds a message.
    pub(crate) fn content(&self, id: usize) -> Option<u64> {
        match self.buffers[id].payload {
            Payload::Data(content) => Some(content),
            _ => None,
        }
    }
}

impl Cpu {
    fn pick_up(&self, message: &Message) {
        self.now(|w| w.oracle.processes[self.process].in_hand.push(message.item.id));
    }

    /// The application lets go of the message: from here on the protocol has it.
    pub(crate) fn put_down(&self, message: &Message) {
        self.now(|w| {
            let in_hand = &mut w.oracle.processes[self.process].in_hand;
            if let Some(at) = in_hand.iter().position(|id| *id == message.item.id) {
                in_hand.swap_remove(at);
            }
        });
    }

    /// What is in hand still says what it said.
    fn read(&self, message: &Message) {
        self.now(|w| {
            let now = w.content(message.item.id);
            if now != Some(message.item.content) {
                w.fail(|| format!("process {} holds {message:?}, which says {now:?} now", self.process));
            }
        });
    }

    /// Acknowledges and releases.
    pub(crate) async fn let_go(&self, message: Message) {
        self.read(&message);
        self.put_down(&message);
        if let Some(lease) = &message.lease {
            self.ack(lease, &message).await;
        }
        self.pin().await;
        self.release(message.item.id, message.item.received).await;
        self.unpin().await;
    }

    async fn give_back(&self, message: Message) {
        let Some(lease) = &message.lease else { return self.let_go(message).await };
        if !self.nack(lease, &message).await {
            self.let_go(message).await;
        }
    }
}

struct App {
    cpu: Cpu,
    ends: [Option<End>; NAMES + 1],
    hand: Vec<Message>,
    mailbox: Option<End>,
    /// The thread that has the mailbox.
    serves: bool,
}

impl App {
    fn new(cpu: Cpu, serves: bool) -> Self {
        Self { cpu, ends: [None; NAMES + 1], hand: Vec::new(), mailbox: None, serves }
    }

    fn any_end(&self) -> Option<End> {
        self.ends[self.cpu.random().below(NAMES + 1)]
    }

    async fn act(&mut self) {
        match self.cpu.shared.habits.pick(self.cpu.random()) {
            Act::Open => self.open().await,
            Act::Fill => self.fill().await,
            Act::Send => self.send().await,
            Act::Publish => self.publish().await,
            Act::PublishToAll => self.publish_to_all().await,
            Act::Put => {
                if let Some(end) = self.any_end() {
                    self.cpu.put_copies(&end, 1 + self.cpu.random().below(3)).await;
                }
            }
            Act::Get => {
                if let Some(end) = self.any_end().filter(|end| !end.options.at_least_once) {
                    let _ = self.cpu.get_copies(&end, 1 + self.cpu.random().below(3)).await;
                }
            }
            Act::Peek => self.peek().await,
            Act::Receive => self.receive().await,
            Act::LetGo => {
                if let Some(message) = self.any_in_hand() {
                    self.cpu.let_go(message).await;
                }
            }
            Act::GiveBack => {
                if let Some(message) = self.any_in_hand() {
                    self.cpu.give_back(message).await;
                }
            }
            Act::Detach => {
                let name = self.cpu.random().below(NAMES + 1);
                // As long as a lease names the queue, its end stays.
                let leased = |m: &Message| m.lease.is_some_and(|l| l.end.name == name);
                if !self.hand.iter().any(leased)
                    && let Some(end) = self.ends[name].take()
                {
                    self.cpu.detach(&end).await;
                }
            }
            Act::Close => {
                if let Some(end) = self.any_end() {
                    self.cpu.close(&end).await;
                }
            }
            Act::Destroy => {
                if let Some(end) = self.any_end() {
                    self.cpu.destroy(&end).await;
                }
            }
            Act::Serve => self.serve().await,
            Act::Post => self.cpu.post(self.cpu.random().below(SLOTS)).await,
            Act::Read => self.hand.iter().for_each(|message| self.cpu.read(message)),
        }
    }

    fn any_in_hand(&mut self) -> Option<Message> {
        let count = self.hand.len();
        (count > 0).then(|| self.hand.swap_remove(self.cpu.random().below(count)))
    }

    async fn serve(&mut self) {
        match &self.mailbox {
            Some(mailbox) => {
                for message in self.cpu.fetch(mailbox).await {
                    self.cpu.let_go(message).await;
                }
            }
            None if self.serves => self.mailbox = self.cpu.make_mailbox().await,
            None => {}
        }
    }

    async fn open(&mut self) {
        let random = self.cpu.random();
        let name = random.below(NAMES);
        if self.ends[name].is_none() {
            let options = self.cpu.shared.habits.queue(random);
            self.ends[name] = self.cpu.attach_or_create(name, options).await;
        } else if self.ends[DEAD_LETTERS].is_none() {
            self.ends[DEAD_LETTERS] = self.cpu.attach(DEAD_LETTERS).await;
        }
    }

    async fn fill(&mut self) {
        if self.hand.len() < 3
            && let Some(id) = self.cpu.allocate().await
        {
            let content = self.cpu.write(id).await;
            let item = Item { id, received: false, content };
            let message = Message { item, position: 0, attempt: 0, lease: None };
            self.cpu.pick_up(&message);
            self.hand.push(message);
        }
    }

    /// Moves one or two buffers into a queue.
    async fn send(&mut self) {
        let Some(end) = self.any_end() else { return };
        let Some(message) = self.any_in_hand() else { return };
        let mut batch = vec![message];
        if message.lease.is_none() && self.cpu.random().one_in(3) {
            let more = self.hand.iter().position(|m| m.lease.is_none());
            batch.extend(more.map(|at| self.hand.swap_remove(at)));
        }
        for message in &batch {
            self.cpu.put_down(message);
        }
        let sent = if message.lease.is_some() {
            usize::from(self.cpu.send_leased(&end, &message).await)
        } else {
            let items: Vec<_> = batch.iter().map(|m| m.item).collect();
            self.cpu.send(&end, &items).await
        };
        for message in batch.split_off(sent) {
            self.cpu.pick_up(&message);
            self.hand.push(message);
        }
    }

    /// Shares a buffer with a queue and keeps it.
    async fn publish(&mut self) {
        let Some(end) = self.any_end() else { return };
        let Some(message) = self.hand.first().copied() else { return };
        let cpu = &self.cpu;
        let counted = cpu.rules().has(Rule::CountShareFirst);
        let (me, id) = (cpu.me(), message.item.id);
        cpu.pin().await;
        if counted {
            cpu.share(id).await;
        } else {
            cpu.ledger_add(me, id, false).await;
        }
        cpu.unpin().await;
        let sent = cpu.send(&end, &[Item { received: false, ..message.item }]).await == 1;
        cpu.pin().await;
        if !counted {
            cpu.try_ref(id).await;
        }
        if !sent {
            cpu.release(id, false).await;
        }
        cpu.unpin().await;
    }

    /// Moves a message to every queue there is.
    async fn publish_to_all(&mut self) {
        let ends: Vec<_> = self.ends.iter().flatten().copied().collect();
        let Some(at) = self.hand.iter().position(|m| m.lease.is_none()) else { return };
        let message = self.hand.swap_remove(at);
        self.cpu.put_down(&message);
        self.cpu.publish_to_all(&ends, &message.item).await;
    }

    async fn peek(&mut self) {
        if self.hand.len() < 3
            && let Some(end) = self.any_end()
            && let Some(message) = self.cpu.peek(&end).await
        {
            self.cpu.pick_up(&message);
            self.cpu.read(&message);
            self.hand.push(message);
        }
    }

    async fn receive(&mut self) {
        let Some(end) = self.any_end() else { return };
        let count = 1 + self.cpu.random().below(2);
        if let Ok(messages) = self.cpu.receive(&end, count).await {
            self.hand.extend(messages);
        }
    }

    /// Gives everything back.
    async fn finish(&mut self) {
        if let Some(mailbox) = self.mailbox.take() {
            self.cpu.destroy(&mailbox).await;
            self.cpu.detach(&mailbox).await;
        }
        while let Some(message) = self.any_in_hand() {
            if self.cpu.random().one_in(2) {
                self.cpu.let_go(message).await;
            } else {
                self.cpu.give_back(message).await;
            }
        }
        for name in 0..self.ends.len() {
            if let Some(end) = self.ends[name].take() {
                self.cpu.detach(&end).await;
            }
        }
    }
}

/// A process's main thread: joins, works, and one day leaves.
pub(crate) fn worker(cpu: Cpu) -> Body {
    Box::pin(async move {
        cpu.join().await;
        let mut app = App::new(cpu.clone(), true);
        while !cpu.shared.calm.get() && !cpu.random().one_in(150) {
            app.act().await;
        }
        app.finish().await;
        // The other thread finishes, too.
        cpu.own.leaving.set(true);
        while cpu.own.helpers.get() > 0 {
            cpu.wait(Wait::Death).await;
        }
        cpu.leave().await;
        cpu.own.left.set(true);
    })
}

/// A second thread of the same participant.
pub(crate) fn helper(cpu: Cpu) -> Body {
    cpu.own.helpers.set(cpu.own.helpers.get() + 1);
    Box::pin(async move {
        while cpu.own.slot.get().is_none() {
            cpu.wait(Wait::Death).await;
        }
        let mut app = App::new(cpu.clone(), false);
        while !cpu.shared.calm.get() && !cpu.own.leaving.get() {
            app.act().await;
        }
        app.finish().await;
        cpu.own.helpers.set(cpu.own.helpers.get() - 1);
    })
}

/// Looks after the dead.
pub(crate) fn sentinel(cpu: Cpu) -> Body {
    Box::pin(async move {
        while !cpu.own.left.get() {
            cpu.wait(Wait::Death).await;
            if cpu.own.slot.get().is_some() && !cpu.own.left.get() {
                sweep(&cpu).await;
            }
        }
    })
}

/// The last process: whatever happened before, everything works and nothing is missing.
pub(crate) fn examiner(cpu: Cpu) -> Body {
    Box::pin(async move {
        cpu.join().await;
        sweep(&cpu).await;
        let mut ends = Vec::new();
        // The dead letters come last: the others may add to them.
        for name in 0..=NAMES {
            if let Some(end) = cpu.attach(name).await {
                let closed = drain(&cpu, &end).await;
                ends.push((end, closed));
            }
        }
        for (end, closed) in &ends {
            if !closed && end.options.overflow == Overflow::Block {
                go_round(&cpu, end).await;
            }
        }
        let account = cpu.now(|w| w.oracle.account());
        cpu.check(account);
        for (end, _) in ends {
            cpu.destroy(&end).await;
            cpu.detach(&end).await;
        }
        cpu.leave().await;
    })
}

/// Receives what is left; returns whether the queue has been closed.
pub(crate) async fn drain(cpu: &Cpu, end: &End) -> bool {
    loop {
        match cpu.receive(end, 2).await {
            Ok(messages) => {
                for message in messages {
                    cpu.let_go(message).await;
                }
            }
            Err(nothing) => return nothing == Nothing::Closed,
        }
    }
}

/// Sends and receives until every slot has been used twice.
async fn go_round(cpu: &Cpu, end: &End) {
    let Some(id) = cpu.allocate().await else {
        return cpu.now(|w| w.fail(|| "no buffer is left although everything was given back".to_owned()));
    };
    let content = cpu.write(id).await;
    let mut item = Item { id, received: false, content };
    for round in 0..2 * end.options.capacity {
        if cpu.send(end, &[item]).await == 0 {
            return cpu.now(|w| w.fail(|| format!("round {round}: {end:?} is empty and takes nothing")));
        }
        let Ok(mut messages) = cpu.receive(end, 1).await else {
            return cpu.now(|w| w.fail(|| format!("round {round}: {end:?} does not give back what it took")));
        };
        let Some(message) = messages.pop() else { return };
        cpu.put_down(&message);
        if let Some(lease) = &message.lease {
            cpu.ack(lease, &message).await;
        }
        item = message.item;
    }
    cpu.pin().await;
    cpu.release(item.id, item.received).await;
    cpu.unpin().await;
}
