//! Shared memory objects: files in a directory of this user, which are mapped. A name proves nothing, so a file is mapped only after a look
//! at the very handle that is going to be mapped: it is ours, nobody else has access, and it is the one that was recorded.

use super::nt::{self, REMOVED};
use super::{Dir, local_data, owned, security, semaphore};
use crate::error::{Error, ErrorKind, Result};
use crate::os::{Access, FileId};
use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::ptr::{NonNull, null};
use std::sync::atomic::{AtomicBool, Ordering};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_READ, FILE_MAP_WRITE, MEM_COMMIT, MEM_RELEASE, MEM_RESERVE,
    MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile, PAGE_READWRITE, UnmapViewOfFile, VirtualAlloc, VirtualFree,
};

/// The directory of all objects of this user.
fn directory() -> Result<Dir> {
    let path = local_data().join("millrace.memory");
    Dir::make(&path)?;
    Dir::open(&path, Access::None)
}

/// Where files are moved that cannot be deleted yet.
pub(super) fn directory_handle() -> io::Result<File> {
    directory().map(Dir::into_handle).map_err(io::Error::other)
}

/// What the names of the objects of this start of the machine begin with.
fn prefix_of_start() -> String {
    /// `BootId` of KUSER_SHARED_DATA, which the kernel maps there in every process, and raises at each start.
    const BOOT_ID: *const u32 = std::ptr::without_provenance(0x7ffe_02c4);
    // SAFETY: a word that is mapped in every process as long as it lives, and that nobody writes to after the start.
    let start = unsafe { BOOT_ID.read_volatile() };
    format!("millrace.{start:x}.")
}

/// A name for an object of a domain: `directory` is that of the domain, `label` says what it is, `random` makes it unforeseeable.
pub(crate) fn object_name(directory: FileId, label: &str, random: u64) -> String {
    format!("{}{label}.{random:016x}", object_prefix(directory))
}

/// What the names of a domain's objects start with.
pub(crate) fn object_prefix(directory: FileId) -> String {
    format!("{}{:x}.{:x}.", prefix_of_start(), directory.device, directory.inode)
}

/// Names of the objects that start with `prefix`.
pub(crate) fn objects(prefix: &str) -> Vec<String> {
    let names = directory().and_then(|directory| directory.entries()).unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with(prefix)).collect()
}

/// Objects are files, which the system keeps in memory or not as it likes.
pub(crate) fn memory_bytes(_prefix: &str) -> Option<u64> {
    None
}

/// Objects are files of a file system that holds everything else, too: how much of that is used says nothing.
pub(crate) fn free_bytes() -> Option<(u64, u64)> {
    None
}

/// Makes the object `name` of `bytes` zero bytes, all of which are reserved. `None`: that name is taken.
///
/// # Errors
/// `NoSpace`, `Limit`, `Permission`, `Io`. Then there is no such object.
pub(crate) fn create_object(name: &str, bytes: usize) -> Result<Option<FileId>> {
    let failed = |e| Error::io(format!("cannot create shared memory object {name} of {bytes} bytes"), e);
    let directory = directory()?;
    collect(&directory);
    let Some(file) = directory.create_file(name).map_err(failed)? else { return Ok(None) };
    let made = file.set_len(bytes as u64).and_then(|()| nt::id_of(&file));
    if made.is_err() {
        directory.remove_file(name)?;
    }
    Ok(Some(made.map_err(failed)?))
}

/// Removes the name of an object; its memory goes when the last mapping does. One that is gone already is fine.
///
/// # Errors
/// `Io`.
pub(crate) fn remove_object(name: &str) -> Result<()> {
    directory()?.remove_file(name)
}

/// Deletes what has been moved aside and is mapped no more, and what is left of another start of the machine. Best effort.
fn collect(directory: &Dir) {
    let ours = prefix_of_start();
    for name in directory.entries().unwrap_or_default() {
        let is_old = name.starts_with("millrace.") && !name.starts_with(&ours);
        if is_old || name.starts_with(REMOVED) {
            let _ = directory.delete_file(&name);
        }
    }
}

/// A mapped object. Unmapped when dropped; needs no handle.
#[derive(Debug)]
pub(crate) struct Mapping {
    name: String,
    start: NonNull<u8>,
    bytes: usize,
    /// Zero pages have taken its place.
    is_retired: AtomicBool,
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
        let corrupt =
            |what: &str| Error::new(ErrorKind::Corrupt, format!("shared memory object {name} {what}"));
        let failed = |e: io::Error| Error::io(format!("cannot map shared memory object {name}"), e);
        let directory = directory()?;
        let file = directory
            .open_file(name, false)
            .map_err(|e| if e.is_not_found() { corrupt("is gone") } else { e })?;
        security::check(&directory.path().join(name), &file, Access::None)?;
        let is = nt::id_of(&file).map_err(failed)?;
        if is != id {
            let (is, was) = (is.inode, id.inode);
            return Err(corrupt(&format!("is another one than was recorded: file {is:x}, not {was:x}")));
        }
        let bytes = usize::try_from(file.metadata().map_err(failed)?.len()).unwrap_or(0);
        if bytes == 0 {
            let message = format!("shared memory object {name} is empty: it was truncated");
            return Err(Error::new(ErrorKind::Truncated, message));
        }
        let start = map(&file).map_err(failed)?;
        semaphore::mapped(start, bytes, name);
        Ok(Self { name: name.to_owned(), start, bytes, is_retired: AtomicBool::new(false) })
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

    /// The pages exist since the object was made: a file that has been given a size has its blocks.
    pub(crate) fn reserve(&self, _offset: usize, _bytes: usize) -> Result<()> {
        Ok(())
    }

    /// Replaces the mapping by private zero pages; the shared memory is let go. For a moment there is nothing at these addresses: nobody
    /// may look at them meanwhile.
    pub(crate) fn retire(&self) {
        if self.is_retired.swap(true, Ordering::AcqRel) {
            return;
        }
        semaphore::unmapped(self.start);
        self.unmap();
        let kind = MEM_RESERVE | MEM_COMMIT;
        // SAFETY: the range has just become free.
        let zeros = unsafe { VirtualAlloc(self.start().cast(), self.bytes, kind, PAGE_READWRITE) };
        if zeros.is_null() {
            // Another thread has got the range in between, or there is no memory: whoever still has an address of it would read and
            // write there.
            std::process::abort();
        }
        collect_unmapped();
    }

    fn unmap(&self) {
        let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: self.start().cast() };
        // SAFETY: exactly our view, and whoever has a pointer into it keeps us alive.
        unsafe { UnmapViewOfFile(view) };
    }
}

/// Removes what nobody has mapped any more. Not while a range is free that is to be taken again: it asks for memory, and takes long.
fn collect_unmapped() {
    if let Ok(directory) = directory() {
        collect(&directory);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if !*self.is_retired.get_mut() {
            semaphore::unmapped(self.start);
            self.unmap();
            return collect_unmapped();
        }
        // SAFETY: exactly the zero pages that have taken the place of our view.
        unsafe { VirtualFree(self.start().cast(), 0, MEM_RELEASE) };
    }
}

fn map(file: &File) -> io::Result<NonNull<u8>> {
    // SAFETY: an open handle; the whole file, without a name.
    let section =
        owned(unsafe { CreateFileMappingW(file.as_raw_handle(), null(), PAGE_READWRITE, 0, 0, null()) })?;
    // SAFETY: no address is asked for, so no view of anybody else is touched.
    let view = unsafe { MapViewOfFile(section.as_raw_handle(), FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0) };
    NonNull::new(view.Value.cast()).ok_or_else(io::Error::last_os_error)
}
