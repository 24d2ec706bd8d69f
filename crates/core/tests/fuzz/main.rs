//! Damaged segments: attaching to one, and everything that is called on it, ends with an error or a result, never with a crash, a panic
//! or a hang.
//!
//! `npm run fuzz -- --seconds N --seed S`. A domain with something of everything in it, and two dead participants, is kept as an image.
//! Each case puts it back, damages some places (mostly words of tables, with values that are likely to hurt), and lets everything loose on
//! it; in half of the cases another thread goes on damaging meanwhile, in some of them with two participants at a time. A case is known by its number: `--case N` runs one alone (what is damaged
//! meanwhile comes at another moment each time: `--case N --times T`). Random bits while other processes run: `hostile_segment`.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

#[path = "../support/exercise.rs"]
mod exercise;
mod image;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/scene.rs"]
mod scene;
#[path = "../support/mod.rs"]
mod support;

use image::{Image, Links};
use millrace::{Observer, OpenOptions, ShmManager, Snapshot};
use random::Random;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::{Isolated, PATIENCE};

/// Cases that once found something, or stand for a kind of damage; run first, always.
const KEPT: &[(u64, u64)] = &[(0, 0), (0, 1), (0, 2), (0, 3)];

/// A domain that persists. Later nobody is left of it: in the images its participants are dead.
fn images(isolated: &Isolated) -> (Vec<Image>, Links) {
    let options = OpenOptions { persist: Some(true), max_bytes: Some(16 << 20), ..isolated.options() };
    let shm = ShmManager::open(&isolated.name, &options).unwrap();
    let other = ShmManager::open(&isolated.name, &options).unwrap();
    let held = scene::make(&shm, &other).unwrap();
    assert_complete(&shm.snapshot().unwrap());
    let images = (Image::all_of(isolated), Links::of(isolated));
    drop(held);
    images
}

/// A scene in which something is missing tests less than it seems to.
fn assert_complete(snapshot: &Snapshot) {
    assert_eq!(snapshot.queues.len(), scene::all_queues().count());
    assert!(snapshot.queues.iter().all(|queue| queue.depth > 0), "{:#?}", snapshot.queues);
    let unsettled = |queue: &millrace::QueueSnapshot| queue.leased > 0 && queue.pending > 0;
    let waiting = snapshot.queues.iter().filter(|queue| unsettled(queue)).count();
    assert!(waiting >= 4, "leases in hand and given back: {:#?}", snapshot.queues);
    assert!(snapshot.work_queues.iter().any(unsettled), "{:#?}", snapshot.work_queues);
    let subscriptions: Vec<_> = snapshot.topics.iter().map(|topic| topic.subscriptions.len()).collect();
    assert_eq!(subscriptions, [2, 3, 1], "bare, kept, later: {:#?}", snapshot.topics);
    assert!(snapshot.topics.iter().any(|topic| topic.kept > 0));
    let [service] = &snapshot.services[..] else { panic!("{:#?}", snapshot.services) };
    assert!(service.requests.as_ref().is_some_and(unsettled), "{service:#?}");
    assert_eq!(service.mailboxes.len(), 2);
    assert_eq!(snapshot.participants.len(), 2);
}

/// Everything that reads a segment.
fn let_loose(isolated: &Isolated, random: &mut Random) {
    if let Ok(observer) = Observer::open(&isolated.name, Some(&isolated.base)) {
        exercise::look(&observer);
        evict(&observer, random);
    }
    let options = OpenOptions { timeout: Some(PATIENCE), ..isolated.options() };
    let Ok(shm) = ShmManager::open(&isolated.name, &options) else { return };
    exercise::look(&shm.observer());
    exercise::everything(&shm, random);
    evict(&shm.observer(), random);
    exercise::look(&shm.observer());
}

/// Whatever the tables say of process ids: only who holds a life lock is ever killed, and that is nobody but us.
fn evict(observer: &Observer, random: &mut Random) {
    let _ = observer.evict(random.below(130) as usize, random.below(3) as u32, Duration::ZERO);
}

