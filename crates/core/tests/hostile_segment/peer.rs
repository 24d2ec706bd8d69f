//! The processes that live on the damaged domain, and what is seen of them from outside.

use crate::random::Random;
use crate::support::{Isolated, PATIENCE, say};
use crate::{exercise, scene};
use millrace::{OpenOptions, ShmManager, Snapshot};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Name of the thread of a participant that recovers the dead.
const SENTINEL: &str = "millrace";

fn named(isolated: &Isolated, name: &str) -> OpenOptions {
    OpenOptions {
        name: Some(name.into()),
        max_bytes: Some(16 << 20),
        timeout: Some(PATIENCE),
        ..isolated.options()
    }
}

/// A peer's process: one participant from the beginning to the end, and others that come and go, as long as nobody says "stop".
pub(crate) fn live(isolated: Isolated, seed: u64) {
    let held = ShmManager::open(&isolated.name, &named(&isolated, &format!("peer {seed}"))).unwrap();
    let said = lines(std::io::stdin());
    let things =
        ShmManager::open(&isolated.name, &isolated.options()).and_then(|other| scene::make(&held, &other));
    say("ready");
    for life in 0.. {
        match said.try_recv() {
            Err(TryRecvError::Empty) => {}
            word => {
                assert_eq!(word.unwrap(), "stop");
                break;
            }
        }
        let mut random = Random::of(life, seed);
        exercise::look(&held.observer());
        exercise::everything(&held, &mut random);
        if let Ok(shm) = ShmManager::open(&isolated.name, &isolated.options()) {
            exercise::everything(&shm, &mut random);
        }
        say("lived");
    }
    drop(things);
    say("stopped");
    assert_eq!(said.recv().unwrap(), "watch");
    watch(&held, &said);
    drop(held);
    say("left");
}

/// Says who is recovered, until somebody says "leave"; then looks whether what is counted can be.
fn watch(held: &ShmManager, said: &Receiver<String>) {
    let mut seen = held.recoveries();
    say("watching");
    loop {
        let sequence = held.wake_sequence();
        match said.try_recv() {
            Err(TryRecvError::Empty) => {}
            word => {
                assert_eq!(word.unwrap(), "leave");
                break;
            }
        }
        for report in held.reports_since(seen) {
            seen = report.sequence;
            say(&format!("saw {}", report.name));
        }
        held.park(sequence, Duration::from_millis(50));
    }
    check_counts(&held.snapshot().unwrap());
    // With findings or without.
    drop(held.fsck().unwrap());
}

/// Whatever the damage was, nothing is counted that there cannot be.
fn check_counts(snapshot: &Snapshot) {
    assert_eq!(snapshot.participants.len(), 1, "{:#?}", snapshot.participants);
    let buffers: u64 = snapshot.pools.iter().map(|pool| pool.buffers).sum();
    for pool in &snapshot.pools {
        assert!(pool.used <= pool.buffers && pool.rings <= pool.buffers, "{pool:?}");
    }
    // Two counts of 16 bits for each buffer.
    assert!(
        snapshot.participants[0].held <= buffers * 2 * u64::from(u16::MAX),
        "{:?}",
        snapshot.participants
    );
    let of_topics = snapshot.topics.iter().flat_map(|topic| &topic.subscriptions).map(|s| &s.queue);
    let of_services = snapshot
        .services
        .iter()
        .flat_map(|service| service.requests.iter().chain(service.mailboxes.iter().map(|m| &m.queue)));
    for queue in snapshot.queues.iter().chain(&snapshot.work_queues).chain(of_topics).chain(of_services) {
        // Not its capacity: a ring may have more slots than are meant, for messages that were there when it was made smaller.
        let most = 1 << 20;
        assert!(queue.depth - queue.pending <= most && queue.pending + queue.leased <= most, "{queue:?}");
    }
}

/// A participant that is there to be killed.
pub(crate) fn stand_by(isolated: &Isolated) {
    let shm = ShmManager::open(&isolated.name, &named(isolated, "bystander")).unwrap();
    let _held = [shm.allocate(100), shm.allocate(100)];
    say("ready");
    std::thread::park();
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        BufReader::new(from).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    receiver
}

/// A child, everything it says, and all of its standard error, where panics go.
pub(crate) struct Peer {
    pub(crate) name: String,
    child: Child,
    said: Receiver<String>,
    errors: JoinHandle<String>,
    /// Lives of participants that it has told of.
    pub(crate) lives: u32,
    last_sign: Instant,
}

impl Peer {
    pub(crate) fn start(test: &str, role: &str, isolated: &Isolated) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
        command.env("MILLRACE_TEST_ROLE", role).env("MILLRACE_TEST_NAME", &isolated.name);
        command.env("MILLRACE_TEST_BASE", &isolated.base).env("RUST_BACKTRACE", "1");
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let (said, mut errors) = (lines(child.stdout.take().unwrap()), child.stderr.take().unwrap());
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).map(|_| text).unwrap_or_else(|e| e.to_string())
        });
        Self { name: role.into(), child, said, errors, lives: 0, last_sign: Instant::now() }
    }

    pub(crate) fn tell(&mut self, word: &str) {
        if writeln!(self.child.stdin.as_mut().unwrap(), "{word}").is_err() {
            self.fail(&format!("ended before it was told {word:?}"));
        }
    }

    /// Counts its lives so far, a little later; a hang and a death end the test.
    pub(crate) fn listen(&mut self) {
        match self.said.recv_timeout(Duration::from_millis(1)) {
            Ok(line) => {
                self.lives += u32::from(line.ends_with("lived"));
                self.last_sign = Instant::now();
            }
            Err(RecvTimeoutError::Timeout) if self.last_sign.elapsed() < PATIENCE => {}
            Err(RecvTimeoutError::Timeout) => self.fail("hangs"),
            Err(RecvTimeoutError::Disconnected) => self.fail("ended"),
        }
    }

    /// Waits until it says something that ends in `word`; a hang and a death end the test with what it has written to standard error.
    pub(crate) fn hear(&mut self, word: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.ends_with(word) => return,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => self.fail(&format!("does not say {word:?}")),
                Err(RecvTimeoutError::Disconnected) => self.fail(&format!("ended before it said {word:?}")),
            }
        }
    }

    fn fail(&mut self, how: &str) -> ! {
        let stacks = std::fs::read_to_string(format!("/proc/{}/wchan", self.child.id())).unwrap_or_default();
        let _ = self.child.kill();
        let status = self.child.wait();
        let errors = std::mem::replace(&mut self.errors, std::thread::spawn(String::new)).join().unwrap();
        panic!("{} {how}; {status:?}; waits in {stacks:?}; standard error: {errors}", self.name);
    }

    /// Sentinels that live in it.
    pub(crate) fn sentinels(&self) -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let name = |task: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
        };
        tasks.filter_map(name).filter(|name| name.trim_end() == SENTINEL).count()
    }

    /// Kills it. It must have lived until now, without a panic.
    pub(crate) fn kill(mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            self.fail(&format!("ended by itself: {status}"));
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        assert_eq!(self.errors.join().unwrap(), "", "standard error of {}", self.name);
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn end(mut self) {
        self.hear("left");
        let status = self.child.wait().unwrap();
        assert_eq!(self.errors.join().unwrap(), "", "standard error of {}", self.name);
        assert!(status.success(), "{}: {status}", self.name);
    }
}
