//! The crash matrix: every fault point x every role x {killed, stopped and resumed}, each with real processes.
//!
//! `npm run crash` runs all of it. A cell: a *victim* process with one fault point armed does the work of its role; a *survivor*
//! process and this one keep on working. When the victim is dead (or has been stopped and resumed, and then ended), its death is
//! recovered, the survivor is ended, and fsck and the pool must be clean. A point that a role never comes to is a `-`.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::service::{Claim, Envelope, MessageKind, Role};
use millrace::{
    BufferPtr, Change, Delivery, ErrorKind, EventCursor, FaultPoint, Interest, OpenOptions, Overflow,
    PortQueue, QueueOptions, ShmManager, SubscribeOptions, TakeOutcome, Topic, TopicOptions, TrySendError,
};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Isolated, PATIENCE, await_alone, role, say, was_killed};

const ROLES: [&str; 11] = [
    "producer",
    "consumer",
    "copier",
    "allocator",
    "trimmer",
    "resizer",
    "opener",
    "publisher",
    "subscriber",
    "peer",
    "recoverer",
];

fn amo() -> QueueOptions {
    QueueOptions { capacity: Some(8), overflow: Some(Overflow::DropOldest), ..QueueOptions::default() }
}

fn alo() -> QueueOptions {
    QueueOptions { capacity: Some(8), delivery: Some(Delivery::AtLeastOnce), ..QueueOptions::default() }
}

fn topic(shm: &ShmManager) -> Arc<Topic> {
    shm.topic("topic", &TopicOptions { history: Some(4), ..TopicOptions::default() }).unwrap()
}

/// Sends if there is room, and says whether there was.
fn send(queue: &PortQueue, buffer: BufferPtr) -> bool {
    match queue.try_send(buffer) {
        Ok(()) => true,
        Err(TrySendError::Failed(_, error)) => panic!("{error}"),
        Err(refused) => !refused.is_full(),
    }
}

/// One message to everybody; who is full misses it.
fn publish(shm: &ShmManager, topic: &Topic) {
    let Ok(buffer) = shm.allocate(100) else { return };
    if let Err(refused) = topic.try_publish(buffer) {
        refused.published.outcome.unwrap();
    }
}

/// A message that is given back and taken again, in a queue that nobody else takes from.
fn take_again(shm: &ShmManager, own: &Arc<PortQueue>) {
    if shm.allocate(10).is_ok_and(|buffer| send(own, buffer))
        && let Some(message) = own.try_receive().unwrap().0
    {
        message.nack().unwrap();
        drop(own.try_receive().unwrap());
    }
}

/// A subscription of each kind for a few messages, then its end, in each of the possible ways.
fn subscribe(shm: &ShmManager, round: u32) {
    let (overflow, delivery, name) = match round % 3 {
        0 => (Overflow::DropOldest, Delivery::AtMostOnce, None),
        1 => (Overflow::Block, Delivery::AtLeastOnce, Some("named".to_owned())),
        _ => (Overflow::Latest, Delivery::AtMostOnce, None),
    };
    let options = SubscribeOptions {
        name,
        capacity: Some(4),
        overflow: Some(overflow),
        delivery: Some(delivery),
        max_deliveries: None,
    };
    let queue = shm.subscribe("topic", &options).unwrap();
    for _ in 0..3 {
        if queue.wait(Interest::Data, Duration::from_millis(1)) {
            // Somebody may have ended the named one.
            drop(queue.try_receive().unwrap());
        }
    }
    match round % 9 {
        1 => drop(queue),
        4 => drop(shm.unsubscribe("topic", "named").unwrap()),
        _ => _ = queue.destroy(),
    }
}

