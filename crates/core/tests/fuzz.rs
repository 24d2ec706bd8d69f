//! Damaged segments: attaching to one, and everything that reads it, ends with an error or an answer, never with a crash, a panic or a
//! hang.
//!
//! `npm run fuzz -- --seconds N --seed S`. A domain with something of everything in it is kept as an image. Each case puts it back, damages
//! some places (mostly fields of tables, with values that are likely to hurt), and lets everything loose on it. A case is known by its
//! number: `--case N` runs one alone. Random bits while peers run: `hostile_segment.rs`.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{Delivery, Interest, Observer, OpenOptions, Overflow, QueueOptions, ShmManager};
use std::fs::{File, read_dir};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::{Isolated, PATIENCE};

/// Cases that once found something, or stand for a kind of damage; run first, always.
const KEPT: &[u64] = &[0, 1, 2, 3];

struct Random(u64);

impl Random {
    fn of(case: u64, seed: u64) -> Self {
        let mut random =
            Self(case.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed.rotate_left(32) ^ 0x2545_f491_4f6c_dd1d);
        (0..4).for_each(|_| _ = random.next());
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// The pages of one shared memory object; holes stay holes.
struct Image {
    path: PathBuf,
    bytes: u64,
    pages: Vec<(u64, Vec<u8>)>,
}

const PAGE: u64 = 4096;

impl Image {
    fn of(path: PathBuf) -> Self {
        let file = File::open(&path).unwrap();
        let bytes = file.metadata().unwrap().len();
        let mut pages = Vec::new();
        for at in (0..bytes).step_by(PAGE as usize) {
            let mut page = vec![0; PAGE.min(bytes - at) as usize];
            file.read_exact_at(&mut page, at).unwrap();
            if page.iter().any(|byte| *byte != 0) {
                pages.push((at, page));
            }
        }
        Self { path, bytes, pages }
    }

    fn open(&self) -> File {
        File::options().read(true).write(true).create(true).truncate(false).open(&self.path).unwrap()
    }

    fn put_back(&self) {
        let file = self.open();
        // What the last case has touched is zero again.
        file.set_len(0).unwrap();
        file.set_len(self.bytes).unwrap();
        for (at, page) in &self.pages {
            file.write_all_at(page, *at).unwrap();
        }
    }

    /// Damages a word, a byte, a bit, a stretch, or the length. Mostly where there is something.
    fn damage(&self, random: &mut Random) {
        let file = self.open();
        let (start, page) = &self.pages[random.below(self.pages.len() as u64) as usize];
        let at = start + random.below(page.len() as u64);
        match random.below(16) {
            0..8 => {
                let width = random.one_of(&[4_u64, 4, 8]);
                let values =
                    [0, 1, 2, 3, 127, 128, 255, 1 << 14, 1 << 20, i32::MAX as u64, u32::MAX.into(), u64::MAX];
                let value = if random.below(3) == 0 { random.next() } else { random.one_of(&values) };
                let bytes = value.to_le_bytes();
                file.write_all_at(&bytes[..width as usize], at / width * width).unwrap();
            }
            8..12 => {
                let mut byte = [0];
                let _ = file.read_at(&mut byte, at).unwrap();
                byte[0] ^= 1 << random.below(8);
                file.write_all_at(&byte, at).unwrap();
            }
            12..14 => {
                let noise: Vec<u8> = (0..random.below(256)).map(|_| random.next() as u8).collect();
                file.write_all_at(&noise, at.min(self.bytes - 256)).unwrap();
            }
            14 => {
                // One structure over another.
                let (_, other) = &self.pages[random.below(self.pages.len() as u64) as usize];
                file.write_all_at(other, *start).unwrap();
                file.set_len(self.bytes).unwrap();
            }
            _ => {
                let lengths = [0, 1, 63, 64, PAGE, self.bytes / 2, self.bytes - 1, self.bytes + PAGE];
                file.set_len(random.one_of(&lengths)).unwrap();
            }
        }
    }
}

/// A domain that persists, with queues of every kind, messages, leases, and a participant that holds some of each. Later nobody is left
/// of it: in the images it is dead.
fn images(isolated: &Isolated) -> (Vec<Image>, Links) {
    let options = OpenOptions { persist: Some(true), max_bytes: Some(8 << 20), ..isolated.options() };
    let shm = ShmManager::open(&isolated.name, &options).unwrap();
    let kinds = [
        ("plain", Overflow::Block, Delivery::AtMostOnce, 0),
        ("newest", Overflow::DropOldest, Delivery::AtMostOnce, 0),
        ("sure", Overflow::Block, Delivery::AtLeastOnce, 2),
    ];
    let mut held = Vec::new();
    for (name, overflow, delivery, max) in kinds {
        let options = QueueOptions {
            capacity: Some(8),
            overflow: Some(overflow),
            delivery: Some(delivery),
            max_deliveries: (max > 0).then_some(max),
            ..QueueOptions::default()
        };
        let queue = shm.port_queue(name, &options).unwrap();
        for sequence in 0..6 {
            let mut buffer = shm.allocate(100 << sequence).unwrap();
            buffer.set_sequence(sequence);
            queue.try_send(buffer).unwrap();
        }
        held.extend(queue.try_receive().unwrap().0);
    }
    held.push(shm.allocate(3000).unwrap());
    let directory = isolated.base.join(&isolated.name);
    let meta = std::fs::metadata(directory).unwrap();
    let prefix = format!("millrace.{}.{:x}.{:x}.", meta.uid(), meta.dev(), meta.ino());
    let names = read_dir("/dev/shm").unwrap().map(|e| e.unwrap());
    let ours = names.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)));
    let mut images: Vec<_> = ours.map(|entry| Image::of(entry.path())).collect();
    images.sort_by(|a, b| a.path.cmp(&b.path));
    let links = Links::of(isolated);
    drop(held);
    (images, links)
}

