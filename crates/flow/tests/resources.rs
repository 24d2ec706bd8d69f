//! What runs cost while they wait, and what they leave. Each looks at the whole process, so they take turns.

#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::QueueOptions;
use millrace_flow::blocks::{NullSink, NullSource};
use millrace_flow::{LinkOptions, Policy, Scheduler, SchedulerOptions};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use support::Domain;

static TURN: Mutex<()> = Mutex::new(());

#[test]
fn waiting_runs_take_no_processor_time() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let domain = Domain::new();
    let shm = domain.open();
    shm.port_queue("quiet", &QueueOptions::default()).unwrap();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), SchedulerOptions::default()).unwrap();
    for at in 0..50 {
        let sink = scheduler.add(&format!("sink {at}"), NullSink::default()).unwrap();
        scheduler.connect_input((sink, "in"), "quiet").unwrap();
    }
    let run = scheduler.start().unwrap();
    support::until("all sleep", || {
        let report = run.report();
        report.blocks.iter().all(|block| block.starved > Duration::from_millis(100))
    });
    // Counted, not timed: what else runs on the machine wakes nobody here.
    let before = wakes();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(wakes(), before);
    run.drain(Duration::from_secs(10)).unwrap();
}

/// How often each thread of a scheduler has slept so far: one that wakes for nothing sleeps again.
fn wakes() -> Vec<(String, u64)> {
    let mut counts: Vec<_> = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap())
        .filter(|status| status.contains("millrace-flow"))
        .map(|status| {
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap().trim().to_owned()
            };
            (field("Name:"), field("voluntary_ctxt_switches:").parse().unwrap())
        })
        .collect();
    counts.sort_unstable();
    assert!(!counts.is_empty());
    counts
}

#[test]
fn two_hundred_runs_leave_nothing() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let domain = Domain::new();
    let shm = domain.open();
    let run = || {
        let options = SchedulerOptions { threads: 2, ..SchedulerOptions::default() };
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        let source = scheduler.add("source", NullSource::new(8, 50)).unwrap();
        let sink = scheduler.add("sink", NullSink::default()).unwrap();
        scheduler.link((source, "out"), (sink, "in"), &LinkOptions::default()).unwrap();
        assert_eq!(scheduler.run().unwrap().block("sink").unwrap().items_in, 50);
    };
    run();
    let before = (support::threads(), support::descriptors(), domain.objects().len());
    (0..200).for_each(|_| run());
    assert_eq!((support::threads(), support::descriptors(), domain.objects().len()), before);
    let snapshot = shm.snapshot().unwrap();
    assert_eq!(snapshot.pools.iter().map(|pool| pool.used).sum::<u64>(), 0);
}

/// A child whose address space has no room for another thread's stack.
#[test]
fn a_child_without_room_for_threads() {
    let Some((policy, isolated)) = support::role() else { return };
    let policy = match policy.as_str() {
        "stealing" => Policy::WorkStealing,
        "pinned" => Policy::Pinned,
        _ => Policy::ThreadPerBlock,
    };
    let shm = Arc::new(isolated.open());
    let start = |policy| {
        let options = SchedulerOptions { threads: 16, policy, ..SchedulerOptions::default() };
        let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
        for at in 0..8 {
            let source = scheduler.add(&format!("source {at}"), NullSource::new(8, u64::MAX)).unwrap();
            let sink = scheduler.add(&format!("sink {at}"), NullSink::default()).unwrap();
            scheduler.link((source, "out"), (sink, "in"), &LinkOptions::default()).unwrap();
        }
        scheduler.start()
    };
    let limit = |bytes| {
        let limit = Rlimit { current: bytes, maximum: None };
        setrlimit(Resource::As, limit).unwrap();
    };
    // All memory it needs is mapped, and the stack that this leaves is in use.
    start(Policy::Single { seed: 1 }).unwrap().stop(Duration::from_secs(30)).unwrap();
    let (end, wait) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || wait.recv().unwrap_err());
    let left = || {
        let pools = shm.snapshot().unwrap().pools;
        (support::threads(), pools.iter().map(|pool| pool.used).sum::<u64>())
    };
    let before = left();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let size: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
    // A stack has 2 MiB: no thread can be started, or some can.
    for room in [1024, 6 * 1024] {
        limit(Some((size + room) * 1024));
        let began = Instant::now();
        let error = start(policy).unwrap_err();
        let took = began.elapsed();
        limit(None);
        assert_eq!(error.to_string().contains("cannot start thread 0 "), room == 1024, "{error}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert_eq!(left(), before);
    }
    drop(end);
    holder.join().unwrap();
}

#[test]
fn a_run_whose_threads_cannot_be_started_ends_at_once_and_leaves_nothing() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for policy in ["stealing", "pinned", "thread-per-block"] {
        let domain = Domain::new();
        let child = support::child("a_child_without_room_for_threads", policy, &domain, &[]);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{policy}: {}", String::from_utf8_lossy(&output.stdout));
        domain.assert_gone();
    }
}
