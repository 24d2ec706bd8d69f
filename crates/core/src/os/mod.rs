//! The operating system: every system call of this crate, behind one interface. Whoever is above knows no `rustix`, no descriptors and
//! no `cfg` of a system; a port to another one is a file here.
//!
//! | what                           | interface                                                                                    |
//! | ------------------------------ | -------------------------------------------------------------------------------------------- |
//! | private directories, files     | [`Dir`]: by descriptor, never by path; [`FileId`]; [`Access`]                                 |
//! | shared memory objects          | [`create_object`], [`Mapping`], [`remove_object`], [`object_name`], [`objects`], [`memory_bytes`], [`free_bytes`], [`page_bytes`] |
//! | locks that end with a process  | [`try_lock`], [`is_locked`], [`unlock`], [`record_holder`], [`lock_holders`]: of files                       |
//! | doorbells of event loops       | [`Doorbell`]; [`LoopEnd`], what an event loop takes                                           |
//! | sleeping threads               | [`wait_on`], [`wake_all`]: on a word of shared memory                                         |
//! | processes                      | [`DeathWatch`], [`Process`]                                                                   |
//! | time                           | [`deadline`], [`clock_ns`], [`clock_ms`]                                                      |
//! | where domains are              | [`default_base`], [`user`]                                                                    |
//! | errors                         | [`Shortage`]: what a failed call ran out of                                                   |
//!
//! Every call that a signal can interrupt is made again.

#[cfg(unix)]
mod unix;

mod watched;

#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(target_vendor = "apple", path = "macos/mod.rs")]
#[cfg_attr(windows, path = "windows/mod.rs")]
mod system;

#[cfg(not(any(target_os = "linux", target_vendor = "apple", windows)))]
compile_error!(
    "millrace runs on Linux, macOS and Windows; another system needs a file in crates/core/src/os"
);

#[cfg(windows)]
use system as shared;
#[cfg(unix)]
use unix as shared;

pub use shared::LoopEnd;
#[cfg(feature = "fault-points")]
pub(crate) use shared::apply_fault;
pub(crate) use shared::{
    Dir, Doorbell, Mapping, create_object, is_locked, page_bytes, record_holder, remove_object, shortage,
    try_lock, unlock,
};
pub(crate) use system::{
    DeathWatch, Process, free_bytes, lock_holders, memory_bytes, object_name, object_prefix, objects,
};
#[cfg(not(loom))]
pub(crate) use system::{wait_on, wake_all};

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What a file or shared memory object is, whatever its name: its device (or volume) and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// What other users may do in a directory that is accepted all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    None,
    /// List it, not change it.
    ReadOnly,
}

/// Where an event loop finds the other end of a doorbell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoopAddress {
    /// A file descriptor that becomes readable. It belongs to whoever gets it, who closes it.
    Descriptor(i32),
    /// The path of a pipe to connect to: it says a byte at each notification after that.
    Pipe(String),
}

/// What a failed call ran out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// The process, or the machine, has no file descriptor left.
    Descriptors,
    /// There is no memory, or no address space, left.
    Memory,
}

/// What happens to this process at a fault point.
#[cfg(feature = "fault-points")]
#[derive(Clone, Copy, Debug)]
pub(crate) enum FaultAction {
    /// `kill -9`.
    Kill,
    /// SIGSTOP.
    Stop,
}

/// The directory that holds all domains of this user when nobody asks for another.
pub(crate) fn default_base() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|p| p.is_dir()) {
        Some(runtime) => runtime.join("millrace"),
        None => system::own_base(),
    }
}

/// The end of a wait of `timeout` from now; one that no clock can express is a century.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    let now = Instant::now();
    // A century from now can be expressed.
    now.checked_add(timeout).or_else(|| now.checked_add(CENTURY)).unwrap_or(now)
}

/// Nanoseconds of a clock that never goes back and that all processes of the machine see alike, also those in containers with a time
/// namespace of their own. It starts anew with the machine.
pub fn clock_ns() -> u64 {
    // A process stays in the namespace that it has begun in.
    static OFFSET: OnceLock<i128> = OnceLock::new();
    u64::try_from(shared::monotonic_ns() - OFFSET.get_or_init(system::clock_offset)).unwrap_or(0)
}

/// Milliseconds of that clock.
pub fn clock_ms() -> u64 {
    clock_ns() / 1_000_000
}

/// A number that nobody can foresee.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // Keys from the system's generator, others for each state.
    std::hash::RandomState::new().build_hasher().finish()
}

/// Sleeps while `word` is `expected`, at most `timeout`, and looks once a millisecond.
#[cfg(any(loom, not(target_os = "linux")))]
fn nap_on(word: &crate::sync::AtomicU32, expected: u32, timeout: Duration) {
    let deadline = crate::os::deadline(timeout);
    while word.load(crate::sync::Ordering::Acquire) == expected && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1).min(timeout));
    }
}

/// Of a model: its words are no memory that a system could sleep on.
#[cfg(loom)]
pub(crate) fn wait_on(word: &crate::sync::AtomicU32, expected: u32, timeout: Duration) {
    nap_on(word, expected, timeout);
}

/// See [`wait_on`].
#[cfg(loom)]
pub(crate) fn wake_all(_word: &crate::sync::AtomicU32, _sleepers: u32) {}