/// Goes on damaging until `done`. Bytes only: whoever shortens an object that others have mapped has killed them.
fn damage_meanwhile(images: &[Image], files: &[File], mut random: Random, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        let at = random.below(images.len() as u64) as usize;
        images[at].damage_word(&files[at], &mut random);
        std::thread::sleep(Duration::from_micros(random.below(1000)));
    }
}

fn run(isolated: &Isolated, (images, links): (&[Image], &Links), (seed, case): (u64, u64)) {
    let mut random = Random::of(case, seed);
    links.put_back(isolated, images);
    images.iter().for_each(Image::put_back);
    let meanwhile = case % 2 == 1;
    for _ in 0..=random.below(if meanwhile { 2 } else { 6 }) {
        images[random.below(images.len() as u64) as usize].damage(&mut random);
    }
    if !meanwhile {
        return let_loose(isolated, &mut random);
    }
    let files: Vec<_> = images.iter().map(Image::open).collect();
    let (done, seeds) = (AtomicBool::new(false), [random.next(), random.next()]);
    std::thread::scope(|scope| {
        scope.spawn(|| damage_meanwhile(images, &files, Random::of(case, seeds[0]), &done));
        let other =
            (case % 4 == 3).then(|| scope.spawn(|| let_loose(isolated, &mut Random::of(case, seeds[1]))));
        let_loose(isolated, &mut random);
        other.into_iter().for_each(|other| other.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
}

/// The case that is being run.
static CASE: AtomicU64 = AtomicU64::new(0);

fn abort_what_hangs(seed: u64) {
    let mut seen = (u64::MAX, Instant::now());
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let case = CASE.load(Ordering::Relaxed);
        if case != seen.0 {
            seen = (case, Instant::now());
        }
        if seen.1.elapsed() > PATIENCE {
            eprintln!("case {case} of seed {seed} hangs: --seed {seed} --case {case}");
            std::process::abort();
        }
    }
}

/// Every panic of every thread, those of sentinels, too, ends the run.
fn abort_at_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        eprintln!("in case {}", CASE.load(Ordering::Relaxed));
        std::process::abort();
    }));
}

fn main() {
    let args: Vec<_> = std::env::args().collect();
    let after = |flag: &str| args.iter().position(|a| a == flag).and_then(|i| args.get(i + 1));
    let number = |flag: &str| after(flag).map(|text| text.parse::<u64>().unwrap());
    let seconds = number("--seconds").unwrap_or(5);
    let seed = number("--seed").unwrap_or(0);
    let isolated = Isolated::new("fuzz");
    let (images, links) = images(&isolated);
    std::thread::spawn(move || abort_what_hangs(seed));
    abort_at_panics();
    // A crash names its case: this file is what is left of us.
    let last = std::env::temp_dir().join(format!("millrace-fuzz-last-{seed}"));
    let started = Instant::now();
    let mut done = 0_u64;
    let cases: Box<dyn Iterator<Item = (u64, u64)>> = match number("--case") {
        Some(case) => {
            let times = number("--times").unwrap_or(1);
            Box::new((0..times).map(move |_| (seed, case)))
        }
        None => Box::new(KEPT.iter().copied().chain((0..).map(|case| (seed, case)))),
    };
    let mut slowest = (Duration::ZERO, 0);
    for (seed, case) in cases {
        if started.elapsed() > Duration::from_secs(seconds) {
            break;
        }
        CASE.store(case, Ordering::Relaxed);
        std::fs::write(&last, format!("--seed {seed} --case {case}")).unwrap();
        let began = Instant::now();
        run(&isolated, (&images, &links), (seed, case));
        slowest = slowest.max((began.elapsed(), case));
        done += 1;
    }
    println!(
        "{done} cases in {:.1} s, seed {seed}; slowest {} in {:.1?}",
        started.elapsed().as_secs_f64(),
        slowest.1,
        slowest.0
    );
    // Those of the last case first: it may have added some.
    let added = isolated.objects().into_iter().map(|name| Path::new("/dev/shm").join(name));
    for path in added.chain(images.into_iter().map(|image| image.path)) {
        let _ = std::fs::remove_file(path);
    }
    let _ = std::fs::remove_file(last);
    println!("test result: ok. 1 passed; 0 failed; 0 ignored");
}