/// A request to ourselves and its reply, over mailboxes that end in each of the possible ways.
fn ask(shm: &ShmManager, round: u32) {
    let me = shm.id();
    let replies = shm.create_mailbox("service", Role::Client, 4).unwrap();
    let control = shm.create_mailbox("service", Role::Server, 4).unwrap();
    let requests = shm.requests("service", &alo()).unwrap();
    if let Ok(mut request) = shm.allocate(100) {
        request.set_envelope(&Envelope::request(me, round));
        let kept = request.share().unwrap();
        requests.try_send(request).unwrap();
        if let Some(request) = requests.try_receive().unwrap().0
            && let Some(asked) = request.envelope()
            && matches!(request.request().claim(me, 2), Claim::Run(_))
            && let Ok(mut reply) = shm.allocate(10)
        {
            reply.set_envelope(&asked.reply(me, MessageKind::Value, 1));
            // Of a client that is dead there is none.
            if let Some(mailbox) = shm.find_mailbox("service", Role::Client, asked.from).unwrap() {
                mailbox.try_send(reply).unwrap();
            }
        }
        kept.request().cancel();
    }
    drop(replies.try_receive().unwrap());
    match round % 4 {
        0 => _ = replies.destroy(),
        1 => {
            shm.destroy_service("service").unwrap();
        }
        2 => drop((replies, control)),
        _ => _ = control.destroy(),
    }
}

fn options(isolated: &Isolated) -> OpenOptions {
    OpenOptions { max_bytes: Some(24 << 20), ..isolated.options() }
}

fn open(isolated: &Isolated) -> ShmManager {
    ShmManager::open(&isolated.name, &options(isolated)).unwrap()
}

/// The work of every role, `rounds` times (0: for ever).
fn work(role: &str, isolated: &Isolated, rounds: u32) {
    if role == "opener" {
        return work_opener(isolated, rounds);
    }
    let shm = open(isolated);
    let (fast, sure) = (shm.port_queue("fast", &amo()).unwrap(), shm.port_queue("sure", &alo()).unwrap());
    let topic = topic(&shm);
    // One in each process, so that every publisher has somebody to publish to.
    let steady = SubscribeOptions { overflow: Some(Overflow::DropOldest), ..SubscribeOptions::default() };
    let steady = (role == "survivor").then(|| shm.subscribe("topic", &steady).unwrap());
    let own =
        (role == "consumer").then(|| shm.port_queue(&format!("own-{}", std::process::id()), &alo()).unwrap());
    say("ready");
    for round in 0.. {
        if rounds > 0 && round >= rounds {
            return;
        }
        if let Some(steady) = &steady {
            publish(&shm, &topic);
            drop(steady.try_receive().unwrap());
        }
        match role {
            "publisher" => {
                let own = shm.subscribe("topic", &SubscribeOptions::default()).unwrap();
                for _ in 0..6 {
                    publish(&shm, &topic);
                }
                own.destroy();
            }
            "subscriber" => subscribe(&shm, round),
            "peer" => ask(&shm, round),
            "producer" | "survivor" if role == "producer" || round % 2 == 0 => {
                for queue in [&fast, &sure] {
                    let Ok(buffer) = shm.allocate(100 << (round % 4)) else { continue };
                    if !send(queue, buffer) {
                        queue.wait(Interest::Space, Duration::from_millis(1));
                    }
                }
            }
            "consumer" | "survivor" => {
                if let Some(own) = &own {
                    take_again(&shm, own);
                }
                for queue in [&fast, &sure] {
                    match queue.try_receive().unwrap() {
                        (Some(message), _) if round % 3 == 1 => message.nack().unwrap(),
                        (Some(_), _) => {}
                        (None, TakeOutcome::Empty) => {
                            queue.wait(Interest::Data, Duration::from_millis(1));
                        }
                        (None, _) => {}
                    }
                }
            }
            "copier" => {
                for queue in [&fast, &sure] {
                    queue.put(std::iter::repeat_n(&[7; 100][..], 3)).1.unwrap();
                }
                fast.get(&mut [0; 1000], &mut [0; 4]).unwrap();
                // So many that they share a buffer; more than one of them is held at a time.
                fast.put(std::iter::repeat_n(&[7; 100][..], 20)).1.unwrap();
                let held: Vec<_> = (0..3).map(|_| fast.try_receive().unwrap()).collect();
                drop(held);
            }
            "allocator" => {
                let allocator = shm.allocator();
                let mut ids = [0; 5];
                let got = allocator.allocate_ids(200_000, &mut ids).unwrap();
                for id in &ids[..got] {
                    let buffer = millrace::Buffer { id: *id, received: false };
                    let shared = allocator.share(buffer).unwrap();
                    allocator.release(buffer).unwrap();
                    allocator.release(shared).unwrap();
                }
                drop(shm.allocate(2 << 20));
            }
            "resizer" => {
                for (queue, capacity) in
                    [(&fast, [8, 32][round as usize % 2]), (&sure, [4, 64, 8][round as usize % 3])]
                {
                    send(queue, shm.allocate(100).unwrap());
                    let held = queue.try_receive().unwrap();
                    match queue.resize(capacity) {
                        Err(error) if error.kind() != ErrorKind::Timeout => panic!("{error}"),
                        _ => drop(held),
                    }
                }
            }
            "trimmer" => {
                drop([shm.allocate(5000), shm.allocate(2 << 20)]);
                shm.trim().unwrap();
            }
            "recoverer" => {
                // Somebody dies with messages in every state, and nobody but us is there to repair it.
                let fault = [None, Some("PopTaken:2:kill"), Some("ReplaceMarked:1:kill")][round as usize % 3];
                let fault = fault.map(str::to_owned);
                let mut prey = spawn("prey", isolated, fault);
                hear_ready(&mut prey);
                let _ = prey.kill();
                prey.wait().unwrap();
                let deadline = Instant::now() + PATIENCE;
                while shm.recoveries() <= round.into() {
                    assert!(Instant::now() < deadline, "no recovery");
                    shm.park(shm.wake_sequence(), Duration::from_millis(2));
                }
            }
            other => panic!("no such role: {other}"),
        }
    }
}

