//! One mapped shared memory object, and the only pointer arithmetic over it: every reference into shared memory that this
//! crate holds was range-checked and aligned here.

#[cfg(all(test, loom))]
mod model;

use crate::error::{Error, ErrorKind, Result};
use crate::layout::{LAYOUT_HASH, MAGIC, SegmentHeader, Shared};
use crate::os::{Mapping, page_bytes};
use crate::sync::Ordering;
use core::mem::size_of;
use core::ops::Deref;
use core::ptr::NonNull;
use std::sync::Arc;

/// Version of this package.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A mapped segment. Unmapped when dropped; the object itself is removed by name only.
pub(crate) struct Segment {
    mapping: Mapping,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Segment({}, {} bytes)", self.mapping.name(), self.bytes())
    }
}

impl Segment {
    /// A segment that is to be filled in.
    pub(crate) fn new(mapping: Mapping) -> Self {
        Self { mapping }
    }

    /// A segment that somebody has filled in, if it is complete and of this layout. `what` names it in errors.
    pub(crate) fn open(mapping: Mapping, what: &str) -> Result<Self> {
        let segment = Self { mapping };
        let truncated = |need: usize| {
            Error::new(
                ErrorKind::Truncated,
                format!("{what} has {} bytes, {need} are needed: it was truncated", segment.bytes()),
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
                format!("{what} does not start with Millrace's mark"),
            ));
        }
        if ready == 0 {
            return Err(Error::new(ErrorKind::Corrupt, format!("{what} was never completed")));
        }
        if ready != LAYOUT_HASH {
            return Err(Error::new(
                ErrorKind::Version,
                format!(
                    "{what} was made by millrace {} (layout {ready:016x}), this is millrace {VERSION} (layout {LAYOUT_HASH:016x}), and only one layout can be in use in a domain",
                    header.version.get()
                ),
            ));
        }
        let bytes = header.bytes.load(Ordering::Relaxed) as usize;
        if bytes != segment.bytes() {
            return Err(truncated(bytes));
        }
        Ok(segment)
    }

    /// Whether the domain whose registry this is persists, whatever its layout.
    pub(crate) fn persists(mapping: Mapping) -> Result<bool> {
        let segment = Self { mapping };
        let header: &SegmentHeader = segment.at(0)?;
        Ok(header.magic.load(Ordering::Relaxed) == MAGIC && header.persist.load(Ordering::Relaxed) != 0)
    }

    /// Marks the segment complete: from now on it can be opened.
    pub(crate) fn finish(&self) -> Result<()> {
        let header: &SegmentHeader = self.at(0)?;
        header.magic.store(MAGIC, Ordering::Relaxed);
        header.bytes.store(self.bytes() as u64, Ordering::Relaxed);
        header.page_bytes.store(page_bytes() as u64, Ordering::Relaxed);
        header.version.set(VERSION);
        // SYNC READY (release), pairs with `open` (acquire). Stored last: a creator that dies earlier leaves 0.
        header.ready.store(LAYOUT_HASH, Ordering::Release);
        Ok(())
    }

    /// Bytes mapped.
    pub(crate) fn bytes(&self) -> usize {
        self.mapping.bytes()
    }

    /// First byte.
    pub(crate) fn start(&self) -> *mut u8 {
        self.mapping.start()
    }

    /// Makes sure that the pages of `offset .. offset + bytes` exist, so that touching them can never raise SIGBUS.
    pub(crate) fn reserve(&self, offset: usize, bytes: usize) -> Result<()> {
        self.check(offset, bytes, 1)?;
        let page = page_bytes();
        let first = offset / page * page;
        let last = (offset + bytes).next_multiple_of(page).min(self.bytes());
        self.mapping.reserve(first, last - first)
    }

    /// Replaces the mapping by private zero pages: whoever still has an address of it reads zeros from now on, and the shared memory
    /// is let go. For memory that is nobody's any more, whose addresses some language may have kept.
    pub(crate) fn retire(&self) {
        self.mapping.retire();
    }

    /// The `T` at `offset`.
    pub(crate) fn at<T: Shared>(&self, offset: usize) -> Result<&T> {
        Ok(&self.slice(offset, 1)?[0])
    }

    /// `count` times `T` from `offset` on.
    pub(crate) fn slice<T: Shared>(&self, offset: usize, count: usize) -> Result<&[T]> {
        let bytes = count.saturating_mul(size_of::<T>());
        self.check(offset, bytes, align_of::<T>())?;
        // SAFETY: `check` showed that the offset is inside the mapping.
        let pointer = unsafe { self.start().add(offset) };
        // SAFETY: in range and aligned for T (checked); T is `Shared`, so every bit pattern is valid and concurrent writes are
        // defined; the mapping lives as long as `self`.
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
            format!(
                "{}: {bytes} bytes at offset {offset} are outside its {} bytes",
                self.mapping.name(),
                self.bytes()
            ),
        ))
    }
}

/// `len` times `T` inside a segment that stays mapped as long as this does.
pub(crate) struct View<T: Shared> {
    segment: Arc<Segment>,
    start: NonNull<T>,
    len: usize,
}

// SAFETY: a View is a shared slice of what is `Shared`, and so `Sync`, inside a mapping that it keeps alive.
unsafe impl<T: Shared> Send for View<T> {}
// SAFETY: as above.
unsafe impl<T: Shared> Sync for View<T> {}

impl<T: Shared> std::fmt::Debug for View<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "View({:?}, {} elements)", self.segment, self.len)
    }
}

impl<T: Shared> View<T> {
    /// `len` times `T` from `offset` on.
    pub(crate) fn new(segment: &Arc<Segment>, offset: usize, len: usize) -> Result<Self> {
        let start = NonNull::from(segment.slice::<T>(offset, len)?).cast();
        Ok(Self { segment: Arc::clone(segment), start, len })
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }
}

impl<T: Shared> Deref for View<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `new` took start and length from a checked slice of `segment`, which `self` keeps mapped.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}
