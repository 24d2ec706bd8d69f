//! Memory comes back: empty segments serve other sizes, their memory goes back to the system, and nobody loses or mixes up anything.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{Buffer, BufferPtr, ErrorKind, OpenOptions, Overflow, QueueOptions, ShmManager};
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Isolated, PATIENCE, await_until, role, say};

fn open(isolated: &Isolated, max_bytes: u64) -> ShmManager {
    let options = OpenOptions { max_bytes: Some(max_bytes), ..isolated.options() };
    ShmManager::open(&isolated.name, &options).unwrap()
}

/// Takes every buffer of `bytes` bytes that there is.
fn take_all(shm: &ShmManager, bytes: usize) -> Vec<BufferPtr> {
    std::iter::from_fn(|| shm.allocator().try_allocate(bytes).unwrap()).collect()
}

/// Fills a buffer with what can be told from any other.
fn fill(buffer: &mut BufferPtr, byte: u8) {
    // SAFETY: nobody else has this buffer.
    unsafe { buffer.bytes_mut() }.fill(byte);
}

fn assert_filled(buffer: &BufferPtr, byte: u8) {
    // SAFETY: nobody writes to it.
    let bytes = unsafe { buffer.bytes() };
    assert!(bytes.iter().all(|b| *b == byte), "{buffer:?} is not all {byte}");
}

fn used_bytes(shm: &ShmManager) -> u64 {
    shm.snapshot().unwrap().used_bytes
}

#[test]
fn empty_segments_serve_other_sizes() {
    let isolated = Isolated::new("other-sizes");
    let shm = open(&isolated, 8 << 20);
    for round in 0..5 {
        for bytes in [200, 2 << 20, 5000, 8 << 20, 100_000] {
            let mut all = take_all(&shm, bytes);
            let payload: usize = all.iter().map(BufferPtr::capacity).sum();
            assert!(payload >= 6 << 20, "{} of {bytes} bytes in round {round}", all.len());
            all.iter_mut().for_each(|buffer| fill(buffer, round));
            all.iter().for_each(|buffer| assert_filled(buffer, round));
            assert!(used_bytes(&shm) <= 8 << 20);
            assert_eq!(shm.allocate(bytes).unwrap_err().kind(), ErrorKind::Exhausted);
        }
    }
    assert_eq!(shm.fsck().unwrap(), []);
    drop(shm);
    isolated.assert_gone();
}

#[test]
fn what_is_in_use_stays() {
    let isolated = Isolated::new("in-use");
    let shm = open(&isolated, 16 << 20);
    let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
    let mut held = shm.allocate(3000).unwrap();
    fill(&mut held, 7);
    let mut sent = shm.allocate(60_000).unwrap();
    fill(&mut sent, 8);
    queue.try_send(sent).unwrap();
    drop([shm.allocate(200).unwrap(), shm.allocate(4 << 20).unwrap()]);
    let before = used_bytes(&shm);
    let report = shm.trim().unwrap();
    assert_eq!(report.segments, 2);
    assert!(report.bytes >= 5 << 20);
    assert_eq!(used_bytes(&shm), before - report.bytes);
    assert_eq!(shm.trim().unwrap().segments, 0, "that was all");
    assert_filled(&held, 7);
    assert_filled(&queue.try_receive().unwrap().0.unwrap(), 8);
    assert_eq!(shm.fsck().unwrap(), []);
    drop((held, queue, shm));
    isolated.assert_gone();
}

