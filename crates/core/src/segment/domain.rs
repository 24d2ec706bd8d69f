//! Where a domain lives: a private directory with the links of its segments, lock files and doorbells, and the domain lock
//! beside it. Everything here is slow path, and refuses what is not ours.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MAX_NAME_BYTES, MAX_SEGMENTS};
use crate::segment::Segment;
use rustix::fs::{Mode, OFlags};
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Checks a domain or queue name: `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`.
pub(crate) fn validate_name(what: &str, name: &str) -> Result<()> {
    let first_ok = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest_ok = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if first_ok && rest_ok && name.len() <= MAX_NAME_BYTES {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidName,
        format!(
            "{what} name {name:?}: it needs 1 to {MAX_NAME_BYTES} characters out of A-Z a-z 0-9 . _ - and starts with a letter or digit"
        ),
    ))
}

/// Which segment of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentName {
    Registry,
    Pool(usize),
}

impl SegmentName {
    fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Registry).chain((0..MAX_SEGMENTS).map(Self::Pool))
    }

    fn file(self) -> String {
        match self {
            Self::Registry => "registry".to_owned(),
            Self::Pool(index) => format!("pool.{index}"),
        }
    }
}

/// The directory of one domain.
#[derive(Debug)]
pub(crate) struct DomainDir {
    path: PathBuf,
    /// The directory itself: lock files are opened in it even if somebody has removed it and put another one in its place.
    dir: OwnedFd,
    /// Start of the names of its shared memory objects: made from the directory's identity, so nobody else's objects can
    /// carry it, and objects of a creator that died can be found again.
    object_prefix: String,
}

impl DomainDir {
    /// Opens or makes the directory of domain `name` below `base`. The caller holds the domain lock.
    pub(crate) fn open(base: &Path, name: &str) -> Result<Self> {
        make_private_dir(&base.join(name))?;
        Self::existing(base, name)
    }

    /// Opens the directory of domain `name` below `base`, which must exist. Needs no lock: it makes nothing.
    pub(crate) fn existing(base: &Path, name: &str) -> Result<Self> {
        let path = base.join(name);
        let failed = |e| Error::io(format!("cannot look at {}", path.display()), e);
        let meta = fs::symlink_metadata(&path).map_err(failed)?;
        check_private(&path, &meta, 0o077)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&path, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        let object_prefix = object_prefix(&meta);
        Ok(Self { path, dir, object_prefix })
    }

    /// Opens lock file `name`; with `create` it is made if need be (0600).
    pub(crate) fn lock_file(&self, name: &str, create: bool) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let flags = if create { flags | OFlags::CREATE } else { flags };
        let file = rustix::fs::openat(&self.dir, name, flags, Mode::RUSR | Mode::WUSR);
        file.map(File::from).map_err(|e| Error::io(format!("cannot open {}/{name}", self.path.display()), e))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file `name` of participant `slot`.
    pub(crate) fn participant_file(&self, name: &str, slot: usize) -> PathBuf {
        self.path.join(format!("{name}.{slot}"))
    }

    /// Creates segment `name`; it can be opened by others only after [`DomainDir::publish`].
    pub(crate) fn create_segment(&self, name: SegmentName, bytes: usize) -> Result<Segment> {
        let link = self.path.join(name.file() + ".new");
        Segment::create(&self.object_name(name), &link, bytes)
    }

    /// Marks the segment ready and links it under its name.
    pub(crate) fn publish(&self, name: SegmentName, segment: &Segment) -> Result<()> {
        segment.finish()?;
        let link = self.path.join(name.file());
        fs::rename(self.path.join(name.file() + ".new"), &link)
            .map_err(|e| Error::io(format!("cannot link {}", link.display()), e))
    }

    /// Whether segment `name` has been published.
    pub(crate) fn has_segment(&self, name: SegmentName) -> bool {
        self.path.join(name.file()).exists()
    }

    /// Opens segment `name`.
    pub(crate) fn open_segment(&self, name: SegmentName) -> Result<Segment> {
        Segment::open(&self.path.join(name.file()))
    }

    /// Removes the object and link of segment `name`, whatever is left of them.
    pub(crate) fn remove_segment(&self, name: SegmentName) -> Result<()> {
        let _ = fs::remove_file(self.path.join(name.file() + ".new"));
        Segment::unlink(&self.object_name(name))
    }

