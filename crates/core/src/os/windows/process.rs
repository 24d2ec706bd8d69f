//! Processes. A number is given to another process as soon as nobody has a handle of the first one; number and time of birth are not.

use super::event::Doorbell;
use super::{lock, owned, sleep_ms};
use crate::error::{Error, Result};
use crate::os::watched::Watched;
use crate::os::{Dir, FileId};
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::sync::OnceLock;
use std::time::Duration;
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER, FILETIME, HANDLE, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetProcessTimes, OpenProcess, PROCESS_ACCESS_RIGHTS,
    PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, PROCESS_TERMINATE, TerminateProcess,
    WaitForMultipleObjects, WaitForSingleObject,
};

/// The exit code of what has been killed.
const KILLED: u32 = 9;

/// Number and time of birth of this process, as they are written into lock files.
pub(super) fn identity() -> &'static str {
    static IDENTITY: OnceLock<String> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        // SAFETY: a pseudo handle, which is always valid.
        let process = unsafe { GetCurrentProcess() };
        // SAFETY: it stays valid for ever.
        let process = unsafe { BorrowedHandle::borrow_raw(process) };
        format_identity(std::process::id(), born(process).unwrap_or(0))
    })
}

fn format_identity(pid: u32, born: u64) -> String {
    format!("{pid} {born:x}")
}

/// When a process was born, in 100 ns since 1601.
fn born(process: BorrowedHandle<'_>) -> io::Result<u64> {
    let mut times = [FILETIME::default(); 4];
    let [created, exited, kernel, user] = times.each_mut().map(|time| &raw mut *time);
    // SAFETY: an open handle and out-parameters of the right types.
    super::done(unsafe { GetProcessTimes(process.as_raw_handle(), created, exited, kernel, user) })?;
    Ok(u64::from(times[0].dwHighDateTime) << 32 | u64::from(times[0].dwLowDateTime))
}

fn open(pid: u32, rights: PROCESS_ACCESS_RIGHTS) -> io::Result<OwnedHandle> {
    // SAFETY: takes numbers only.
    owned(unsafe { OpenProcess(rights, 0, pid) })
}

/// A process, whatever becomes of its number.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    handle: OwnedHandle,
}

impl Process {
    /// Why a process cannot be had by its number, if [`Process::open`] finds another one than was meant.
    pub(crate) const UNKNOWN: &str =
        "cannot be identified from here: another process has its number, or it may not be opened";

    /// The process `pid`; `None`: there is none, or it is somebody else's.
    ///
    /// # Errors
    /// `Limit` when no handle is left; `Io`.
    pub(crate) fn open(pid: u32) -> Result<Option<Self>> {
        let rights = PROCESS_SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_TERMINATE;
        match open(pid, rights) {
            Ok(handle) => Ok(Some(Self { pid, handle })),
            Err(e) => match e.raw_os_error().map(i32::cast_unsigned) {
                Some(ERROR_INVALID_PARAMETER | ERROR_ACCESS_DENIED) => Ok(None),
                _ => Err(Error::io(format!("cannot open process {pid}"), e)),
            },
        }
    }

    /// The system does not say whether it runs.
    pub(crate) fn is_stopped(&self) -> bool {
        false
    }

    /// Whether it holds the lock on file `name` of `dir`, which says who does. It may have ended since.
    ///
    /// # Errors
    /// `Permission` when we may not look.
    pub(crate) fn holds_lock(&self, dir: &Dir, name: &str) -> Result<bool> {
        let failed = |e| Error::io(format!("cannot look at process {}", self.pid), e);
        let Some(holder) = dir.read_line(name)? else { return Ok(false) };
        let born = born(self.handle.as_handle()).map_err(failed)?;
        Ok(holder == format_identity(self.pid, born)
            && lock::is_locked(&dir.open_file(name, false)?).map_err(failed)?)
    }

    /// Ends it, wherever it is.
    ///
    /// # Errors
    /// `Permission`, `Io`.
    pub(crate) fn kill(&self) -> Result<()> {
        // SAFETY: an open handle with the right to do so.
        let killed = super::done(unsafe { TerminateProcess(self.handle.as_raw_handle(), KILLED) });
        match killed {
            // Of one that ends, or has ended, it is refused.
            Err(e) if !self.has_ended_within(Duration::from_secs(1)) => {
                Err(Error::io(format!("cannot kill process {}", self.pid), e))
            }
            _ => Ok(()),
        }
    }

    /// Waits for its end; `false`: it still lives after `timeout`.
    pub(crate) fn has_ended_within(&self, timeout: Duration) -> bool {
        // SAFETY: an open handle with the right to wait.
        unsafe { WaitForSingleObject(self.handle.as_raw_handle(), sleep_ms(timeout)) == WAIT_OBJECT_0 }
    }
}

/// Watches a set of processes, keyed by participant. A handle may be of the wrong process (its number is a new one's by now); it only says
/// when to look at the lock file, which decides.
#[derive(Debug, Default)]
pub(crate) struct DeathWatch {
    watched: Watched<OwnedHandle>,
}

/// What one thread can wait for, beside its doorbell.
const AT_ONCE: usize = 63;

/// How long it takes until somebody looks at those that are more.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

impl DeathWatch {
    /// Watches exactly `participants`: (slot, epoch) and pid. One that cannot be watched is left to the sweep.
    pub(crate) fn set(&mut self, participants: &[((usize, u32), u32)]) {
        self.watched.set(participants, |pid| open(pid, PROCESS_SYNCHRONIZE).ok());
    }

    /// Sleeps until a watched process dies, `doorbell` is notified, or `timeout`. May return early for no reason.
    pub(crate) fn wait(&mut self, doorbell: &Doorbell, timeout: Duration) {
        let mut processes = self.watched.processes();
        let timeout = if processes.len() > AT_ONCE { timeout.min(LOOK_PERIOD) } else { timeout };
        processes.truncate(AT_ONCE);
        let mut handles: Vec<HANDLE> = processes.iter().map(|process| process.as_raw_handle()).collect();
        handles.push(doorbell.as_raw_handle());
        let (count, first) = (handles.len() as u32, handles.as_ptr());
        // SAFETY: so many handles, which the processes and the doorbell keep open.
        let woken = unsafe { WaitForMultipleObjects(count, first, 0, sleep_ms(timeout)) } - WAIT_OBJECT_0;
        // A dead process stays signaled.
        if let Some(dead) = processes.get(woken as usize) {
            self.watched.forget(&[dead]);
        }
    }
}

/// Nobody: this system does not tell who holds a lock.
pub(crate) fn lock_holders(_files: &[FileId]) -> Vec<u32> {
    Vec::new()
}