#[test]
fn the_system_gets_the_memory_from_all_of_them() {
    let isolated = Isolated::new("system");
    // Each maps for itself, as processes do.
    let all = [(); 3].map(|()| open(&isolated, 32 << 20));
    let queue = all.each_ref().map(|shm| shm.port_queue("q", &QueueOptions::default()).unwrap());
    for (round, byte) in (1..=4).enumerate() {
        // The second segment at the same place has another size.
        let bytes = [5000, 3 << 20, 100, 700_000][round];
        for (sender, receiver) in [(0, 1), (1, 2), (2, 0)] {
            let mut buffer = all[sender].allocate(bytes).unwrap();
            fill(&mut buffer, byte);
            queue[sender].try_send(buffer).unwrap();
            let message = queue[receiver].try_receive().unwrap().0.unwrap();
            assert_eq!(message.len(), bytes);
            assert_filled(&message, byte);
        }
        let objects = isolated.objects();
        let mapped = || std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(objects.iter().all(|object| mapped().contains(object)));
        let trimmed = all[round % 3].trim().unwrap();
        assert_eq!(trimmed.segments, 1);
        let left = isolated.objects();
        assert_eq!(left.len(), objects.len() - 1, "the object is gone");
        // The others' sentinels let go of it, too: then there is nothing left of it.
        await_until("the mapping goes", || {
            !mapped().contains(&format!("{isolated_name} (deleted)", isolated_name = gone(&objects, &left)))
        });
    }
    assert_eq!(all[0].fsck().unwrap(), []);
    drop((queue, all));
    isolated.assert_gone();
}

/// What is in `before` and not in `after`.
fn gone(before: &[String], after: &[String]) -> String {
    before.iter().find(|object| !after.contains(object)).unwrap().clone()
}

#[test]
fn who_waits_for_a_buffer_wakes_when_another_size_comes_back() {
    let isolated = Isolated::new("wait");
    let shm = open(&isolated, 4 << 20);
    let mut all = take_all(&shm, 200);
    let sleeps = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let other = open(&isolated, 4 << 20);
            let mut looks = 0;
            loop {
                looks += 1;
                let sequence = other.wake_sequence();
                if let Some(buffer) = other.allocator().try_allocate(1 << 20).unwrap() {
                    return (buffer.capacity(), looks);
                }
                if other.arm_pool(1 << 20, 1) {
                    sleeps.fetch_add(1, Ordering::Relaxed);
                    assert!(other.park(sequence, PATIENCE), "nobody has woken it");
                }
            }
        });
        await_until("it sleeps", || sleeps.load(Ordering::Relaxed) > 0);
        let looked = Instant::now();
        all.truncate(all.len() / 2);
        drop(std::mem::take(&mut all));
        let (capacity, looks) = waiter.join().unwrap();
        assert_eq!(capacity, 1 << 20);
        assert!(sleeps.load(Ordering::Relaxed) >= 1);
        // Each release wakes it, but it does not spin.
        assert!(looks < 40_000, "{looks} looks in {:?}", looked.elapsed());
    });
    drop(shm);
    isolated.assert_gone();
}

/// Two that each want more than half of all there is: both get it, again and again, never at the same time.
#[test]
fn many_at_once_are_all_or_none() {
    let isolated = Isolated::new("many");
    let shm = open(&isolated, 16 << 20);
    let count = take_all(&shm, 1 << 20).len() * 3 / 4;
    let taken = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let taker = open(&isolated, 16 << 20);
                let allocator = taker.allocator();
                let mut ids = vec![0; count];
                for _ in 0..500 {
                    loop {
                        let sequence = taker.wake_sequence();
                        if allocator.allocate_all(1 << 20, &mut ids).unwrap() {
                            break;
                        }
                        if taker.arm_pool(1 << 20, count) {
                            assert!(taker.park(sequence, PATIENCE), "nobody has woken it");
                            taker.disarm_pool();
                        }
                    }
                    assert_eq!(taken.fetch_add(count, Ordering::SeqCst), 0, "the other has most of them");
                    std::thread::yield_now();
                    taken.fetch_sub(count, Ordering::SeqCst);
                    let buffers = ids.iter().map(|id| Buffer { id: *id, received: false });
                    assert!(matches!(allocator.release_all(buffers), (done, Ok(())) if done == count));
                }
            });
        }
    });
    let error = shm.allocator().allocate_all(1 << 20, &mut [0; 17]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("17 buffers need 1048576 bytes each"), "{error}");
    assert!(shm.snapshot().unwrap().pools.iter().all(|pool| pool.used == 0));
}

