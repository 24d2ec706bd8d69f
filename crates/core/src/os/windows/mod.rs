//! Windows.
//!
//! Shared memory objects are files that are mapped, not sections of the paging file: such a section is gone with the last handle of it,
//! and a pool segment that only its creator has opened would die with it, messages and all. As on Unix, a name outlives every process,
//! and the directory of a domain says which files are its memory. Files also outlive a restart of the machine, after which what is in
//! them may be of different moments: so their names say which start they are of, and those of another one are nobody's.

mod dir;
mod event;
mod lock;
mod nt;
mod object;
mod process;
mod security;
mod semaphore;
#[cfg(test)]
mod tests;

pub(crate) use dir::Dir;
pub(crate) use event::Doorbell;
pub use event::LoopEnd;
pub(crate) use lock::{is_locked, record_holder, try_lock, unlock};
pub(crate) use object::{
    Mapping, create_object, free_bytes, memory_bytes, object_name, object_prefix, objects, remove_object,
};
pub(crate) use process::{DeathWatch, Process, lock_holders};
#[cfg(not(loom))]
pub(crate) use semaphore::{wait_on, wake_all};

use super::Shortage;
use std::io;
use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::{
    ERROR_COMMITMENT_LIMIT, ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY,
    ERROR_TOO_MANY_OPEN_FILES, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};
use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, SYSTEM_INFO};

/// The directory of all domains of this user.
pub(super) fn own_base() -> PathBuf {
    local_data().join("millrace")
}

/// Where programs of this user, and of nobody else, keep what stays on this machine.
fn local_data() -> PathBuf {
    let local = std::env::var_os("LOCALAPPDATA").map(PathBuf::from).filter(|path| path.is_dir());
    local.unwrap_or_else(std::env::temp_dir)
}

/// Page size of this machine in bytes.
pub(crate) fn page_bytes() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| {
        let mut info = SYSTEM_INFO::default();
        // SAFETY: an out-parameter of the right type.
        unsafe { GetSystemInfo(&raw mut info) };
        info.dwPageSize as usize
    })
}

/// A clock of the machine in ns, which never goes back.
pub(super) fn monotonic_ns() -> i128 {
    static FREQUENCY: OnceLock<i64> = OnceLock::new();
    let frequency = FREQUENCY.get_or_init(|| {
        let mut frequency = 0;
        // SAFETY: an out-parameter of the right type.
        unsafe { QueryPerformanceFrequency(&raw mut frequency) };
        // It cannot fail on any Windows that we run on.
        frequency.max(1)
    });
    let mut count = 0;
    // SAFETY: as above.
    unsafe { QueryPerformanceCounter(&raw mut count) };
    i128::from(count) * 1_000_000_000 / i128::from(*frequency)
}

/// The clock is the same for all processes.
pub(super) fn clock_offset() -> i128 {
    0
}

/// What a failed call ran out of, and what to do about it.
pub(crate) fn shortage(error: &io::Error) -> Option<Shortage> {
    match error.raw_os_error()?.cast_unsigned() {
        ERROR_TOO_MANY_OPEN_FILES => Some(Shortage::Descriptors),
        ERROR_NOT_ENOUGH_MEMORY | ERROR_OUTOFMEMORY | ERROR_COMMITMENT_LIMIT | ERROR_NO_SYSTEM_RESOURCES => {
            Some(Shortage::Memory)
        }
        _ => None,
    }
}

/// Kills this process, or stops this thread, which does not come one step further.
#[cfg(feature = "fault-points")]
pub(crate) fn apply_fault(action: super::FaultAction) {
    use windows_sys::Win32::System::Threading::{
        GetCurrentProcess, GetCurrentThread, SuspendThread, TerminateProcess,
    };
    match action {
        super::FaultAction::Kill => {
            // SAFETY: a pseudo handle, which is always valid.
            let process = unsafe { GetCurrentProcess() };
            // SAFETY: it ends this very process, which is what is asked for.
            unsafe { TerminateProcess(process, 9) };
        }
        super::FaultAction::Stop => {
            // SAFETY: as above.
            let thread = unsafe { GetCurrentThread() };
            // SAFETY: it stops this very thread.
            unsafe { SuspendThread(thread) };
        }
    }
}

/// Text as the system takes it.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// The handle that a call has returned, or why there is none.
fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller has just got it from the system, and keeps no other copy.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// The outcome of a call that returns whether it succeeded.
fn done(succeeded: windows_sys::core::BOOL) -> io::Result<()> {
    if succeeded == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Milliseconds for a call that sleeps, rounded up: it must not return early for nothing.
fn sleep_ms(time: std::time::Duration) -> u32 {
    // One less than what means "for ever".
    u32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u32::MAX).min(u32::MAX - 1)
}
