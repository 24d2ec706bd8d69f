//! Shared by the tests: domains of their own, and what a process has.

#![expect(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod blocks;
pub(crate) mod joined;
pub(crate) mod steps;

use millrace::{OpenOptions, ShmManager};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Far beyond what anything takes: only a bug waits as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A domain in a directory of its own, which must be empty at the end.
pub(crate) struct Domain {
    pub(crate) name: String,
    pub(crate) base: PathBuf,
    owner: u32,
}

impl Domain {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("flow-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let base = std::env::temp_dir().join(format!("millrace-test-{name}"));
        std::fs::create_dir_all(&base).unwrap();
        std::fs::set_permissions(&base, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        Self { name, base, owner: std::process::id() }
    }

    /// That of the parent process.
    pub(crate) fn of_parent(name: String, base: PathBuf) -> Self {
        Self { name, base, owner: 0 }
    }

    pub(crate) fn open(&self) -> Arc<ShmManager> {
        let options = OpenOptions { directory: Some(self.base.clone()), ..OpenOptions::default() };
        Arc::new(ShmManager::open(&self.name, &options).unwrap())
    }

    /// Number of its shared memory objects.
    pub(crate) fn objects(&self) -> usize {
        use std::os::unix::fs::MetadataExt;
        let Ok(meta) = std::fs::metadata(self.base.join(&self.name)) else { return 0 };
        let prefix = format!("millrace.{}.{:x}.{:x}.", meta.uid(), meta.dev(), meta.ino());
        let names = std::fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(&prefix)).count()
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            let _ = std::fs::remove_dir_all(&self.base);
        }
    }
}

/// Buffers that carry messages: queued, or held by somebody.
pub(crate) fn used(shm: &ShmManager) -> u64 {
    shm.snapshot().unwrap().pools.iter().map(|pool| pool.used - pool.rings).sum()
}

/// Waits for what nothing tells of.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Processor time of this process.
pub(crate) fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

pub(crate) fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
