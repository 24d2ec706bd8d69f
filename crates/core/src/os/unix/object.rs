//! Shared memory objects. A name proves nothing: any user can make an object of any name. So an object is mapped only after a look at
//! the very descriptor that is going to be mapped: it is ours, nobody else has access, and it is the one that was recorded.

use super::{retry, user};
use crate::error::{Error, ErrorKind, Result};
use crate::os::{FileId, system};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use rustix::shm;
use shared_memory::{ShmemConf, ShmemError};
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

/// Makes the object `name` of `bytes` zero bytes, not yet reserved. `None`: that name is taken.
///
/// # Errors
/// `NoSpace`, `Limit`, `Permission`, `Io`. Then there is no such object.
pub(crate) fn create_object(name: &str, bytes: usize) -> Result<Option<FileId>> {
    let failed = |e: std::io::Error| {
        Error::io(format!("cannot create shared memory object {name} of {bytes} bytes"), e)
    };
    match ShmemConf::new().os_id(name).size(bytes).create() {
        // The object stays, this mapping goes: all mappings are made by `Mapping::open`.
        Ok(mut made) => drop(made.set_owner(false)),
        Err(ShmemError::MappingIdExists) => return Ok(None),
        Err(ShmemError::MapCreateFailed(code) | ShmemError::UnknownOsError(code)) => {
            return Err(failed(std::io::Error::from_raw_os_error(code as i32)));
        }
        Err(other) => return Err(failed(std::io::Error::other(other.to_string()))),
    }
    system::restore_object_mode(name);
    let id = open(name).and_then(|object| check(name, &object)).map(|(id, _)| Some(id));
    if id.is_err() {
        remove_object(name)?;
    }
    id
}

/// Removes the name of an object; its memory goes when the last mapping does. One that is gone already, or not ours, is fine.
///
/// # Errors
/// `Io`.
pub(crate) fn remove_object(name: &str) -> Result<()> {
    if system::object_owner(name).is_some_and(|owner| owner != user()) {
        return Ok(());
    }
    match shm::unlink(name) {
        Ok(()) | Err(Errno::NOENT | Errno::ACCESS | Errno::PERM) => Ok(()),
        Err(e) => Err(Error::io(format!("cannot remove shared memory object {name}"), e)),
    }
}

/// A mapped object. Unmapped when dropped; needs no descriptor.
#[derive(Debug)]
pub(crate) struct Mapping {
    name: String,
    id: FileId,
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a range of addresses; what is read and written through it is up to those who take pointers from it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the object `name` if it is the one that was recorded as `id`.
    ///
    /// # Errors
    /// `Corrupt` when it is gone or another one; `Permission` when it is not ours, or open to others; `Truncated` when it is empty;
    /// `Limit`, `NoSpace`, `Io`.
    pub(crate) fn open(name: &str, id: FileId) -> Result<Self> {
        let object = open(name)?;
        let (is, bytes) = check(name, &object)?;
        if is != id {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "shared memory object {name} is another one than was recorded: inode {} of device {}, not {} of {}",
                    is.inode, is.device, id.inode, id.device
                ),
            ));
        }
        if bytes == 0 {
            return Err(Error::new(
                ErrorKind::Truncated,
                format!("shared memory object {name} is empty: it was truncated"),
            ));
        }
        // SAFETY: no address is asked for, so no mapping of anybody else is touched.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &object,
                0,
            )
        };
        let failed = |e| Error::io(format!("cannot map shared memory object {name} ({bytes} bytes)"), e);
        let start = NonNull::new(start.map_err(failed)?.cast()).ok_or_else(|| failed(Errno::INVAL))?;
        system::advise(start, bytes);
        Ok(Self { name: name.to_owned(), id, start, bytes })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// First byte.
    pub(crate) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Bytes mapped.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes sure that the pages of `offset .. offset + bytes`, which lie in the mapping and are whole, exist: touching them can never
    /// raise SIGBUS.
    ///
    /// # Errors
    /// `NoSpace`, `Io`.
    pub(crate) fn reserve(&self, offset: usize, bytes: usize) -> Result<()> {
        system::reserve(self, offset, bytes)
    }

    /// A descriptor of the object, as long as it still has its name.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing has to be reserved elsewhere"))]
    pub(in crate::os) fn reopen(&self) -> Result<OwnedFd> {
        let object = open(&self.name)?;
        match check(&self.name, &object)? {
            (is, _) if is == self.id => Ok(object),
            _ => Err(gone(&self.name)),
        }
    }

    /// Replaces the mapping by private zero pages; the shared memory is let go. Best effort: where it fails the shared memory stays.
    pub(crate) fn retire(&self) {
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the range is exactly our mapping, which stays reserved until we are dropped. Whoever has a reference into it (made of
        // atomics) finds zeros, as if another process had written them.
        let _ = unsafe { rustix::mm::mmap_anonymous(self.start().cast(), self.bytes, access, flags) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is exactly our mapping, and whoever has a pointer into it keeps us alive.
        let _ = unsafe { rustix::mm::munmap(self.start().cast(), self.bytes) };
    }
}

fn open(name: &str) -> Result<OwnedFd> {
    retry(|| shm::open(name, shm::OFlags::RDWR, Mode::empty())).map_err(|e| {
        match system::object_owner(name) {
            _ if e == Errno::NOENT => gone(name),
            Some(owner) if owner != user() => foreign(name, owner),
            _ => Error::io(format!("cannot open shared memory object {name}"), e),
        }
    })
}

/// Refuses an object that is not ours alone. Its identity and size.
fn check(name: &str, object: &OwnedFd) -> Result<(FileId, usize)> {
    let stat = rustix::fs::fstat(object)
        .map_err(|e| Error::io(format!("cannot look at shared memory object {name}"), e))?;
    if stat.st_uid != user() {
        return Err(foreign(name, stat.st_uid));
    }
    if stat.st_mode & 0o077 != 0 {
        return Err(Error::new(
            ErrorKind::Permission,
            format!(
                "shared memory object {name} has mode {:04o}: other users could read and write it (wanted: 0600)",
                stat.st_mode & 0o7777
            ),
        ));
    }
    Ok((FileId::of(&stat), usize::try_from(stat.st_size).unwrap_or(0)))
}

fn foreign(name: &str, owner: u32) -> Error {
    Error::new(
        ErrorKind::Permission,
        format!(
            "shared memory object {name} belongs to user {owner}, not to user {}: it is not used",
            user()
        ),
    )
}

fn gone(name: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("shared memory object {name} is gone"))
}