/// Opens, creates, closes, destroys, leaves: the whole life of a domain.
fn work_opener(isolated: &Isolated, rounds: u32) {
    say("ready");
    for round in 0.. {
        if rounds > 0 && round >= rounds {
            return;
        }
        // A domain of our own from the first byte to the last, then the one of everybody.
        drop(ShmManager::open(&format!("{}-own", isolated.name), &options(isolated)).unwrap());
        let shm = open(isolated);
        // The first end of a queue that goes here.
        let ending = QueueOptions { close_with_producers: Some(true), ..amo() };
        send(
            &shm.port_queue(&format!("ending-{}", std::process::id()), &ending).unwrap(),
            shm.allocate(10).unwrap(),
        );
        let queue = shm.port_queue(&format!("own-{}", std::process::id()), &alo()).unwrap();
        let _ = shm.port_queue("fast", &amo()).unwrap();
        for _ in 0..3 {
            send(&queue, shm.allocate(10).unwrap());
        }
        let held = queue.try_receive().unwrap();
        std::thread::scope(|scope| {
            // A sender that meets the end of the queue in the middle of a batch.
            scope.spawn(|| {
                while !queue.is_closed() {
                    if round % 2 == 1 {
                        queue.put(std::iter::repeat_n(&[7; 10][..], 4)).1.unwrap();
                        drop(queue.try_receive().unwrap());
                        continue;
                    }
                    let mut ids = [0; 4];
                    let got = shm.allocator().allocate_ids(10, &mut ids).unwrap();
                    let buffers = ids.map(|id| millrace::Buffer { id, received: false });
                    let (sent, _) = queue.send(&buffers[..got]);
                    shm.allocator().release_all(buffers[sent..got].iter().copied()).1.unwrap();
                    drop(queue.try_receive().unwrap());
                }
            });
            std::thread::yield_now();
            queue.close();
        });
        queue.destroy();
        drop(held);
    }
}

