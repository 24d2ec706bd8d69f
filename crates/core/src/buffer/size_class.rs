//! Size classes: which sizes share segments.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MAX_BUFFER_BYTES, MAX_CLASS_BYTES, MIN_BUFFER_BYTES};
use crate::os::page_bytes;

/// The size class of a buffer of `bytes` bytes: a power of two, or whole pages where that would waste too much.
#[inline]
pub(super) fn class_of(bytes: usize) -> Result<usize> {
    match bytes.max(MIN_BUFFER_BYTES) {
        bytes @ ..=MAX_CLASS_BYTES => Ok(bytes.next_power_of_two()),
        bytes @ ..=MAX_BUFFER_BYTES => Ok(bytes.next_multiple_of(page_bytes())),
        _ => Err(too_large(bytes)),
    }
}

#[cold]
fn too_large(bytes: usize) -> Error {
    let what =
        format!("a buffer of {bytes} bytes is larger than the largest possible, {MAX_BUFFER_BYTES} bytes");
    Error::new(ErrorKind::TooLarge, what)
}

/// The sizes that share a size class with `bytes`.
pub(crate) fn class_range(bytes: usize) -> std::ops::RangeInclusive<usize> {
    match class_of(bytes) {
        Ok(class @ ..=MIN_BUFFER_BYTES) => 0..=class,
        Ok(class @ ..=MAX_CLASS_BYTES) => class / 2 + 1..=class,
        _ => bytes..=bytes,
    }
}