/// The links to the segments, by which the domain finds them.
struct Links(Vec<(PathBuf, Vec<u8>)>);

impl Links {
    fn of(isolated: &Isolated) -> Self {
        let entries = read_dir(isolated.base.join(&isolated.name)).unwrap().map(|e| e.unwrap().path());
        let is_link = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name == "registry" || name.starts_with("pool.")
        };
        Self(entries.filter(is_link).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect())
    }

    /// An unusable domain may have been made anew, in a new directory: away with that, and back with ours.
    fn put_back(&self, isolated: &Isolated, images: &[Image]) {
        let directory = isolated.base.join(&isolated.name);
        for name in isolated.objects() {
            let path = PathBuf::from("/dev/shm").join(name);
            if !images.iter().any(|image| image.path == path) {
                std::fs::remove_file(path).unwrap();
            }
        }
        if !directory.exists() {
            std::fs::create_dir(&directory).unwrap();
            std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o700))
                .unwrap();
        }
        for entry in read_dir(&directory).unwrap().map(|e| e.unwrap().path()) {
            if entry.file_name().unwrap().to_str().unwrap().starts_with("pool.") {
                std::fs::remove_file(entry).unwrap();
            }
        }
        self.0.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    }
}

/// Everything that reads a segment. Errors are what is expected; anything else is not.
fn let_loose(isolated: &Isolated, random: &mut Random) {
    if let Ok(observer) = Observer::open(&isolated.name, Some(&isolated.base)) {
        look(&observer, random);
    }
    let options = OpenOptions { timeout: Some(PATIENCE), ..isolated.options() };
    let Ok(shm) = ShmManager::open(&isolated.name, &options) else { return };
    look(&shm.observer(), random);
    let _ = (shm.reports_since(0), shm.stalled(), shm.recoveries());
    for bytes in [1, 1000, 100_000] {
        let Ok(buffer) = shm.allocate(bytes) else { continue };
        // SAFETY: read only, and whatever is in it.
        std::hint::black_box(unsafe { buffer.bytes() }.iter().map(|b| u64::from(*b)).sum::<u64>());
    }
    for name in ["plain", "newest", "sure", "sure.dead", "new"] {
        let queue = match name {
            "new" => shm.port_queue(name, &QueueOptions::default()).ok(),
            name => shm.find_queue(name).ok().flatten(),
        };
        let Some(queue) = queue else { continue };
        for round in 0..12 {
            if let Ok(buffer) = shm.allocate(50) {
                let _ = queue.try_send(buffer);
            }
            let _ = queue.put([&[round as u8; 40][..], &[]].into_iter());
            if let Ok(Some(peeked)) = queue.peek() {
                let _ = shm.allocator().release(peeked);
            }
            let _ = queue.get(&mut [0; 100], &mut [0; 2]);
            if let Ok((Some(message), _)) = queue.try_receive() {
                // SAFETY: as above.
                std::hint::black_box(unsafe { message.bytes() }.first().copied());
                if round % 3 == 0 {
                    let _ = message.nack();
                }
            }
        }
        let _ = queue.wait(Interest::Data, Duration::from_micros(10));
        let _ = queue.wait(Interest::Space, Duration::from_micros(10));
        if random.below(2) == 0 { queue.close() } else { queue.destroy() }
    }
    let _ = shm
        .allocator()
        .release(millrace::Buffer { id: random.next() as u32, received: random.below(2) == 0 });
}

