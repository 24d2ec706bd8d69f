//! Processes in namespaces of their own that share the directory: their pids mean nothing to each other, their locks do; their clocks are
//! set apart, the one that is shared is not.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{ErrorKind, QueueOptions};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use support::{Isolated, PATIENCE, await_recoveries, role, say};

/// Runs test `name` again as the first process of a new `namespace`; `None`: not permitted here.
fn inside(test: &str, isolated: &Isolated, namespace: &[&str]) -> Option<Child> {
    let unshare = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(arguments).args(namespace).args(["--fork", "--kill-child=KILL"]);
        command
    };
    let permitted = |arguments: &[&str]| {
        let status = unshare(arguments).arg("true").stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let arguments = [&[][..], &["--map-root-user"][..]].into_iter().find(|arguments| permitted(arguments))?;
    let mut command = unshare(arguments);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env("MILLRACE_TEST_ROLE", "inside").env("MILLRACE_TEST_NAME", &isolated.name);
    command.env("MILLRACE_TEST_BASE", &isolated.base).stdout(Stdio::piped()).stdin(Stdio::null());
    Some(command.spawn().unwrap())
}

/// Ends `unshare`, and so what runs inside, whatever becomes of the test.
struct Ended(Child);

impl Ended {
    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn a_death_in_another_pid_namespace_is_noticed_by_its_lock() {
    const NAME: &str = "a_death_in_another_pid_namespace_is_noticed_by_its_lock";
    if let Some((_, isolated)) = role() {
        let shm = isolated.open();
        let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
        let _own = [shm.allocate(100).unwrap(), shm.allocate(100).unwrap()];
        let _message = queue.try_receive().unwrap().0.unwrap();
        // Those outside cannot be told from here.
        for p in shm.snapshot().unwrap().participants.iter().filter(|p| p.slot != shm.slot()) {
            println!("evicting {}: {:?}", p.pid, shm.evict(p.slot, p.epoch, PATIENCE).unwrap_err().kind());
        }
        println!("pid {}", std::process::id());
        say("ready");
        std::thread::park();
        return;
    }
    let isolated = Isolated::new("namespace");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
    queue.try_send(shm.allocate(100).unwrap()).unwrap();
    let Some(mut child) = inside(NAME, &isolated, &["--pid"]) else {
        println!("skipped: `unshare --pid` is not permitted here");
        return;
    };
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut child = Ended(child);
    let mut heard = Vec::new();
    for line in out.lines().map_while(Result::ok) {
        if line.contains("ready") {
            break;
        }
        heard.push(line);
    }
    assert!(
        heard.iter().any(|line| line.ends_with(&format!("evicting {}: Unsupported", std::process::id()))),
        "{heard:?}"
    );
    assert!(heard.iter().any(|line| line.ends_with("pid 1")), "it is the first of its namespace: {heard:?}");
    let snapshot = shm.snapshot().unwrap();
    let there = snapshot.participants.iter().find(|p| p.pid == 1).unwrap();
    // Our process 1 is another one. It lives, and must go on to.
    let error = shm.evict(there.slot, there.epoch, PATIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("namespace"), "{error}");
    assert_eq!(shm.snapshot().unwrap().participants.len(), 2);
    assert_eq!(shm.fsck().unwrap(), []);
    child.end();
    await_recoveries(&shm, 1);
    let report = &shm.reports_since(0)[0];
    assert_eq!((report.pid, report.freed, report.lost), (1, 3, 1));
    assert_eq!(shm.fsck().unwrap(), []);
    drop((queue, shm));
    isolated.assert_gone();
}

#[test]
fn all_processes_of_a_machine_see_the_same_clock() {
    const NAME: &str = "all_processes_of_a_machine_see_the_same_clock";
    if role().is_some() {
        println!("\nclock {}", millrace::clock_ms());
        return;
    }
    let isolated = Isolated::new("clock");
    let before = millrace::clock_ms();
    let namespace = ["--time", "--monotonic", "100000", "--boottime", "100000"];
    let Some(child) = inside(NAME, &isolated, &namespace) else {
        println!("skipped: `unshare --time` is not permitted here");
        return;
    };
    let out = child.wait_with_output().unwrap();
    let after = millrace::clock_ms();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let there = text.lines().find_map(|line| line.strip_prefix("clock ")).unwrap_or_else(|| panic!("{text}"));
    let there: u64 = there.parse().unwrap();
    assert!((before..=after).contains(&there), "{before} here, {there} there, {after} here");
}
