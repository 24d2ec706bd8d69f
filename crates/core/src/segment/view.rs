//! One mapped shared memory object, and the only pointer arithmetic over it: every reference into shared memory that this
//! crate holds was range-checked and aligned here.

#[cfg(all(test, loom))]
mod model;

use crate::error::{Error, ErrorKind, Result};
use crate::layout::{LAYOUT_HASH, MAGIC, SegmentHeader};
use crate::sync::Ordering;
use core::mem::size_of;
use core::ops::Deref;
use core::ptr::NonNull;
use shared_memory::{Shmem, ShmemConf, ShmemError};
use std::path::Path;
use std::sync::Arc;

/// A mapping. Unmapped when dropped; the object itself is removed by name only.
pub(crate) struct Segment {
    shmem: Shmem,
    name: String,
}

// SAFETY: the mapping is shared memory that other processes write anyway; everything handed out from it is made of atomics,
// or a raw payload pointer whose user holds the buffer. `Shmem` is not Send only because of its raw pointer.
unsafe impl Send for Segment {}
// SAFETY: as above; no method changes the mapping itself.
unsafe impl Sync for Segment {}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Segment({}, {} bytes)", self.name, self.bytes())
    }
}

impl Segment {
    /// Creates the object `os_id` of `bytes` zero bytes, not yet reserved. `link` is where its id is written; it has to be
    /// renamed to its final name when the segment is ready.
    pub(crate) fn create(os_id: &str, link: &Path, bytes: usize) -> Result<Self> {
        let conf = || ShmemConf::new().os_id(os_id).flink(link).force_create_flink().size(bytes);
        let mut shmem = match conf().create() {
            // The creator of this name holds a lock, so an object that exists already was left by one that died.
            Err(ShmemError::MappingIdExists) => {
                Self::unlink(os_id)?;
                conf().create()
            }
            other => other,
        }
        .map_err(|e| failed(os_id, bytes, &e))?;
        shmem.set_owner(false);
        let segment = Self { shmem, name: os_id.to_owned() };
        super::domain::advise(segment.start(), segment.bytes());
        Ok(segment)
    }