fn look(observer: &Observer, random: &mut Random) {
    let _ = (observer.snapshot(), observer.stalled());
    let _ = observer.fsck(Duration::ZERO);
    // Whatever the tables say of pids: only who holds a life lock is ever killed, and that is nobody but us.
    let _ = observer.evict(random.below(130) as usize, random.below(3) as u32, Duration::ZERO);
}

fn main() {
    let args: Vec<_> = std::env::args().collect();
    let after = |flag: &str| args.iter().position(|a| a == flag).and_then(|i| args.get(i + 1));
    let number = |flag: &str| after(flag).map(|text| text.parse::<u64>().unwrap());
    let seconds = number("--seconds").unwrap_or(5);
    let seed = number("--seed").unwrap_or(0);
    let isolated = Isolated::new("fuzz");
    let (images, links) = images(&isolated);
    static CASE: AtomicU64 = AtomicU64::new(0);
    std::thread::spawn(move || {
        let mut seen = (u64::MAX, Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let case = CASE.load(Ordering::Relaxed);
            if case != seen.0 {
                seen = (case, Instant::now());
            }
            if seen.1.elapsed() > PATIENCE {
                eprintln!("case {case} of seed {seed} hangs");
                std::process::abort();
            }
        }
    });
    // A crash names its case: this file is what is left of us.
    let last = std::env::temp_dir().join(format!("millrace-fuzz-last-{seed}"));
    let started = Instant::now();
    let mut done = 0_u64;
    let only = number("--case");
    let cases: Box<dyn Iterator<Item = u64>> = match only {
        Some(case) => Box::new(std::iter::once(case)),
        None => Box::new(KEPT.iter().copied().chain(4..)),
    };
    for case in cases {
        if started.elapsed() > Duration::from_secs(seconds) {
            break;
        }
        CASE.store(case, Ordering::Relaxed);
        std::fs::write(&last, case.to_string()).unwrap();
        let mut random = Random::of(case, seed);
        links.put_back(&isolated, &images);
        images.iter().for_each(Image::put_back);
        for _ in 0..=random.below(6) {
            images[random.below(images.len() as u64) as usize].damage(&mut random);
        }
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| let_loose(&isolated, &mut random)));
        assert!(result.is_ok(), "case {case} of seed {seed} panics: --seed {seed} --case {case}");
        done += 1;
    }
    println!("{done} cases in {:.1} s, seed {seed}", started.elapsed().as_secs_f64());
    // Those of the last case first: it may have added some.
    let added = isolated.objects().into_iter().map(|name| Path::new("/dev/shm").join(name));
    for path in added.chain(images.into_iter().map(|image| image.path)) {
        let _ = std::fs::remove_file(path);
    }
    let _ = std::fs::remove_file(last);
    println!("test result: ok. 1 passed; 0 failed; 0 ignored");
}
