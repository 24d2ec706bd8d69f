//! macOS.

use super::FileId;
use super::unix::{Dir, Doorbell, Mapping, retry, user};
use crate::error::Result;
use rustix::event::poll;
use rustix::fs::Mode;
use rustix::time::Timespec;
use std::ffi::{CString, c_char, c_int};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::time::Duration;

/// The directory of all domains of this user.
pub(super) fn own_base() -> PathBuf {
    std::env::temp_dir().join(format!("millrace-{}", user()))
}

/// A name for an object of a domain: `directory` is that of the domain, `random` makes it unforeseeable. Names have at most 31 bytes
/// here, so hashes have to do.
pub(crate) fn object_name(directory: FileId, _label: &str, random: u64) -> String {
    format!("{}{:013x}", object_prefix(directory), random >> 12)
}

/// What the names of a domain's objects start with.
pub(crate) fn object_prefix(directory: FileId) -> String {
    let seed = directory.device ^ directory.inode.rotate_left(32);
    format!("/mr{:x}.", seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16)
}

/// There is no list of objects here: those of a domain are known by its links.
pub(crate) fn objects(_prefix: &str) -> Vec<String> {
    Vec::new()
}

/// Whom the object `name` belongs to, if it can be told.
pub(super) fn object_owner(name: &str) -> Option<u32> {
    let object = retry(|| rustix::shm::open(name, rustix::shm::OFlags::RDONLY, Mode::empty())).ok()?;
    rustix::fs::fstat(&object).ok().map(|stat| stat.st_uid)
}

/// The mode of an object is what it was made with, here.
pub(super) fn restore_object_mode(_name: &str) {}

/// The system's mknod makes no FIFOs for ordinary users, and rustix has no mkfifo.
pub(super) fn make_fifo(_dir: impl AsFd, name: &str, path: &Path, mode: Mode) -> rustix::io::Result<()> {
    unsafe extern "C" {
        fn mkfifo(path: *const c_char, mode: u16) -> c_int;
    }
    let path = CString::new(std::os::unix::ffi::OsStrExt::as_bytes(path.join(name).as_os_str()))
        .map_err(|_| rustix::io::Errno::INVAL)?;
    // SAFETY: a terminated path that lives through the call.
    if unsafe { mkfifo(path.as_ptr(), mode.bits()) } == 0 {
        return Ok(());
    }
    let code = std::io::Error::last_os_error().raw_os_error().unwrap_or_default();
    Err(rustix::io::Errno::from_raw_os_error(code))
}

/// Nothing to tell the kernel: there is no such advice.
pub(super) fn advise(_start: NonNull<u8>, _bytes: usize) {}

/// Shared memory objects are backed by swap here, not by a file system of limited size.
pub(super) fn reserve(_mapping: &Mapping, _offset: usize, _bytes: usize) -> Result<()> {
    Ok(())
}

/// No file system holds the objects here.
pub(crate) fn free_bytes() -> Option<(u64, u64)> {
    None
}

/// Sleeps while `word` is `expected`, at most `timeout`: a bounded nap, since no way to sleep on memory of several processes is known
/// to work here. Correct, but it wakes once a millisecond while a thread waits; event loops are not concerned.
#[cfg(not(loom))]
pub(crate) fn wait_on(word: &crate::sync::AtomicU32, expected: u32, timeout: Duration) {
    super::nap_on(word, expected, timeout);
}

/// Wakes everybody who sleeps on `word`: they look by themselves.
#[cfg(not(loom))]
pub(crate) fn wake_all(_word: &crate::sync::AtomicU32, _sleepers: u32) {}

/// There are no time namespaces here.
pub(super) fn clock_offset() -> i128 {
    0
}

/// Watches nothing: the sleep is cut short, so a death is noticed by the next sweep.
#[derive(Debug, Default)]
pub(crate) struct DeathWatch;

impl DeathWatch {
    /// Nothing to watch.
    pub(crate) fn set(&mut self, _participants: &[((usize, u32), u32)]) {}

    /// Sleeps until `doorbell` is notified, or `timeout`, or a tenth of a second.
    pub(crate) fn wait(&mut self, doorbell: &Doorbell, timeout: Duration) {
        let timeout = timeout.min(Duration::from_millis(100));
        let timeout = Timespec { tv_sec: 0, tv_nsec: timeout.subsec_nanos().into() };
        let _ = poll(&mut [doorbell.poll_fd()], Some(&timeout));
    }
}

/// Nobody: this system does not tell who holds a lock.
pub(crate) fn lock_holders(_files: &[FileId]) -> Vec<u32> {
    Vec::new()
}

/// A process beyond doubt: there is none of this type here, for want of pidfds.
#[derive(Debug)]
pub(crate) enum Process {}

impl Process {
    /// Why a process cannot be had by its number.
    pub(crate) const UNKNOWN: &str = "cannot be identified: this system has no pidfds";

    /// Always `None`.
    pub(crate) fn open(_pid: u32) -> Result<Option<Self>> {
        Ok(None)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        match *self {}
    }

    pub(crate) fn holds_lock(&self, _dir: &Dir, _name: &str) -> Result<bool> {
        match *self {}
    }

    pub(crate) fn kill(&self) -> Result<()> {
        match *self {}
    }

    pub(crate) fn has_ended_within(&self, _timeout: Duration) -> bool {
        match *self {}
    }
}