    /// Opens the object whose id is written in `link`, and checks that it is complete and of this layout.
    pub(crate) fn open(link: &Path) -> Result<Self> {
        let what = link.display();
        let shmem = ShmemConf::new().flink(link).open().map_err(|e| failed(&what.to_string(), 0, &e))?;
        let segment = Self { name: shmem.get_os_id().to_owned(), shmem };
        let truncated = |need: usize| {
            Error::new(
                ErrorKind::Truncated,
                format!("segment {what} has {} bytes, {need} are needed: it was truncated", segment.bytes()),
            )
        };
        if segment.bytes() < size_of::<SegmentHeader>() {
            return Err(truncated(size_of::<SegmentHeader>()));
        }
        let header: &SegmentHeader = segment.at(0)?;
        // SYNC READY (acquire), pairs with `finish` (release): whoever sees the hash sees everything written before it.
        let ready = header.ready.load(Ordering::Acquire);
        if header.magic.load(Ordering::Relaxed) != MAGIC {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("segment {what} does not start with Millrace's mark"),
            ));
        }
        if ready == 0 {
            return Err(Error::new(ErrorKind::Corrupt, format!("segment {what} was never completed")));
        }
        if ready != LAYOUT_HASH {
            return Err(Error::new(
                ErrorKind::Version,
                format!(
                    "segment {what} has layout {ready:016x}, this build has {LAYOUT_HASH:016x}: processes of one domain need the same version of millrace"
                ),
            ));
        }
        let bytes = header.bytes.load(Ordering::Relaxed) as usize;
        if bytes != segment.bytes() {
            return Err(truncated(bytes));
        }
        super::domain::advise(segment.start(), segment.bytes());
        Ok(segment)
    }

    /// Marks the segment complete: from now on it can be opened.
    pub(crate) fn finish(&self) -> Result<()> {
        let header: &SegmentHeader = self.at(0)?;
        header.magic.store(MAGIC, Ordering::Relaxed);
        header.bytes.store(self.bytes() as u64, Ordering::Relaxed);
        header.page_bytes.store(page_bytes() as u64, Ordering::Relaxed);
        // SYNC READY (release), pairs with `open` (acquire). Stored last: a creator that dies earlier leaves 0.
        header.ready.store(LAYOUT_HASH, Ordering::Release);
        Ok(())
    }

    /// Removes the name; the memory goes when the last mapping does. A name that is gone already is fine.
    pub(crate) fn unlink(os_id: &str) -> Result<()> {
        super::domain::unlink_object(os_id)
    }

    /// Bytes mapped.
    pub(crate) fn bytes(&self) -> usize {
        self.shmem.len()
    }

    /// First byte.
    pub(crate) fn start(&self) -> *mut u8 {
        self.shmem.as_ptr()
    }

    /// Makes sure that the pages of `offset .. offset + bytes` exist, so that touching them can never raise SIGBUS.
    pub(crate) fn reserve(&self, offset: usize, bytes: usize) -> Result<()> {
        self.check(offset, bytes, 1)?;
        let page = page_bytes();
        let first = offset / page * page;
        let last = (offset + bytes).next_multiple_of(page).min(self.bytes());
        // SAFETY: `check` showed that the range lies in the mapping.
        let start = unsafe { self.start().add(first) };
        super::domain::populate(&self.name, start, first, last - first)
    }

    /// Replaces the mapping by private zero pages: whoever still has an address of it reads zeros from now on, and the shared memory
    /// is let go. For memory that is nobody's any more, whose addresses some language may have kept.
    pub(crate) fn retire(&self) {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the range is exactly our mapping, which stays reserved until `self` is dropped. Whoever has a reference into it (made
        // of atomics) finds zeros, as if another process had written them. Best effort: where it fails the shared memory stays.
        let _ = unsafe { mmap_anonymous(self.start().cast(), self.bytes(), access, flags) };
    }

    /// The `T` at `offset`.
    pub(crate) fn at<T>(&self, offset: usize) -> Result<&T> {
        self.check(offset, size_of::<T>(), align_of::<T>())?;
        // SAFETY: `check` showed that the offset is inside the mapping.
        let pointer = unsafe { self.start().add(offset) };
        // SAFETY: in range and aligned for T (checked); T is a layout struct made of atomics, for which every bit
        // pattern is valid and concurrent writes are defined; the mapping lives as long as `self`.
        Ok(unsafe { &*pointer.cast::<T>() })
    }

    /// `count` times `T` from `offset` on.
    pub(crate) fn slice<T>(&self, offset: usize, count: usize) -> Result<&[T]> {
        let bytes = count.saturating_mul(size_of::<T>());
        self.check(offset, bytes, align_of::<T>())?;
        // SAFETY: `check` showed that the offset is inside the mapping.
        let pointer = unsafe { self.start().add(offset) };
        // SAFETY: as in `at`, for `count` elements.
        Ok(unsafe { core::slice::from_raw_parts(pointer.cast::<T>(), count) })
    }

    fn check(&self, offset: usize, bytes: usize, align: usize) -> Result<()> {
        let fits = offset.checked_add(bytes).is_some_and(|end| end <= self.bytes());
        // Mappings are page-aligned, so aligning the offset aligns the address.
        if fits && offset.is_multiple_of(align) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Corrupt,
            format!("{}: {bytes} bytes at offset {offset} are outside its {} bytes", self.name, self.bytes()),
        ))
    }
}

/// Page size of this machine in bytes.
pub(crate) fn page_bytes() -> usize {
    rustix::param::page_size()
}

/// `len` times `T` inside a segment that stays mapped as long as this does.
pub(crate) struct View<T> {
    segment: Arc<Segment>,
    start: NonNull<T>,
    len: usize,
}

// SAFETY: a View is a shared slice of layout structs (atomics) inside a mapping that it keeps alive.
unsafe impl<T: Sync> Send for View<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for View<T> {}

impl<T> View<T> {
    /// `len` times `T` from `offset` on.
    pub(crate) fn new(segment: &Arc<Segment>, offset: usize, len: usize) -> Result<Self> {
        let start = NonNull::from(segment.slice::<T>(offset, len)?).cast();
        Ok(Self { segment: Arc::clone(segment), start, len })
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }
}

impl<T> Deref for View<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `new` took start and length from a checked slice of `segment`, which `self` keeps mapped.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

fn failed(what: &str, bytes: usize, error: &ShmemError) -> Error {
    let os = |code: u32| std::io::Error::from_raw_os_error(code as i32);
    let message = format!("cannot map shared memory {what} ({bytes} bytes)");
    match error {
        ShmemError::LinkCreateFailed(e)
        | ShmemError::LinkWriteFailed(e)
        | ShmemError::LinkOpenFailed(e)
        | ShmemError::LinkReadFailed(e) => Error::io(message, std::io::Error::from(e.kind())),
        ShmemError::MapOpenFailed(2) => {
            Error::new(ErrorKind::Corrupt, format!("{message}: it is linked, but its memory is gone"))
        }
        ShmemError::MapOpenFailed(22) => {
            Error::new(ErrorKind::Truncated, format!("{message}: it is empty, so it was truncated"))
        }
        ShmemError::MapCreateFailed(code)
        | ShmemError::MapOpenFailed(code)
        | ShmemError::UnknownOsError(code) => Error::io(message, os(*code)),
        other => Error::new(ErrorKind::Io, format!("{message}: {other}")),
    }
}