/// Holds buffers and leases, is inside nothing, and waits to be killed.
fn prey(isolated: &Isolated) {
    let shm = open(isolated);
    let sure = shm.port_queue("prey", &alo()).unwrap();
    let _own: Vec<_> = (0..3).map(|_| shm.allocate(10)).collect();
    for _ in 0..4 {
        send(&sure, shm.allocate(10).unwrap());
    }
    let _leased: Vec<_> = (0..2).map(|_| sure.try_receive().unwrap()).collect();
    let fast = shm.port_queue("fast", &amo()).unwrap();
    for _ in 0..3 {
        send(&fast, shm.allocate(10).unwrap());
    }
    let _mailbox = shm.create_mailbox("service", Role::Server, 4).unwrap();
    let topic = topic(&shm);
    let _subscribed = shm.subscribe("topic", &SubscribeOptions::default()).unwrap();
    for _ in 0..3 {
        publish(&shm, &topic);
    }
    // Who kills us afterwards does not decide how far we have come.
    let _received: Vec<_> = (0..2).map(|_| fast.try_receive().unwrap()).collect();
    sure.resize(2).unwrap();
    say("ready");
    std::thread::park();
}

fn spawn(role: &str, isolated: &Isolated, fault: Option<String>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env("MILLRACE_TEST_ROLE", role).env("MILLRACE_TEST_NAME", &isolated.name);
    command.env("MILLRACE_TEST_BASE", &isolated.base).env_remove("MILLRACE_FAULT");
    command.env("MILLRACE_TEST_PARENT", std::process::id().to_string());
    if let Some(fault) = fault {
        command.env("MILLRACE_FAULT", fault);
    }
    command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap()
}

/// Waits until the child says so, or ends before.
fn hear_ready(child: &mut Child) {
    let mut line = String::new();
    let _ = BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line);
}

#[derive(Clone, Copy, PartialEq)]
enum Signal {
    Kill,
    Stop,
}

#[cfg(unix)]
const SIGNALS: &[Signal] = &[Signal::Kill, Signal::Stop];
#[cfg(windows)]
const SIGNALS: &[Signal] = &[Signal::Kill];