#[test]
fn whoever_looks_meets_no_segment_that_goes() {
    let isolated = Isolated::new("look");
    let shm = open(&isolated, 16 << 20);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looker = scope.spawn(|| {
            let observer = millrace::Observer::open(&isolated.name, Some(&isolated.base)).unwrap();
            let mut looks = 0;
            while !stop.load(Ordering::Relaxed) {
                observer.snapshot().unwrap();
                looks += 1;
            }
            looks
        });
        let stopper = Stop(&stop);
        for round in 0..300 {
            drop(shm.allocate([200, 5000, 100_000, 2 << 20][round % 4]).unwrap());
            let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
            queue.destroy();
            drop(queue);
            assert!(shm.trim().unwrap().segments > 0);
        }
        drop(stopper);
        assert!(looker.join().unwrap() > 0);
    });
    assert_eq!(used_bytes(&shm), 0);
    drop(shm);
    isolated.assert_gone();
}

/// Ends the other thread, also when this one fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sizes of which the budget of the chaos has room for two only.
const BURSTS: [usize; 5] = [200, 3000, 40_000, 500_000, 3 << 20];
const CHAOS_BYTES: u64 = 8 << 20;

/// One process of the chaos: bursts of one size after the other, some of it handed on, all of it checked.
fn burst(isolated: &Isolated) {
    let shm = open(isolated, CHAOS_BYTES);
    let options =
        QueueOptions { capacity: Some(64), overflow: Some(Overflow::DropOldest), ..QueueOptions::default() };
    let queue = shm.port_queue("q", &options).unwrap();
    let mut random = u64::from(std::process::id());
    say("ready");
    loop {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bytes = BURSTS[(random >> 33) as usize % BURSTS.len()];
        let byte = (random >> 40) as u8;
        let wanted = (3 << 20) / bytes.next_power_of_two();
        let mut burst: Vec<_> =
            (0..wanted).map_while(|_| shm.allocator().try_allocate(bytes).unwrap()).collect();
        burst.iter_mut().for_each(|buffer| fill(buffer, byte));
        burst.iter().for_each(|buffer| assert_filled(buffer, byte));
        for buffer in burst.drain(..).take(8) {
            let _ = queue.try_send(buffer);
        }
        while let (Some(message), _) = queue.try_receive().unwrap() {
            // SAFETY: nobody writes to it.
            let first = unsafe { message.bytes() }[0];
            assert_filled(&message, first);
        }
        if random >> 60 == 0 {
            shm.trim().unwrap();
        }
    }
}

#[test]
fn bursts_of_all_sizes_and_deaths() {
    const TEST: &str = "bursts_of_all_sizes_and_deaths";
    if let Some((role, isolated)) = role() {
        assert_eq!(role, "burst");
        burst(&isolated);
        return;
    }
    let isolated = Isolated::new("bursts");
    let shm = open(&isolated, CHAOS_BYTES);
    let start = || support::started(TEST, "burst", &isolated);
    let mut all: Vec<Child> = (0..3).map(|_| start()).collect();
    let (started, mut deaths) = (Instant::now(), 0_u64);
    // Long enough for many segments to have come and gone, however fast the machine is.
    while deaths < 20 || shm.remaps() < 40 {
        assert!(started.elapsed() < PATIENCE, "{} times a segment went", shm.remaps());
        std::thread::sleep(Duration::from_millis(100));
        for child in &mut all {
            assert!(child.try_wait().unwrap().is_none(), "one has failed");
        }
        let mut victim = all.remove(0);
        victim.kill().unwrap();
        victim.wait().unwrap();
        deaths += 1;
        all.push(start());
        assert_eq!(shm.fsck().unwrap(), [], "after {deaths} deaths");
        assert!(used_bytes(&shm) <= CHAOS_BYTES);
    }
    for mut child in all {
        assert!(child.try_wait().unwrap().is_none(), "one has failed");
        child.kill().unwrap();
        child.wait().unwrap();
        deaths += 1;
    }
    support::await_recoveries(&shm, deaths);
    assert_eq!(shm.fsck().unwrap(), []);
    shm.find_queue("q").unwrap().unwrap().destroy();
    let used: u64 = shm.snapshot().unwrap().pools.iter().map(|pool| pool.used).sum();
    assert_eq!(used, 0, "all buffers are back");
    shm.trim().unwrap();
    assert_eq!((used_bytes(&shm), isolated.objects().len()), (0, 1), "only the registry is left");
    drop(take_all(&shm, 3 << 20));
    drop(shm);
    isolated.assert_gone();
}
