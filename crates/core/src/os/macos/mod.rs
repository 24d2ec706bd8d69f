//! macOS.

mod address;
mod process;

pub(crate) use super::unix::DeathWatch;
#[cfg(not(loom))]
pub(crate) use address::{wait_on, wake_all};
pub(super) use process::open_death;
pub(crate) use process::{Process, lock_holders};

use super::FileId;
use super::unix::{Mapping, retry, user};
use crate::error::Result;
use rustix::fs::Mode;
use std::ffi::{CString, OsString, c_char, c_int};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

/// The directory of all domains of this user: below that for caches which the system gives each, whatever TMPDIR says.
pub(super) fn own_base() -> PathBuf {
    user_cache().unwrap_or_else(std::env::temp_dir).join(format!("millrace-{}", user()))
}

fn user_cache() -> Option<PathBuf> {
    unsafe extern "C" {
        fn confstr(name: c_int, buffer: *mut c_char, bytes: usize) -> usize;
    }
    /// `_CS_DARWIN_USER_CACHE_DIR` of unistd.h.
    const USER_CACHE: c_int = 65538;
    let mut path = vec![0_u8; 1024];
    // SAFETY: a buffer of so many bytes, which lives through the call.
    let bytes = unsafe { confstr(USER_CACHE, path.as_mut_ptr().cast(), path.len()) };
    // The number counts the zero at the end.
    path.truncate(bytes.checked_sub(1).filter(|bytes| (1..path.len()).contains(bytes))?);
    Some(OsString::from_vec(path).into()).filter(|path: &PathBuf| path.is_dir())
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

/// What objects there are cannot be told, and so not what they take.
pub(crate) fn memory_bytes(_prefix: &str) -> Option<u64> {
    None
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

/// There are no time namespaces here.
pub(super) fn clock_offset() -> i128 {
    0
}
