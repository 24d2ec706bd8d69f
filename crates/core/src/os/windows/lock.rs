//! File locks. A lock keeps others from reading what is locked, too, here: so what is locked is a byte far behind the content, which says
//! who has the lock.

use super::process::identity;
use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;
use std::os::windows::io::AsRawHandle;
use windows_sys::Win32::Foundation::{ERROR_IO_PENDING, ERROR_LOCK_VIOLATION};
use windows_sys::Win32::Storage::FileSystem::{
    LOCK_FILE_FLAGS, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, UnlockFileEx,
};
use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0};

use super::done;

/// Where the byte is.
fn place() -> OVERLAPPED {
    let place = OVERLAPPED_0_0 { Offset: u32::MAX - 1, OffsetHigh: i32::MAX.cast_unsigned() };
    OVERLAPPED { Anonymous: OVERLAPPED_0 { Anonymous: place }, ..OVERLAPPED::default() }
}

/// Locks `file`, and writes into it who we are; `false`: somebody has it. The system drops the lock when the process ends.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    if !lock(file, LOCKFILE_EXCLUSIVE_LOCK)? {
        return Ok(false);
    }
    let identity = identity();
    let mut written = 0;
    while written < identity.len() {
        written += file.seek_write(&identity.as_bytes()[written..], written as u64)?;
    }
    file.set_len(written as u64)?;
    Ok(true)
}

/// Locks `file`, `exclusive`ly or, with 0, shared.
fn lock(file: &File, exclusive: LOCK_FILE_FLAGS) -> io::Result<bool> {
    let flags = exclusive | LOCKFILE_FAIL_IMMEDIATELY;
    let mut place = place();
    // SAFETY: an open handle that waits for its calls, so the structure need not outlive this one.
    match done(unsafe { LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &raw mut place) }) {
        Err(e) if is_taken(&e) => Ok(false),
        locked => locked.map(|()| true),
    }
}

fn is_taken(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(i32::cast_unsigned);
    matches!(code, Some(ERROR_LOCK_VIOLATION | ERROR_IO_PENDING))
}

/// Gives the lock on `file` up.
pub(crate) fn unlock(file: &File) -> io::Result<()> {
    let mut place = place();
    // SAFETY: as above.
    done(unsafe { UnlockFileEx(file.as_raw_handle(), 0, 1, 0, &raw mut place) })
}

/// Whether somebody has the lock on `file`. Who asks at the same time does not count.
pub(crate) fn is_locked(file: &File) -> io::Result<bool> {
    if !lock(file, 0)? {
        return Ok(true);
    }
    unlock(file)?;
    Ok(false)
}

/// [`try_lock`] has done that.
pub(crate) fn record_holder(_file: &mut File) {}
