//! What the system runs out of is said, with what to do; nothing is left behind, and afterwards everything works.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{Error, ErrorKind, QueueOptions, ShmManager};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Isolated, await_until, child, role, say};

/// Runs the test in a process of its own, for limits are a process's.
fn in_a_process(test: &str, f: impl FnOnce(&Isolated)) {
    if let Some((_, isolated)) = role() {
        f(&isolated);
        say("done");
        return;
    }
    let isolated = Isolated::new("shortage");
    let out = child(test, "victim", &isolated, &[]).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success() && text.contains("done"), "{text}");
    isolated.assert_gone();
}

/// Uses up all descriptors but `left`, until it is dropped.
struct Descriptors {
    plenty: Option<u64>,
    _taken: Vec<std::fs::File>,
}

impl Descriptors {
    fn but(left: usize) -> Self {
        let plenty = getrlimit(Resource::Nofile).current;
        // The limit is one of numbers, not of descriptors: those below it that are free are taken.
        limit(Resource::Nofile, 256);
        let mut taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        taken.truncate(taken.len() - left);
        Self { plenty, _taken: taken }
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: self.plenty, maximum }).unwrap();
    }
}

/// Allows so many descriptors, or mapped bytes, from now on.
fn limit(resource: Resource, current: u64) {
    setrlimit(resource, Rlimit { current: Some(current), maximum: getrlimit(resource).maximum }).unwrap();
}

fn says_descriptors(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    assert!(error.to_string().contains("ulimit -n"), "{error}");
}

#[test]
fn without_descriptors_opening_fails_and_leaves_nothing() {
    in_a_process("without_descriptors_opening_fails_and_leaves_nothing", |isolated| {
        // One more at a time, until it is enough: so it fails at each step there is.
        let mut failures = 0;
        let opened = loop {
            let few = Descriptors::but(failures);
            let opened = ShmManager::open(&isolated.name, &isolated.options());
            drop(few);
            match opened {
                Ok(shm) => break shm,
                Err(error) => says_descriptors(&error),
            }
            failures += 1;
            isolated.assert_gone();
        };
        // Of the directory, a life lock, two doorbells; and some for the moment.
        assert!((4..=7).contains(&failures), "a participant needs {failures} descriptors");
        drop(opened);
    });
}

#[test]
fn without_descriptors_a_pool_that_is_used_goes_on_and_others_say_why() {
    in_a_process("without_descriptors_a_pool_that_is_used_goes_on_and_others_say_why", |isolated| {
        let (shm, other) = (isolated.open(), isolated.open());
        let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
        queue.try_send(shm.allocate(100).unwrap()).unwrap();
        drop(other.allocate(100).unwrap());
        let large = shm.allocate(1 << 20).unwrap();
        let none = Descriptors::but(0);
        // Mapped already.
        assert!(queue.try_receive().unwrap().0.is_some());
        // A segment to map, one to make, a doorbell.
        says_descriptors(&other.allocate(1 << 20).unwrap_err());
        says_descriptors(&millrace::Observer::open(&isolated.name, Some(&isolated.base)).unwrap_err());
        says_descriptors(&shm.allocate(3 << 20).unwrap_err());
        says_descriptors(&shm.doorbell().unwrap_err());
        drop(none);
        drop((
            large,
            other.allocate(1 << 20).unwrap(),
            shm.allocate(3 << 20).unwrap(),
            shm.doorbell().unwrap(),
        ));
    });
}

/// Whether the domain's sentinel has started, and waits.
fn sentinel_waits() -> bool {
    std::fs::read_dir("/proc/self/task").unwrap().flatten().any(|task| {
        // Of proc(5): the name in parentheses, then the state.
        std::fs::read_to_string(task.path().join("stat")).unwrap_or_default().contains("(millrace) S")
    })
}

#[test]
fn without_memory_to_map_the_error_says_so() {
    in_a_process("without_memory_to_map_the_error_says_so", |isolated| {
        let shm = isolated.open();
        // A thread that starts maps a stack for its signal handlers, and std aborts if it cannot.
        await_until("the sentinel waits", sentinel_waits);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let mapped = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
        let mapped: u64 = mapped.trim().trim_end_matches(" kB").trim().parse().unwrap();
        let plenty = getrlimit(Resource::As).current;
        limit(Resource::As, (mapped + 16 * 1024) * 1024);
        let error = shm.allocate(100 << 20).unwrap_err();
        setrlimit(Resource::As, Rlimit { current: plenty, maximum: plenty }).unwrap();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        assert!(error.to_string().contains("no memory is left"), "{error}");
        drop(shm.allocate(100 << 20).unwrap());
    });
}

#[test]
fn without_threads_opening_fails_and_leaves_nothing() {
    const ORDINARY: u32 = 65_534;
    if std::env::var_os("MILLRACE_TEST_ROLE").is_none() && !rustix::process::geteuid().is_root() {
        println!(
            "skipped: the limit holds for ordinary users, and one has to be chosen that has no processes"
        );
        return;
    }
    in_a_process("without_threads_opening_fails_and_leaves_nothing", |isolated| {
        let ordinary = rustix::process::Uid::from_raw(ORDINARY);
        rustix::fs::chown(&isolated.base, Some(ordinary), None).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                limit(Resource::Nproc, 0);
                // Of this thread only.
                rustix::thread::set_thread_res_uid(ordinary, ordinary, ordinary).unwrap();
                let error = ShmManager::open(&isolated.name, &isolated.options()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
                assert!(error.to_string().contains("ulimit -u"), "{error}");
                isolated.assert_gone();
            });
        });
    });
}