    /// Removes the domain: objects, links, lock files, doorbells. The caller holds the domain lock.
    pub(crate) fn remove(&self) -> Result<()> {
        // The link first: killed later on, what is left is not taken for a domain.
        let _ = fs::remove_file(self.path.join(SegmentName::Registry.file()));
        for name in SegmentName::all() {
            Segment::unlink(&self.object_name(name))?;
        }
        match fs::remove_dir_all(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(format!("cannot remove {}", self.path.display()), e))
            }
            _ => Ok(()),
        }
    }

    fn object_name(&self, name: SegmentName) -> String {
        format!("{}.{}", self.object_prefix, name.file())
    }
}

/// The lock that serialises creating, joining, leaving and removing one domain. The kernel drops it when its holder dies.
#[derive(Debug)]
pub(crate) struct DomainLock {
    file: File,
    path: PathBuf,
}

impl DomainLock {
    /// Takes the lock of domain `name` below `base`, waiting until `deadline`.
    pub(crate) fn take(base: &Path, name: &str, deadline: Instant) -> Result<Self> {
        let path = base.join(format!(".{name}.lock"));
        let mut pause = Duration::from_micros(100);
        loop {
            make_base_dir(base)?;
            let mut file = match open_lock_file(&path) {
                // The last one out has just removed the base directory.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                other => other.map_err(|e| Error::io(format!("cannot open {}", path.display()), e))?,
            };
            match file.try_lock() {
                Ok(()) if is_same_file(&file, &path) => {
                    let _ = file.set_len(0);
                    let _ = file.write_all(std::process::id().to_string().as_bytes());
                    return Ok(Self { file, path });
                }
                // Removed by its last holder between our open and our lock: take the new one.
                Ok(()) => continue,
                Err(TryLockError::Error(e)) => {
                    return Err(Error::io(format!("cannot lock {}", path.display()), e));
                }
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    let mut holder = String::new();
                    let _ = file.read_to_string(&mut holder);
                    return Err(Error::new(
                        ErrorKind::Timeout,
                        format!(
                            "domain {name:?} is locked by process {holder}, which neither proceeds nor ends"
                        ),
                    ));
                }
                Err(TryLockError::WouldBlock) => {
                    // flock has no deadline of its own; the pause grows to what a joiner needs.
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(2));
                }
            }
        }
    }

    /// Removes the lock file (the domain is gone), and the base directory if it is empty and of our own choice.
    pub(crate) fn remove(self) {
        let _ = fs::remove_file(&self.path);
        if let Some(base) = self.path.parent().filter(|base| *base == default_base()) {
            let _ = fs::remove_dir(base);
        }
        drop(self.file);
    }
}

/// The directory that holds all domains of this user.
pub(crate) fn base_dir(directory: Option<&Path>) -> PathBuf {
    let given = directory.map(Path::to_owned).or_else(|| std::env::var_os("MILLRACE_DIR").map(PathBuf::from));
    if let Some(path) = given.filter(|p| !p.as_os_str().is_empty()) {
        return path;
    }
    default_base()
}

fn default_base() -> PathBuf {
    if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|p| p.is_dir()) {
        return runtime.join("millrace");
    }
    let shm = Path::new("/dev/shm");
    let root = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
    root.join(format!("millrace-{}", rustix::process::geteuid().as_raw()))
}

/// What the names of a domain's shared memory objects start with.
fn object_prefix(meta: &fs::Metadata) -> String {
    // Names of at most 31 bytes there: a hash has to do.
    #[cfg(target_vendor = "apple")]
    return format!("/mr{:x}", (meta.dev() ^ meta.ino().rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    #[cfg(not(target_vendor = "apple"))]
    return format!("/millrace.{}.{:x}.{:x}", meta.uid(), meta.dev(), meta.ino());
}

/// Opens (makes) the lock file of a domain: 0600, never through a symlink, closed on exec.
fn open_lock_file(path: &Path) -> std::io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(path)
        .and_then(|mut file| file.rewind().map(|()| file))
}

fn is_same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => a.ino() == b.ino() && a.dev() == b.dev(),
        _ => false,
    }
}

