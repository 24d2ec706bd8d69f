//! Linux.

mod process;

pub(crate) use super::unix::DeathWatch;
pub(super) use process::open_death;
pub(crate) use process::{Process, lock_holders};

use super::FileId;
use super::unix::dir::{PRIVATE, restore_mode};
#[cfg(not(loom))]
use super::unix::timespec;
use super::unix::{Mapping, retry, user};
use crate::error::{Error, ErrorKind, Result};
use rustix::fs::{AtFlags, CWD, FallocateFlags, FileType, Mode};
use rustix::io::Errno;
use rustix::mm::{Advice, madvise};
#[cfg(not(loom))]
use rustix::thread::futex;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
#[cfg(not(loom))]
use std::time::Duration;

/// The file system whose files are the shared memory objects.
const SHM: &str = "/dev/shm";

/// The directory of all domains of this user.
pub(super) fn own_base() -> PathBuf {
    let shm = Path::new(SHM);
    let root = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
    root.join(format!("millrace-{}", user()))
}

/// A name for an object of a domain: `directory` is that of the domain, `label` says what it is, `random` makes it unforeseeable.
pub(crate) fn object_name(directory: FileId, label: &str, random: u64) -> String {
    format!("{}{label}.{random:016x}", object_prefix(directory))
}

/// What the names of a domain's objects start with.
pub(crate) fn object_prefix(directory: FileId) -> String {
    format!("/millrace.{}.{:x}.{:x}.", user(), directory.device, directory.inode)
}

/// Names of the objects that start with `prefix`, whosever they are.
pub(crate) fn objects(prefix: &str) -> Vec<String> {
    let prefix = prefix.trim_start_matches('/');
    let entries = fs::read_dir(SHM).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with(prefix)).map(|name| format!("/{name}")).collect()
}

/// Bytes of memory that the objects take whose names start with `prefix`.
pub(crate) fn memory_bytes(prefix: &str) -> Option<u64> {
    // What the field of `stat` counts in, whatever the file system does.
    const BLOCK: u64 = 512;
    let blocks = |object: &String| {
        let stat = rustix::fs::statat(CWD, format!("{SHM}{object}"), AtFlags::SYMLINK_NOFOLLOW).ok()?;
        u64::try_from(stat.st_blocks).ok()
    };
    Some(objects(prefix).iter().filter_map(blocks).sum::<u64>() * BLOCK)
}

/// Whom the object `name` belongs to, if it can be told.
pub(super) fn object_owner(name: &str) -> Option<u32> {
    let stat = rustix::fs::statat(CWD, format!("{SHM}{name}"), AtFlags::SYMLINK_NOFOLLOW);
    stat.ok().map(|stat| stat.st_uid)
}

/// Gives an object of ours its mode if the umask has taken some of it.
pub(super) fn restore_object_mode(name: &str) {
    restore_mode(CWD, &format!("{SHM}{name}"), PRIVATE);
}

pub(super) fn make_fifo(dir: impl AsFd, name: &str, _path: &Path, mode: Mode) -> rustix::io::Result<()> {
    rustix::fs::mknodat(dir, name, FileType::Fifo, mode, 0)
}

/// Tells the kernel that a mapping is not for forked children or core dumps: a child that writes into shared memory without
/// taking part would corrupt it, and dumping a pool would delay the notice of a death. Best effort.
pub(super) fn advise(start: NonNull<u8>, bytes: usize) {
    for advice in [Advice::LinuxDontFork, Advice::LinuxDontDump] {
        // SAFETY: the range is exactly one mapping of ours, and neither advice changes its contents for this process.
        let _ = unsafe { madvise(start.as_ptr().cast(), bytes, advice) };
    }
}