/// Runs one cell; `false`: the role never comes to the point.
fn cell(point: FaultPoint, role: &str, signal: Signal, nth: u32) -> bool {
    let isolated = Isolated::new("cell");
    // A recoverer is alone with its prey: we come afterwards, and find the rest repaired.
    // Who stops with the world stopped keeps everybody waiting.
    let alone = role == "recoverer" || ["trimmer", "resizer"].contains(&role) && signal == Signal::Stop;
    let mut keeper = (!alone).then(|| Keeper::new(&isolated));
    let what = if signal == Signal::Kill { "kill" } else { "stop" };
    let mut victim = spawn(role, &isolated, Some(format!("{point:?}:{nth}:{what}")));
    let (mut reached, mut resumed) = (false, false);
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "{point:?} {role} {what}: no end");
        if let Some(keeper) = &mut keeper {
            keeper.work();
            keeper.listen();
        }
        match wait_any(&mut victim) {
            Some(Event::Stopped) => {
                reached = true;
                // A stopped process is not dead: nobody may repair it away.
                if let Some(keeper) = &keeper {
                    (0..200).for_each(|_| drop(keeper.shm.allocate(64)));
                    assert!(keeper.shm.snapshot().unwrap().participants.len() >= 2);
                }
                resume(&victim);
                resumed = true;
            }
            Some(Event::Ended) => break,
            None => {}
        }
    }
    let status = victim.wait().unwrap();
    if signal == Signal::Kill {
        reached = was_killed(status);
    }
    assert!(reached || status.success(), "{point:?} {role} {what}: the victim ended with {status}");
    assert!(!resumed || status.success(), "{point:?} {role} {what}: resumed, it ended with {status}");
    let survivor = keeper.as_mut().and_then(|keeper| keeper.survivor.take());
    let late = alone.then(|| open(&isolated));
    let shm = keeper.as_ref().map_or_else(|| late.as_ref().unwrap(), |keeper| &keeper.shm);
    if alone {
        // A recoverer may have started its next prey, which dies with it, but a moment later, or finds it dead as it begins.
        await_alone(shm);
    }
    let clean = |when: &str| {
        let findings = shm.fsck().unwrap();
        assert!(findings.is_empty(), "{point:?} {role} {what}, {nth}, {when}: {findings:#?}");
    };
    clean("after its end");
    if let Some(mut survivor) = survivor {
        survivor.kill().unwrap();
        survivor.wait().unwrap();
        clean("after the survivor's death");
        await_alone(shm);
    }
    // Whatever is left is in queues: without them, the pool is empty.
    for queue in shm.snapshot().unwrap().queues {
        if queue.name.starts_with("ending-") && queue.sent > 0 {
            assert!(queue.closed, "{point:?} {role} {what}, {nth}: its producer has gone: {queue:#?}");
        }
        shm.find_queue(&queue.name).unwrap().unwrap().destroy();
    }
    for topic in shm.snapshot().unwrap().topics {
        // Of ours, which we hold no subscription of, only the named one outlives the others.
        let left: Vec<_> = topic.subscriptions.iter().map(|s| s.queue.name.as_str()).collect();
        assert!(matches!(left[..], [] | ["named"]), "{point:?} {role} {what}, {nth}: {left:?}");
        if let Some(topic) = shm.find_topic(&topic.name).unwrap() {
            topic.destroy();
        }
    }
    for service in shm.snapshot().unwrap().services {
        assert!(service.mailboxes.is_empty(), "{point:?} {role} {what}, {nth}: {service:#?}");
        shm.destroy_service(&service.name).unwrap();
    }
    let snapshot = shm.snapshot().unwrap();
    let used: u64 = snapshot.pools.iter().map(|p| p.used - p.rings).sum();
    assert_eq!(used, 0, "{point:?} {role} {what}, {nth}: {snapshot:#?}");
    if let Some(keeper) = &mut keeper {
        keeper.assert_told_once(&format!("{point:?} {role} {what}, {nth}"));
    }
    drop((keeper, late));
    // The opener's other domain: a kill leaves it to whoever opens it next.
    drop(ShmManager::open(&format!("{}-own", isolated.name), &options(&isolated)).unwrap());
    isolated.assert_gone();
    reached
}

/// This process at work beside a victim, with another one.
struct Keeper {
    shm: ShmManager,
    survivor: Option<Child>,
    cursor: EventCursor,
    told: Vec<millrace::Event>,
}

impl Keeper {
    fn new(isolated: &Isolated) -> Self {
        let shm = open(isolated);
        let _ = (shm.port_queue("fast", &amo()).unwrap(), shm.port_queue("sure", &alo()).unwrap());
        let _ = topic(&shm);
        let cursor = shm.event_cursor();
        let mut survivor = spawn("survivor", isolated, None);
        hear_ready(&mut survivor);
        Self { shm, survivor: Some(survivor), cursor, told: Vec::new() }
    }

    /// Who came and who went, until now.
    fn listen(&mut self) {
        self.told.extend(self.shm.take_events(&mut self.cursor));
    }