fn make_base_dir(path: &Path) -> Result<()> {
    make_private_dir(path)?;
    let meta = match fs::symlink_metadata(path) {
        // The last one out removes an empty base; the caller comes round again.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(format!("cannot look at {}", path.display()), e)),
        Ok(meta) => meta,
    };
    check_private(path, &meta, 0o022)
}

fn make_private_dir(path: &Path) -> Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::io(format!("cannot make directory {}", path.display()), e))
        }
        _ => Ok(()),
    }
}

/// Refuses a directory that is a link, belongs to somebody else, or that `forbidden` mode bits open to others.
fn check_private(path: &Path, meta: &fs::Metadata, forbidden: u32) -> Result<()> {
    let refuse = |why: String| Err(Error::new(ErrorKind::Permission, format!("{} {why}", path.display())));
    let me = rustix::process::geteuid().as_raw();
    if meta.is_symlink() || !meta.is_dir() {
        return refuse("is not a directory: links are not followed".to_owned());
    }
    if meta.uid() != me {
        return refuse(format!("belongs to user {}, not to user {me}", meta.uid()));
    }
    if meta.mode() & forbidden != 0 {
        return refuse(format!(
            "has mode {:04o}: other users could interfere (wanted: 0700)",
            meta.mode() & 0o7777
        ));
    }
    Ok(())
}

/// Tells the kernel that a mapping is not for forked children or core dumps: a child that writes into shared memory without
/// taking part would corrupt it, and dumping a pool would delay the notice of a death. Best effort.
pub(super) fn advise(start: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    for advice in [rustix::mm::Advice::LinuxDontFork, rustix::mm::Advice::LinuxDontDump] {
        // SAFETY: the range is exactly one mapping of ours, and neither advice changes its contents for this process.
        let _ = unsafe { rustix::mm::madvise(start.cast(), bytes, advice) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, bytes);
}

/// Reserves the pages of a mapped range of the object `name`; an error instead of a later SIGBUS when the file system is full.
pub(super) fn populate(name: &str, start: *mut u8, offset: usize, bytes: usize) -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::Errno;
        // SAFETY: the range lies in a mapping of ours (checked by the caller); populating writes nothing.
        match unsafe { rustix::mm::madvise(start.cast(), bytes, rustix::mm::Advice::LinuxPopulateWrite) } {
            Ok(()) => return Ok(()),
            Err(Errno::INVAL) => {} // before Linux 5.14: allocate the blocks instead
            Err(_) => return Err(no_space(name, bytes)),
        }
        let object = rustix::shm::open(name, rustix::shm::OFlags::RDWR, Mode::empty())
            .map_err(|e| Error::io(format!("cannot open shared memory {name}"), e))?;
        match rustix::fs::fallocate(&object, rustix::fs::FallocateFlags::empty(), offset as u64, bytes as u64)
        {
            Ok(()) => Ok(()),
            Err(Errno::NOSPC | Errno::NOMEM) => Err(no_space(name, bytes)),
            Err(e) => Err(Error::io(format!("cannot reserve {bytes} bytes of shared memory {name}"), e)),
        }
    }
    // Elsewhere shared memory objects are backed by swap and not by a file system of limited size.
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (name, start, offset, bytes);
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn no_space(name: &str, bytes: usize) -> Error {
    let free = shm_free_bytes().map_or(String::new(), |(free, _)| format!(", {free} are free"));
    Error::new(
        ErrorKind::NoSpace,
        format!(
            "/dev/shm is full: {bytes} bytes are needed for {name}{free}; enlarge it (Docker: --shm-size) or lower maxBytes"
        ),
    )
}

/// Free and total bytes of the file system that holds shared memory objects, where there is one.
pub(crate) fn shm_free_bytes() -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs("/dev/shm").ok()?;
    Some((stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize))
}

/// Removes the shared memory object `os_id`; one that does not exist is fine.
pub(super) fn unlink_object(os_id: &str) -> Result<()> {
    match rustix::shm::unlink(os_id) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(e) => Err(Error::io(format!("cannot remove shared memory {os_id}"), e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "camera", "A1._-", &"x".repeat(63)] {
            assert!(validate_name("domain", good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a/b", "../a", "a b", "é", "a\0b", &"x".repeat(64)] {
            assert_eq!(validate_name("domain", bad).unwrap_err().kind(), ErrorKind::InvalidName, "{bad:?}");
        }
    }
}