/// Reserves pages; an error instead of a later SIGBUS when the file system is full.
pub(super) fn reserve(mapping: &Mapping, offset: usize, bytes: usize) -> Result<()> {
    // SAFETY: the caller says that the range lies in the mapping.
    let start = unsafe { mapping.start().add(offset) };
    // SAFETY: the range lies in a mapping of ours; populating writes nothing.
    match retry(|| unsafe { madvise(start.cast(), bytes, Advice::LinuxPopulateWrite) }) {
        Ok(()) => return Ok(()),
        Err(Errno::INVAL) => {} // before Linux 5.14: allocate the blocks instead
        Err(_) => return Err(no_space(mapping, bytes)),
    }
    allocate_blocks(mapping, offset, bytes)
}

fn allocate_blocks(mapping: &Mapping, offset: usize, bytes: usize) -> Result<()> {
    // A signal undoes what the call has done so far: many short ones come to an end.
    const PIECE: usize = 1 << 20;
    let object = mapping.reopen()?;
    for done in (0..bytes).step_by(PIECE) {
        let (at, piece) = ((offset + done) as u64, PIECE.min(bytes - done) as u64);
        match retry(|| rustix::fs::fallocate(&object, FallocateFlags::empty(), at, piece)) {
            Ok(()) => {}
            Err(Errno::NOSPC | Errno::NOMEM) => return Err(no_space(mapping, bytes)),
            Err(e) => {
                return Err(Error::io(format!("cannot reserve {bytes} bytes of {}", mapping.name()), e));
            }
        }
    }
    Ok(())
}

fn no_space(mapping: &Mapping, bytes: usize) -> Error {
    let free = free_bytes().map_or(String::new(), |(free, _)| format!(", {free} are free"));
    Error::new(
        ErrorKind::NoSpace,
        format!(
            "{SHM} is full: {bytes} bytes are needed for {}{free}; enlarge it (Docker: --shm-size) or lower maxBytes",
            mapping.name()
        ),
    )
}

/// Free and total bytes of the file system that holds shared memory objects.
pub(crate) fn free_bytes() -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(SHM).ok()?;
    Some((stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize))
}

/// Sleeps while `word`, which lies in memory of several processes, is `expected`, at most `timeout`. May return early for no reason:
/// callers look again.
#[cfg(not(loom))]
pub(crate) fn wait_on(word: &crate::sync::AtomicU32, expected: u32, timeout: Duration) {
    // Never FUTEX_PRIVATE. Every outcome (woken, changed already, timed out, interrupted) means the same to the caller: look again.
    let _ = futex::wait(word, futex::Flags::empty(), expected, Some(&timespec(timeout)));
}

/// Wakes everybody who sleeps on `word`, however many these are.
#[cfg(not(loom))]
pub(crate) fn wake_all(word: &crate::sync::AtomicU32, _sleepers: u32) {
    // It fails only for an address that is not mapped.
    let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
}

/// How far this process's monotonic clock is ahead of the machine's: it may be in a time namespace.
pub(super) fn clock_offset() -> i128 {
    let offsets = fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
    let words = offsets.lines().find_map(|line| line.strip_prefix("monotonic")).unwrap_or_default();
    let mut numbers = words.split_whitespace().map(|word| word.parse::<i64>().unwrap_or(0));
    let (seconds, nanoseconds) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::{create_object, remove_object};

    #[test]
    fn blocks_are_reserved_where_pages_cannot_be() {
        let name = format!("/millrace.test.{}", std::process::id());
        let (bytes, from) = (8 << 20, 64 << 10);
        let id = create_object(&name, bytes).unwrap().unwrap();
        let mapping = Mapping::open(&name, id).unwrap();
        let reserved = allocate_blocks(&mapping, from, bytes - from);
        let blocks = rustix::fs::fstat(mapping.reopen().unwrap()).unwrap().st_blocks;
        let taken = create_object(&name, bytes);
        remove_object(&name).unwrap();
        reserved.unwrap();
        assert_eq!(blocks * 512, (bytes - from) as i64);
        assert_eq!(taken.unwrap(), None, "the name is taken");
        assert!(mapping.reopen().unwrap_err().to_string().contains("gone"));
    }
}