    /// Once all the others have gone: each of them has come once and gone once, in that order.
    fn assert_told_once(&mut self, cell: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let sequence = self.shm.wake_sequence();
            self.listen();
            let mut there = BTreeSet::new();
            for event in &self.told {
                let who = (event.slot, event.epoch);
                let is_new =
                    if event.change == Change::Joined { there.insert(who) } else { there.remove(&who) };
                assert!(is_new && event.missed == 0, "{cell}: {event:?} of {:#?}", self.told);
            }
            if there.is_empty() {
                return;
            }
            // Of one that was killed when it had begun to leave, the next sweep tells.
            assert!(Instant::now() < deadline, "{cell}: {there:?} have not left: {:#?}", self.told);
            self.shm.park(sequence, Duration::from_millis(100));
        }
    }

    /// Each operation returns, whatever state the victim is in.
    fn work(&self) {
        let queue = |name| self.shm.find_queue(name).unwrap().unwrap();
        if let Ok(buffer) = self.shm.allocate(64) {
            send(&queue("fast"), buffer);
        }
        drop(queue("sure").try_receive().unwrap());
        publish(&self.shm, &topic(&self.shm));
    }
}

enum Event {
    #[cfg_attr(windows, expect(dead_code, reason = "no process is stopped there"))]
    Stopped,
    Ended,
}

#[cfg(windows)]
fn wait_any(child: &mut Child) -> Option<Event> {
    child.try_wait().unwrap().map(|_| Event::Ended)
}

/// What has become of the child, without reaping a dead one.
#[cfg(unix)]
fn wait_any(child: &mut Child) -> Option<Event> {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let pid = Pid::from_raw(child.id() as i32).unwrap();
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if waitid(WaitId::Pid(pid), options).unwrap().is_some() {
        return Some(Event::Ended);
    }
    // It may end between the two looks: then there is nothing to wait for that is stopped.
    let stopped = waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG);
    stopped.ok().flatten().map(|_| Event::Stopped)
}

#[cfg(unix)]
fn resume(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
}

#[cfg(windows)]
fn resume(_child: &Child) {
    unreachable!("none is stopped");
}

fn main() {
    if let Some((role, isolated)) = role() {
        match role.as_str() {
            "prey" => prey(&isolated),
            "survivor" => work("survivor", &isolated, 0),
            role => work(role, &isolated, if role == "recoverer" { 3 } else { 60 }),
        }
        return;
    }
    // `--point X` and `--role Y` narrow it down; `--short` takes each point once, by the first role that comes to it.
    let args: Vec<_> = std::env::args().collect();
    let after = |flag: &str| args.iter().position(|a| a == flag).and_then(|i| args.get(i + 1)).cloned();
    let (only_point, only_role) = (after("--point"), after("--role"));
    let short = args.iter().any(|a| a == "--short");
    let started = Instant::now();
    let (mut cells, mut unreached) = (0, Vec::new());
    println!("{:<18}{}", "", ROLES.map(|r| format!("{r:<14}")).concat());
    for point in FaultPoint::ALL {
        if only_point.as_ref().is_some_and(|p| *p != format!("{point:?}")) {
            continue;
        }
        let mut row = format!("{:<18}", format!("{point:?}"));
        let mut reached_by_any = false;
        for role in ROLES.iter().filter(|r| only_role.as_ref().is_none_or(|only| only == *r)) {
            let mut mark = String::new();
            for &signal in SIGNALS {
                if short && (reached_by_any || signal != Signal::Kill) {
                    continue;
                }
                let nths: &[u32] = if short { &[1] } else { &[1, 3] };
                let mut reached = 0;
                for nth in nths {
                    let hit = cell(*point, role, signal, *nth);
                    reached += u32::from(hit);
                    cells += u32::from(hit);
                    if !hit {
                        break;
                    }
                }
                reached_by_any |= reached > 0;
                mark += match (signal, reached) {
                    (_, 0) => "-",
                    (Signal::Kill, _) => "K",
                    (Signal::Stop, _) => "S",
                };
            }
            row += &format!("{mark:<14}");
        }
        println!("{row}");
        if !reached_by_any {
            unreached.push(format!("{point:?}"));
        }
    }
    println!(
        "{cells} deaths and stops survived in {:.1} s; never reached: {unreached:?}",
        started.elapsed().as_secs_f64()
    );
    println!("test result: ok. {cells} passed; 0 failed; 0 ignored");
}
