//! What Linux and macOS have in common.

mod death;
pub(super) mod dir;
mod doorbell;
mod lock;
mod object;

pub(crate) use death::DeathWatch;
pub(crate) use dir::Dir;
pub(crate) use doorbell::Doorbell;
pub use doorbell::LoopEnd;
pub(crate) use lock::{is_locked, record_holder, try_lock, unlock};
pub(crate) use object::{Mapping, create_object, remove_object};

use rustix::io::Errno;
use rustix::time::Timespec;
use std::time::Duration;

/// The user that this process acts as.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Page size of this machine in bytes.
pub(crate) fn page_bytes() -> usize {
    rustix::param::page_size()
}

/// CLOCK_MONOTONIC in ns, as this process sees it.
pub(super) fn monotonic_ns() -> i128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}

/// A time as system calls take it.
pub(super) fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// What a failed call ran out of, and what to do about it.
pub(crate) fn shortage(error: &std::io::Error) -> Option<super::Shortage> {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => Some(super::Shortage::Descriptors),
        Some(Errno::NOMEM) => Some(super::Shortage::Memory),
        _ => None,
    }
}

/// Runs a system call again as long as signals interrupt it.
pub(super) fn retry<T>(call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    rustix::io::retry_on_intr(call)
}

/// Kills or stops this process: the thread that calls does not come one step further.
#[cfg(feature = "fault-points")]
pub(crate) fn apply_fault(action: super::FaultAction) {
    use rustix::process::Signal;
    unsafe extern "C" {
        // To this very thread. A signal to the process may go to another one first.
        fn raise(signal: std::ffi::c_int) -> std::ffi::c_int;
    }
    let signal = match action {
        super::FaultAction::Kill => Signal::KILL,
        super::FaultAction::Stop => Signal::STOP,
    };
    // SAFETY: takes no pointer; neither signal can be handled, so no handler runs.
    unsafe { raise(signal.as_raw()) };
}
